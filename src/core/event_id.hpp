// The ids that an event may have.
//
// The Event document: "the id property must be a Lexicographically Sortable Identifier". Each
// accepted form has one spelling, so that all ids sort in one byte order: a ULID in upper case, a
// UUIDv7 in lower case, and `<prefix>_<ulid>` in lower case. KanthorQ's Go client and TypeID make
// the last form. The suffix of a TypeID is a UUIDv7 in the same base 32, so it starts with the same
// 48 bits of time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/ascii.hpp"
#include "core/sortable_id.hpp"

namespace kanthorq {

inline constexpr std::size_t max_event_id_bytes = 64;

enum class EventIdFault {
  none,
  empty,
  too_long,
  ulid_not_upper_case,
  uuid_not_lower_case,
  uuid_not_version_7,
  prefixed_not_lower_case,
  bad_prefix,  // before the underscore and the ULID
  unknown_form,
};

struct EventIdVerdict {
  EventIdFault fault = EventIdFault::none;
  std::uint64_t milliseconds = 0;  // since the epoch: the time inside a valid id
};

template <typename Wrong>
constexpr bool has_any(std::string_view text, Wrong wrong) noexcept {
  for (char c : text)
    if (wrong(c)) return true;
  return false;
}

// A prefix starts with a lower-case letter, goes on with lower-case letters, digits and
// underscores, and does not end in an underscore. No digit follows an underscore, because ULIDs
// start with a digit. So all ids of a prefix stand together, with no id of a longer prefix among
// them.
constexpr bool is_id_prefix(std::string_view prefix) noexcept {
  if (prefix.empty() || !is_lower(prefix.front()) || prefix.back() == '_') return false;
  for (std::size_t i = 1; i < prefix.size(); i++) {
    const bool after_underscore = prefix[i - 1] == '_';
    if (is_lower(prefix[i]) || prefix[i] == '_') continue;
    if (!is_digit(prefix[i]) || after_underscore) return false;
  }
  return true;
}

constexpr EventIdVerdict check_prefixed_id(std::string_view prefix,
                                           std::string_view ulid) noexcept {
  Bits128 bits;
  if (!decode_ulid(ulid, bits)) return {EventIdFault::unknown_form};
  if (has_any(prefix, is_upper) || has_any(ulid, is_upper))
    return {EventIdFault::prefixed_not_lower_case};
  if (!is_id_prefix(prefix)) return {EventIdFault::bad_prefix};
  return {EventIdFault::none, milliseconds_of(bits)};
}

constexpr EventIdVerdict check_event_id(std::string_view id) noexcept {
  if (id.empty()) return {EventIdFault::empty};
  if (id.size() > max_event_id_bytes) return {EventIdFault::too_long};

  Bits128 bits;
  if (decode_ulid(id, bits)) {
    if (has_any(id, is_lower)) return {EventIdFault::ulid_not_upper_case};
    return {EventIdFault::none, milliseconds_of(bits)};
  }
  if (decode_uuid(id, bits)) {
    if (!is_version_7(bits)) return {EventIdFault::uuid_not_version_7};
    if (has_any(id, is_upper)) return {EventIdFault::uuid_not_lower_case};
    return {EventIdFault::none, milliseconds_of(bits)};
  }
  const std::size_t underscore = id.rfind('_');
  if (underscore == std::string_view::npos) return {EventIdFault::unknown_form};
  return check_prefixed_id(slice(id, 0, underscore), slice(id, underscore + 1));
}

constexpr bool is_event_id(std::string_view id) noexcept {
  return check_event_id(id).fault == EventIdFault::none;
}

// The part of a valid prefixed id up to the underscore before its ULID, and that underscore. Empty
// for the other forms.
constexpr std::string_view event_id_prefix(std::string_view id) noexcept {
  const std::size_t underscore = id.rfind('_');
  return underscore == std::string_view::npos ? std::string_view{} : slice(id, 0, underscore + 1);
}

}  // namespace kanthorq
