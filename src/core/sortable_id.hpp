// ULIDs and UUIDv7s: 128 bits that start with a time, so that ids sort by when they were made.
//
// ULID: https://github.com/ulid/spec, 48 bits of Unix milliseconds and 80 random bits, written as
// 26 characters of Crockford's base 32. UUIDv7: RFC 9562 section 5.7, the same 48 bits, a version
// and a variant, and 74 random bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/ascii.hpp"

namespace kanthorq {

inline constexpr std::uint64_t max_id_milliseconds = (std::uint64_t{1} << 48) - 1;

// The 128 bits of an id, most significant half first.
struct Bits128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend constexpr bool operator==(const Bits128&, const Bits128&) = default;
};

// Both kinds carry their time in the first 48 bits.
constexpr std::uint64_t milliseconds_of(Bits128 bits) noexcept { return bits.high >> 16; }

inline constexpr std::size_t ulid_length = 26;
inline constexpr std::size_t uuid_length = 36;

inline constexpr std::string_view crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

// What a character of Crockford's base 32 stands for, in either case; -1 for any other character.
// The alphabet's lenient readings (I and L for 1, O for 0) are no part of a ULID.
constexpr int crockford_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  const char upper = is_lower(c) ? char(c - 'a' + 'A') : c;
  for (int value = 10; value < 32; value++)
    if (crockford[std::size_t(value)] == upper) return value;
  return -1;
}

// Reads 26 characters in any case. False if they are no ULID. What is above `7ZZZ...` is none,
// because its value needs more than 128 bits.
constexpr bool decode_ulid(std::string_view text, Bits128& bits) noexcept {
  if (text.size() != ulid_length || text[0] > '7') return false;
  Bits128 value;
  for (char c : text) {
    const int digit = crockford_value(c);
    if (digit < 0) return false;
    value.high = value.high << 5 | value.low >> 59;
    value.low = value.low << 5 | std::uint64_t(digit);
  }
  bits = value;
  return true;
}

constexpr std::array<char, ulid_length> encode_ulid(Bits128 bits) noexcept {
  std::array<char, ulid_length> text{};
  for (std::size_t i = ulid_length; i-- > 0;) {
    text[i] = crockford[bits.low & 31];
    bits.low = bits.low >> 5 | bits.high << 59;
    bits.high >>= 5;
  }
  return text;
}

constexpr int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

constexpr bool is_uuid_hyphen(std::size_t at) noexcept {
  return at == 8 || at == 13 || at == 18 || at == 23;
}

// Reads the 8-4-4-4-12 form of any UUID, in any case. False if it is none.
constexpr bool decode_uuid(std::string_view text, Bits128& bits) noexcept {
  if (text.size() != uuid_length) return false;
  Bits128 value;
  for (std::size_t i = 0; i < uuid_length; i++) {
    if (is_uuid_hyphen(i)) {
      if (text[i] != '-') return false;
      continue;
    }
    const int digit = hex_value(text[i]);
    if (digit < 0) return false;
    value.high = value.high << 4 | value.low >> 60;
    value.low = value.low << 4 | std::uint64_t(digit);
  }
  bits = value;
  return true;
}

constexpr std::array<char, uuid_length> encode_uuid(Bits128 bits) noexcept {
  std::array<char, uuid_length> text{};
  for (std::size_t i = uuid_length; i-- > 0;) {
    if (is_uuid_hyphen(i)) {
      text[i] = '-';
      continue;
    }
    text[i] = "0123456789abcdef"[bits.low & 15];
    bits.low = bits.low >> 4 | bits.high << 60;
    bits.high >>= 4;
  }
  return text;
}

// Version 7 and the variant of RFC 9562 (binary 10).
constexpr bool is_version_7(Bits128 bits) noexcept {
  return (bits.high >> 12 & 15) == 7 && bits.low >> 62 == 2;
}

constexpr bool is_ulid(std::string_view text) noexcept {
  Bits128 bits;
  return decode_ulid(text, bits);
}

constexpr bool is_uuidv7(std::string_view text) noexcept {
  Bits128 bits;
  return decode_uuid(text, bits) && is_version_7(bits);
}

}  // namespace kanthorq
