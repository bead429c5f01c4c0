// Making ids that strictly increase.
//
// Within one millisecond the random part of the last id counts up by one, as the ULID
// specification's monotonic factory and RFC 9562 section 6.2 (method 2) have it. If the clock
// stands still or steps back, the last id's millisecond is kept. If the random part overflows, the
// next millisecond is borrowed. So an id is never refused and, up to the last millisecond that an
// id can carry, never repeats.
#pragma once

#include <cstdint>

#include "core/sortable_id.hpp"

namespace kanthorq {

// The last id that a generator made. A zeroed one has made none.
struct IdGenerator {
  std::uint64_t milliseconds = 0;
  std::uint64_t random_high = 0;  // the random bits above the low 64 (ULID) or 62 (UUIDv7)
  std::uint64_t random_low = 0;
  bool started = false;
};

// How many of the 128 bits are random, in two parts.
struct RandomBits {
  int high;
  int low;
};

inline constexpr RandomBits ulid_random{16, 64};
inline constexpr RandomBits uuidv7_random{12, 62};

constexpr std::uint64_t low_bits(int count) noexcept {
  return count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

// Moves to the next id at `now`, in milliseconds since the epoch. `random(&high, &low)` fills two
// words with random bits. It is called at most once a millisecond. If it does not return, nothing
// has changed.
template <typename Random>
constexpr void advance(IdGenerator& last, std::uint64_t now, RandomBits bits, Random random) {
  if (now > max_id_milliseconds) now = max_id_milliseconds;
  if (last.started && now <= last.milliseconds) {
    const std::uint64_t low = (last.random_low + 1) & low_bits(bits.low);
    const std::uint64_t carry = low == 0 ? 1 : 0;
    const std::uint64_t high = (last.random_high + carry) & low_bits(bits.high);
    if (low != 0 || high != 0) {
      last.random_low = low;
      last.random_high = high;
      return;
    }
    now = last.milliseconds + 1;
  }
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  random(&high, &low);
  last = {now, high & low_bits(bits.high), low & low_bits(bits.low), true};
}

constexpr Bits128 as_ulid(const IdGenerator& last) noexcept {
  return {last.milliseconds << 16 | last.random_high, last.random_low};
}

constexpr Bits128 as_uuidv7(const IdGenerator& last) noexcept {
  return {last.milliseconds << 16 | std::uint64_t{7} << 12 | last.random_high,
          std::uint64_t{2} << 62 | last.random_low};
}

}  // namespace kanthorq
