// When a refused event comes again.
#pragma once

#include <cstdint>

namespace kanthorq {

inline constexpr std::int64_t shortest_retry_ms = 1000;
inline constexpr std::int64_t longest_retry_ms = 24 * 60 * 60 * 1000;

// The delay before the next attempt, in milliseconds. In seconds it is the fourth power of the
// number of attempts made, and 10 % more or less, so that events that were refused together do not
// return together. It is at least a second and at most a day. `random` is any 32 random bits.
constexpr std::int64_t retry_delay_ms(int attempts_made, std::uint32_t random) noexcept {
  const std::int64_t attempts = attempts_made < 1 ? 1 : attempts_made > 20 ? 20 : attempts_made;
  const std::int64_t middle = attempts * attempts * attempts * attempts * 1000;
  const std::int64_t spread = middle / 10;
  const std::int64_t delay = middle - spread + std::int64_t(random) % (2 * spread + 1);
  return delay < shortest_retry_ms  ? shortest_retry_ms
         : delay > longest_retry_ms ? longest_retry_ms
                                    : delay;
}

}  // namespace kanthorq
