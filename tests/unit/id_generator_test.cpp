// Owns the rules of core/id_generator.hpp: ids of one generator strictly increase, whatever the
// clock and the random bits do.
#include "core/id_generator.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

namespace kanthorq {
namespace {

constexpr std::uint64_t all_ones = ~std::uint64_t{0};

std::string ulid_of(const IdGenerator& last) {
  const auto text = encode_ulid(as_ulid(last));
  return {text.data(), text.size()};
}

std::string uuid_of(const IdGenerator& last) {
  const auto text = encode_uuid(as_uuidv7(last));
  return {text.data(), text.size()};
}

// A generator whose random bits the test chooses and counts.
struct Source {
  RandomBits bits = ulid_random;
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  int asked = 0;
  IdGenerator last{};

  void advance_at(std::uint64_t now) {
    advance(last, now, bits, [this](std::uint64_t* to_high, std::uint64_t* to_low) {
      *to_high = high;
      *to_low = low;
      asked++;
    });
  }
  std::string ulid_at(std::uint64_t now) {
    advance_at(now);
    return ulid_of(last);
  }
  std::string uuid_at(std::uint64_t now) {
    advance_at(now);
    return uuid_of(last);
  }
};

// A source whose first id is `ulid`.
Source source_of(std::string_view ulid) {
  Bits128 bits;
  EXPECT_TRUE(decode_ulid(ulid, bits));
  return {ulid_random, bits.high & 0xffff, bits.low};
}

void expect_last(const Source& source, std::uint64_t milliseconds, std::uint64_t high,
                 std::uint64_t low, int asked) {
  EXPECT_EQ(source.last.milliseconds, milliseconds);
  EXPECT_EQ(source.last.random_high, high);
  EXPECT_EQ(source.last.random_low, low);
  EXPECT_EQ(source.asked, asked);
}

TEST(IdGenerator, FirstIdIsTheClockAndTheRandomBits) {
  Source source = source_of("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  EXPECT_EQ(source.ulid_at(1469922850259), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  EXPECT_EQ(source.asked, 1);

  Source uuids{uuidv7_random, 0xcc3, 0x18c4dc0c0c07398f};  // RFC 9562, appendix A.6
  EXPECT_EQ(uuids.uuid_at(1645557742000), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  EXPECT_EQ(uuids.asked, 1);
}

TEST(IdGenerator, RandomBitsBeyondTheFormsOwnAreDropped) {
  Source ulids{ulid_random, all_ones, all_ones};
  EXPECT_EQ(ulids.ulid_at(0), "0000000000ZZZZZZZZZZZZZZZZ");
  expect_last(ulids, 0, 0xffff, all_ones, 1);

  Source uuids{uuidv7_random, all_ones, all_ones};
  EXPECT_EQ(uuids.uuid_at(0), "00000000-0000-7fff-bfff-ffffffffffff");
  expect_last(uuids, 0, 0xfff, all_ones >> 2, 1);
}

// The sequence that the ULID specification shows for its monotonic factory.
TEST(IdGenerator, WithinAMillisecondTheUlidSpecificationsSequence) {
  constexpr std::uint64_t now = 1508808576371;
  Source source = source_of("01BX5ZZKBKACTAV9WEVGEMMVRY");
  EXPECT_EQ(source.ulid_at(now), "01BX5ZZKBKACTAV9WEVGEMMVRY");
  EXPECT_EQ(source.ulid_at(now), "01BX5ZZKBKACTAV9WEVGEMMVRZ");
  EXPECT_EQ(source.ulid_at(now), "01BX5ZZKBKACTAV9WEVGEMMVS0");
  EXPECT_EQ(source.ulid_at(now), "01BX5ZZKBKACTAV9WEVGEMMVS1");
  EXPECT_EQ(source.asked, 1);
}

// Where the specification's factory gives up, the next millisecond is borrowed.
TEST(IdGenerator, WhereTheRandomPartOverflowsTheNextMillisecondIsBorrowed) {
  constexpr std::uint64_t now = 1508808576371;
  Source source = source_of("01BX5ZZKBKZZZZZZZZZZZZZZZX");
  EXPECT_EQ(source.ulid_at(now), "01BX5ZZKBKZZZZZZZZZZZZZZZX");
  EXPECT_EQ(source.ulid_at(now), "01BX5ZZKBKZZZZZZZZZZZZZZZY");
  EXPECT_EQ(source.ulid_at(now), "01BX5ZZKBKZZZZZZZZZZZZZZZZ");
  EXPECT_EQ(source.asked, 1);
  source.high = 0x1234;
  source.low = 5;
  source.advance_at(now);
  expect_last(source, now + 1, 0x1234, 5, 2);
  EXPECT_TRUE(ulid_of(source.last).starts_with("01BX5ZZKBM"));

  source.advance_at(now);  // the clock is still behind the borrowed millisecond
  expect_last(source, now + 1, 0x1234, 6, 2);
  source.advance_at(now + 1);  // and now it is there
  expect_last(source, now + 1, 0x1234, 7, 2);
  source.advance_at(now + 2);  // and beyond it
  expect_last(source, now + 2, 0x1234, 5, 3);
}

TEST(IdGenerator, UuidsBorrowTheNextMillisecondToo) {
  Source source{uuidv7_random, 0xfff, all_ones};
  EXPECT_EQ(source.uuid_at(0x017f22e279b0), "017f22e2-79b0-7fff-bfff-ffffffffffff");
  source.high = 0xcc3;
  source.low = 0x18c4dc0c0c07398f;
  EXPECT_EQ(source.uuid_at(0x017f22e279b0), "017f22e2-79b1-7cc3-98c4-dc0c0c07398f");
  EXPECT_EQ(source.asked, 2);
}

TEST(IdGenerator, BorrowsAgainAndAgainUnderAClockThatStandsStill) {
  Source source{ulid_random, 0xffff, all_ones};
  for (std::uint64_t i = 0; i < 100; i++) {
    source.advance_at(1000);
    expect_last(source, 1000 + i, 0xffff, all_ones, static_cast<int>(i) + 1);
  }
}

TEST(IdGenerator, LowPartCarriesIntoTheHighPart) {
  Source ulids{ulid_random, 5, all_ones};
  ulids.advance_at(1000);
  ulids.advance_at(1000);
  expect_last(ulids, 1000, 6, 0, 1);
  ulids.advance_at(1000);
  expect_last(ulids, 1000, 6, 1, 1);

  Source uuids{uuidv7_random, 5, all_ones >> 2};
  EXPECT_EQ(uuids.uuid_at(1000), "00000000-03e8-7005-bfff-ffffffffffff");
  EXPECT_EQ(uuids.uuid_at(1000), "00000000-03e8-7006-8000-000000000000");
  EXPECT_EQ(uuids.uuid_at(1000), "00000000-03e8-7006-8000-000000000001");
  EXPECT_EQ(uuids.asked, 1);
}

TEST(IdGenerator, AClockThatStandsStillAsksForRandomBitsOnce) {
  Source source{ulid_random, 7, 40};
  for (int i = 0; i < 1000; i++) source.advance_at(1700000000000);
  expect_last(source, 1700000000000, 7, 40 + 999, 1);
}

TEST(IdGenerator, AClockThatStepsBackKeepsTheLastMillisecond) {
  Source source{ulid_random, 7, 40};
  source.advance_at(1700000000000);
  source.advance_at(1699999999999);
  expect_last(source, 1700000000000, 7, 41, 1);
  source.advance_at(0);
  expect_last(source, 1700000000000, 7, 42, 1);
  source.advance_at(1700000000000);
  expect_last(source, 1700000000000, 7, 43, 1);
}

TEST(IdGenerator, AClockThatMovesOnTakesNewRandomBits) {
  Source source{ulid_random, 7, 40};
  source.advance_at(1700000000000);
  source.high = 1;
  source.low = 2;
  source.advance_at(1700000000001);
  expect_last(source, 1700000000001, 1, 2, 2);
  source.advance_at(1800000000000);
  expect_last(source, 1800000000000, 1, 2, 3);
}

TEST(IdGenerator, TimeZeroIsATimeLikeAnyOther) {
  Source source{ulid_random, 0, 0};
  EXPECT_EQ(source.ulid_at(0), "00000000000000000000000000");
  EXPECT_EQ(source.asked, 1);
  EXPECT_EQ(source.ulid_at(0), "00000000000000000000000001");
  EXPECT_EQ(source.asked, 1);

  Source uuids{uuidv7_random, 0, 0};
  EXPECT_EQ(uuids.uuid_at(0), "00000000-0000-7000-8000-000000000000");
  EXPECT_EQ(uuids.uuid_at(0), "00000000-0000-7000-8000-000000000001");
}

TEST(IdGenerator, AClockBeyondTheLastMillisecondIsTakenForTheLast) {
  for (std::uint64_t now :
       {max_id_milliseconds, max_id_milliseconds + 1, std::uint64_t{1} << 63, all_ones}) {
    SCOPED_TRACE(now);
    Source source{ulid_random, 0, 0};
    EXPECT_EQ(source.ulid_at(now), "7ZZZZZZZZZ0000000000000000");
    EXPECT_EQ(source.ulid_at(now), "7ZZZZZZZZZ0000000000000001");
    expect_last(source, 281474976710655, 0, 1, 1);
    Source uuids{uuidv7_random, 0, 0};
    EXPECT_EQ(uuids.uuid_at(now), "ffffffff-ffff-7000-8000-000000000000");
  }
}

TEST(IdGenerator, FillsEveryBitThatIsNotFixed) {
  std::mt19937_64 random(20240229);
  Bits128 ever_set{};
  Bits128 ever_clear{};
  Source source{uuidv7_random};
  for (std::uint64_t now = 1; now <= 2000; now++) {
    source.high = random();
    source.low = random();
    source.advance_at(now);
    const Bits128 bits = as_uuidv7(source.last);
    ASSERT_TRUE(is_version_7(bits));
    ASSERT_EQ(milliseconds_of(bits), now);
    ever_set = {ever_set.high | bits.high, ever_set.low | bits.low};
    ever_clear = {ever_clear.high | ~bits.high, ever_clear.low | ~bits.low};
  }
  EXPECT_EQ(ever_set.high & 0xffff, 0x7fffu);
  EXPECT_EQ(ever_set.low, all_ones >> 2 | 1ull << 63);
  EXPECT_EQ(ever_clear.high & 0xffff, 0x8fffu);
  EXPECT_EQ(ever_clear.low, all_ones >> 2 | 1ull << 62);
}

// A clock that goes on by a millisecond every other step on average, trembles by a few either way
// and at times leaps, and random bits that are often next to overflowing.
template <typename Text>
void walk(RandomBits bits, Text text) {
  std::mt19937_64 random(20240229);
  IdGenerator last;
  std::uint64_t time = 1700000000000;
  std::string previous;
  std::uint64_t previous_milliseconds = 0;
  int asked = 0;
  int milliseconds = 0;
  int borrowed = 0;
  for (int step = 0; step < 1000000; step++) {
    time += random() % 2;
    if (random() % 1000 == 0) time += random() % 100;
    if (random() % 1000 == 0) time -= random() % 100;
    const std::uint64_t now = time - random() % 4;
    advance(last, now, bits, [&](std::uint64_t* high, std::uint64_t* low) {
      asked++;
      *high = random() % 2 == 0 ? all_ones : random();
      *low = random() % 2 == 0 ? all_ones : random();
    });
    const std::string id = text(last);
    ASSERT_LT(previous, id) << "step " << step;
    ASSERT_GE(last.milliseconds, now) << "step " << step;
    if (last.milliseconds != previous_milliseconds) {
      milliseconds++;
      if (last.milliseconds != now) borrowed++;
    }
    previous = id;
    previous_milliseconds = last.milliseconds;
  }
  EXPECT_EQ(asked, milliseconds);
  EXPECT_GT(milliseconds, 100000);
  EXPECT_GT(borrowed, 10000);
  EXPECT_LT(last.milliseconds - time, 1000u);
}

TEST(IdGenerator, AMillionUlidsStrictlyIncreaseUnderAnUnsteadyClock) { walk(ulid_random, ulid_of); }

TEST(IdGenerator, AMillionUuidsStrictlyIncreaseUnderAnUnsteadyClock) {
  walk(uuidv7_random, uuid_of);
}

TEST(IdGenerator, IsKnownAtCompileTime) {
  constexpr IdGenerator last = [] {
    IdGenerator generator;
    const auto random = [](std::uint64_t* high, std::uint64_t* low) { *high = 1, *low = 2; };
    advance(generator, 1000, ulid_random, random);
    advance(generator, 1000, ulid_random, random);
    return generator;
  }();
  static_assert(as_ulid(last) == Bits128{1000 << 16 | 1, 3});
}

}  // namespace
}  // namespace kanthorq
