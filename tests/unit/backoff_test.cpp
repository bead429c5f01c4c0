// Owns the rules of core/backoff.hpp: how long a refused event waits, by the attempts made.
#include "core/backoff.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace kanthorq {
namespace {

constexpr std::int64_t second = 1000;
constexpr std::int64_t day = 86'400'000;
constexpr std::uint32_t all_ones = std::numeric_limits<std::uint32_t>::max();

struct Range {
  std::int64_t shortest;
  std::int64_t longest;
};

constexpr std::int64_t within_bounds(std::int64_t delay) {
  return delay < second ? second : delay > day ? day : delay;
}

// The rule itself, for numbers that are too small to overflow: attempt^4 seconds, 10 % around it.
constexpr Range range_after(std::int64_t attempts) {
  const std::int64_t seconds = attempts * attempts * attempts * attempts;
  return {within_bounds(seconds * 900), within_bounds(seconds * 1100)};
}

// The random bits that lead to the longest delay, if the bounds leave the range alone.
constexpr std::uint32_t longest_at(std::int64_t attempts) {
  return static_cast<std::uint32_t>(200 * attempts * attempts * attempts * attempts);
}

TEST(Backoff, DocumentedDelays) {
  constexpr struct {
    int attempts;
    Range range;
  } cases[] = {
      {1, {1000, 1100}},
      {2, {14'400, 17'600}},
      {3, {72'900, 89'100}},
      {4, {230'400, 281'600}},
      {10, {9'000'000, 11'000'000}},
      {16, {58'982'400, 72'089'600}},
      {17, {75'168'900, day}},
      {18, {day, day}},
      {100, {day, day}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.attempts);
    EXPECT_EQ(range_after(c.attempts).shortest, c.range.shortest);
    EXPECT_EQ(range_after(c.attempts).longest, c.range.longest);
    EXPECT_EQ(retry_delay_ms(c.attempts, 0), c.range.shortest);
    EXPECT_EQ(retry_delay_ms(c.attempts, longest_at(c.attempts < 17 ? c.attempts : 17)),
              c.range.longest);
  }
}

TEST(Backoff, EveryAttemptStaysInItsRange) {
  std::mt19937 random(20240229);
  for (int attempts = 1; attempts <= 100; attempts++) {
    SCOPED_TRACE(attempts);
    const Range range = range_after(attempts);
    const auto expect_in_range = [&](std::uint32_t bits) {
      const std::int64_t delay = retry_delay_ms(attempts, bits);
      ASSERT_GE(delay, range.shortest) << bits;
      ASSERT_LE(delay, range.longest) << bits;
    };
    for (std::uint32_t bits : {0u, 1u, 0x7fffffffu, 0x80000000u, all_ones}) expect_in_range(bits);
    for (int i = 0; i < 1000; i++) expect_in_range(random());
  }
}

TEST(Backoff, BothEndsOfTheRangeAreReached) {
  for (int attempts = 1; attempts <= 16; attempts++) {
    SCOPED_TRACE(attempts);
    const Range range = range_after(attempts);
    const std::uint32_t longest = longest_at(attempts);
    EXPECT_EQ(retry_delay_ms(attempts, 0), range.shortest);
    EXPECT_EQ(retry_delay_ms(attempts, longest), range.longest);
    EXPECT_EQ(retry_delay_ms(attempts, longest - 1), range.longest - 1);
    EXPECT_EQ(retry_delay_ms(attempts, longest + 1), range.shortest);
  }
}

TEST(Backoff, EveryMillisecondOfTheRangeIsAsLikely) {
  for (std::uint32_t bits = 0; bits <= longest_at(2); bits++) {
    ASSERT_EQ(retry_delay_ms(2, bits), 14'400 + bits);
    ASSERT_EQ(retry_delay_ms(2, bits + longest_at(2) + 1), 14'400 + bits);
  }
}

TEST(Backoff, TheShortestDelayIsASecond) {
  for (std::uint32_t bits = 0; bits <= 100; bits++) EXPECT_EQ(retry_delay_ms(1, bits), second);
  EXPECT_EQ(retry_delay_ms(1, 101), second + 1);
}

// None of these is ever stored; whoever asks gets an answer within the bounds all the same.
TEST(Backoff, ExtremesDoNotOverflow) {
  constexpr int most = std::numeric_limits<int>::max();
  constexpr int least = std::numeric_limits<int>::min();
  for (std::uint32_t bits : {0u, 1u, 200u, 0x80000000u, all_ones}) {
    SCOPED_TRACE(bits);
    for (int attempts : {least, least + 1, -100, -1, 0})
      EXPECT_EQ(retry_delay_ms(attempts, bits), retry_delay_ms(1, bits)) << attempts;
    for (int attempts : {18, 101, 1000, 32767, 55'109, 65'536, most - 1, most})
      EXPECT_EQ(retry_delay_ms(attempts, bits), day) << attempts;
  }
}

TEST(Backoff, IsKnownAtCompileTime) {
  static_assert(shortest_retry_ms == second);
  static_assert(longest_retry_ms == day);
  static_assert(retry_delay_ms(3, longest_at(3) / 2) == 81 * second);
}

}  // namespace
}  // namespace kanthorq
