// Character classes of the names, subjects and ids that KanthorQ accepts.
//
// All of them are plain ASCII. So "sorts as a string" means byte order in every database encoding.
// A byte of a multibyte character is in none of these classes.
#pragma once

#include <cstddef>
#include <string_view>

namespace kanthorq {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
constexpr bool is_letter(char c) noexcept { return is_lower(c) || is_upper(c); }
constexpr bool is_letter_or_digit(char c) noexcept { return is_letter(c) || is_digit(c); }
constexpr char to_lower(char c) noexcept { return is_upper(c) ? char(c - 'A' + 'a') : c; }

// The part of `text` from `at`, at most `length` bytes long. Unlike substr() it never throws, since
// there is no C++ runtime in the server.
constexpr std::string_view slice(std::string_view text, std::size_t at,
                                 std::size_t length = std::string_view::npos) noexcept {
  if (at > text.size()) at = text.size();
  if (length > text.size() - at) length = text.size() - at;
  return std::string_view(text.data() + at, length);
}

}  // namespace kanthorq
