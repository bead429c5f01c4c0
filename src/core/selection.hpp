// Which subjects a consumer selects: at least one include matches, and no exclude does.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/subject.hpp"

namespace kanthorq {

// Valid filters, kept by the caller.
struct Filters {
  const std::string_view* filters = nullptr;
  std::size_t count = 0;

  constexpr bool match(std::string_view subject) const noexcept {
    for (std::size_t i = 0; i < count; i++)
      if (filters[i] == ">" || subject_matches(subject, filters[i])) return true;
    return false;
  }
};

struct Selection {
  Filters includes;
  Filters excludes;

  constexpr bool selects(std::string_view subject) const noexcept {
    return includes.match(subject) && !excludes.match(subject);
  }
};

}  // namespace kanthorq
