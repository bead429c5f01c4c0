// Owns the rules of core/positions.hpp: what is written is what is read, in few bytes, and bytes
// that nobody wrote end the reading. Buffers are as long as they must be and no longer, so that the
// address sanitizer sees one byte too many.
#include "core/positions.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace kanthorq {
namespace {

using List = std::vector<std::int64_t>;
using Bytes = std::vector<unsigned char>;

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

Bytes encoded(const List& positions) {
  Bytes bytes(max_encoded_positions_bytes(positions.size()));
  bytes.resize(encode_positions(positions.data(), positions.size(), bytes.data()));
  return Bytes(bytes);  // a copy has no room behind its end
}

// The positions in `bytes`, but not more than `limit`.
List decoded(const Bytes& bytes, std::size_t limit = std::numeric_limits<std::size_t>::max()) {
  PositionReader reader(bytes.data(), bytes.size());
  List positions;
  std::int64_t position = 0;
  while (positions.size() < limit && reader.next(position)) positions.push_back(position);
  return positions;
}

void expect_round_trip(const List& positions) {
  const Bytes bytes = encoded(positions);
  ASSERT_LE(bytes.size(), max_encoded_positions_bytes(positions.size()));
  ASSERT_EQ(decoded(bytes, positions.size() + 1), positions);
  const std::size_t count = positions.size();
  ASSERT_EQ(count_positions(bytes.data(), bytes.size(), count), count);
  ASSERT_EQ(count_positions(bytes.data(), bytes.size(), count + 7), count);
  if (count > 0) {
    ASSERT_EQ(count_positions(bytes.data(), bytes.size(), count - 1), count);
  }
  if (count > 1) {
    ASSERT_EQ(count_positions(bytes.data(), bytes.size(), count / 2), count / 2 + 1);
  }
}

List run(std::int64_t first, std::size_t count) {
  List positions(count);
  for (std::size_t i = 0; i < count; i++) positions[i] = first + static_cast<std::int64_t>(i);
  return positions;
}

List every(std::int64_t gap, std::int64_t first, std::size_t count) {
  List positions(count);
  for (std::size_t i = 0; i < count; i++) positions[i] = first + gap * static_cast<std::int64_t>(i);
  return positions;
}

Bytes number(std::uint64_t value) {
  Bytes bytes(10);
  bytes.resize(encode_number(value, bytes.data()));
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// They are stored, so they must mean the same in every version.
TEST(Positions, KnownBytes) {
  const struct {
    List positions;
    Bytes bytes;
  } cases[] = {
      {{}, {}},
      {{1}, {1, 1}},
      {{2}, {2, 1}},
      {{127}, {127, 1}},
      {{128}, {0x80, 1, 1}},
      {{300}, {0xac, 2, 1}},
      {{1, 2}, {1, 2}},
      {{1, 3}, {1, 1, 2, 1}},
      {{7, 8, 9, 20, 30, 31}, {7, 3, 11, 1, 10, 2}},
      {run(1, 127), {1, 127}},
      {run(1, 128), {1, 0x80, 1}},
      {{1, 16'385}, {1, 1, 0x80, 0x80, 1, 1}},
      {{most}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(testing::PrintToString(c.positions));
    EXPECT_EQ(encoded(c.positions), c.bytes);
    expect_round_trip(c.positions);
  }
}

TEST(Positions, NumbersOfEveryLength) {
  EXPECT_EQ(number(0), (Bytes{0}));
  for (int bits = 1; bits <= 64; bits++) {
    SCOPED_TRACE(bits);
    const std::uint64_t highest = ~std::uint64_t{0} >> (64 - bits);
    const auto size = static_cast<std::size_t>((bits + 6) / 7);
    EXPECT_EQ(number(highest).size(), size);
    EXPECT_EQ(number(highest / 2 + 1).size(), size);
  }
}

TEST(Positions, RoundTrips) {
  for (const List& positions : {
           List{},
           List{1},
           List{most},
           List{1, most},
           List{most - 1, most},
           List{1, 2, most - 1, most},
           List{most - 2, most},
           List{1, most / 2, most - 1},
           run(1, 100),
           run(1, 10'000),
           run(most - 99, 100),
           every(2, 1, 10'000),
           every(2, most - 2 * 99, 100),
           every(most / 100, 1, 100),
           every(std::int64_t{1} << 56, std::int64_t{1} << 56, 127),
       }) {
    SCOPED_TRACE(testing::PrintToString(positions));
    expect_round_trip(positions);
  }
}

TEST(Positions, EveryPowerOfTwoAndItsNeighbours) {
  for (int bit = 2; bit < 63; bit++) {
    const std::int64_t power = std::int64_t{1} << bit;
    expect_round_trip({power - 1, power, power + 1});
    expect_round_trip({power - 1, power + 1});
    expect_round_trip({1, power - 1, power + 1});
    expect_round_trip({power, most - power / 2});
  }
}

// From dense to sparse: the chance of a gap and the width of the gaps are the set's own.
TEST(Positions, RandomSets) {
  std::mt19937_64 random(20240229);
  for (int i = 0; i < 10'000; i++) {
    const std::size_t count = random() % 200;
    const std::uint64_t gap_in = 1 + random() % 20;
    const int gap_bits = static_cast<int>(1 + random() % 55);
    List positions;
    std::int64_t position = static_cast<std::int64_t>(random() >> (1 + random() % 63));
    position = std::min(position, most - (std::int64_t{1} << 62));
    while (positions.size() < count) {
      if (random() % gap_in == 0)
        position += static_cast<std::int64_t>(random() >> (64 - gap_bits)) % (most >> 9);
      positions.push_back(++position);
    }
    ASSERT_TRUE(positions.empty() || positions.back() > 0);
    ASSERT_NO_FATAL_FAILURE(expect_round_trip(positions)) << "set " << i;
  }
}

TEST(Positions, ARunTakesAFewBytes) {
  for (std::int64_t first : {std::int64_t{1}, std::int64_t{1'000'000}, std::int64_t{1} << 40,
                             std::int64_t{1} << 62, most - 99}) {
    SCOPED_TRACE(first);
    EXPECT_LE(encoded(run(first, 100)).size(), 12u);
  }
  EXPECT_EQ(encoded(run(100, 100)).size(), 2u);
  EXPECT_EQ(encoded(run(10'000, 100)).size(), 3u);
  EXPECT_EQ(encoded(run(1'000'000, 10'000)).size(), 5u);
}

TEST(Positions, ScatteredOnesTakeTwoBytesEach) {
  for (std::int64_t gap : {2, 3, 50, 127}) {
    SCOPED_TRACE(gap);
    EXPECT_EQ(encoded(every(gap, 1, 100)).size(), 200u);
    EXPECT_EQ(encoded(every(gap, std::int64_t{1} << 40, 100)).size(), 205u);
  }
  EXPECT_EQ(encoded(every(128, 1, 100)).size(), 299u);
}

TEST(Positions, TheRoomIsEnoughForTheWidestNumbers) {
  EXPECT_EQ(max_encoded_positions_bytes(0), 0u);
  EXPECT_LE(number(~std::uint64_t{0}).size() * 2, max_encoded_positions_bytes(1));
  for (std::size_t count = 1; count <= 127; count++) {
    const List widest = every(most / static_cast<std::int64_t>(count),
                              most / static_cast<std::int64_t>(count), count);
    EXPECT_LE(encoded(widest).size(), max_encoded_positions_bytes(count)) << count;
  }
}

TEST(Positions, ATruncatedEncodingIsReadUpToTheLastWholeRun) {
  const List positions = {1, 2, 3, 500, 501, 70'000, 1'000'000, most - 1, most};
  const Bytes bytes = encoded(positions);
  for (std::size_t size = 0; size < bytes.size(); size++) {
    SCOPED_TRACE(size);
    const Bytes start(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    const List read = decoded(start);
    EXPECT_LT(read.size(), positions.size());
    EXPECT_EQ(read, List(positions.begin(),
                         positions.begin() + static_cast<std::ptrdiff_t>(read.size())));
    EXPECT_LE(encoded(read).size(), size);
    // The end of a run is no damage that shows.
    if (encoded(read) == start)
      EXPECT_EQ(count_positions(start.data(), start.size(), 100), read.size());
    else
      EXPECT_EQ(count_positions(start.data(), start.size(), 100), 101u);
  }
}

const struct {
  const char* what;
  Bytes bytes;
  List read;
} corrupt[] = {
    {"distance zero", {0, 1}, {}},
    {"distance zero before a long run", {0, 5}, {}},
    {"distance zero after a run", {1, 2, 0, 3}, {1, 2}},
    {"length zero", {1, 0}, {}},
    {"length zero after a run", {4, 1, 3, 0, 1, 1}, {4}},
    {"both zero", {0, 0}, {}},
    {"zeros", Bytes(100, 0), {}},
    {"a distance and no length", {9}, {}},
    {"a distance that does not end", {0x80}, {}},
    {"a distance that does not end after a run", {1, 1, 0x85}, {1}},
    {"a length that does not end", {1, 0x85}, {}},
    {"a length that does not end after a run", {1, 1, 2, 0xff, 0xff}, {1}},
    {"a distance of eleven bytes", Bytes(10, 0x80) + Bytes{1, 1}, {}},
    {"a length of eleven bytes", Bytes{1} + Bytes(10, 0x81) + Bytes{1}, {}},
    {"numbers that do not end", Bytes(1000, 0xff), {}},
    {"a distance of more than 64 bits", Bytes(9, 0xff) + Bytes{2, 1}, {}},
    {"a length of more than 64 bits", Bytes{1, 0x81} + Bytes(8, 0x80) + Bytes{2}, {}},
};

TEST(Positions, CorruptBytesEndTheReading) {
  for (const auto& c : corrupt) {
    SCOPED_TRACE(c.what);
    EXPECT_EQ(decoded(c.bytes, 1000), c.read);
    EXPECT_EQ(count_positions(c.bytes.data(), c.bytes.size(), 100), 101u);
  }
}

TEST(Positions, TheEndIsTheEnd) {
  for (const auto& c : corrupt) {
    SCOPED_TRACE(c.what);
    PositionReader reader(c.bytes.data(), c.bytes.size());
    std::int64_t position = 0;
    for (std::size_t i = 0; i < c.read.size(); i++) ASSERT_TRUE(reader.next(position));
    EXPECT_FALSE(reader.is_damaged());
    for (int i = 0; i < 1000; i++) ASSERT_FALSE(reader.next(position)) << "asked again " << i;
    EXPECT_TRUE(reader.is_damaged());
  }
  PositionReader nothing(nullptr, 0);
  std::int64_t position = 0;
  EXPECT_FALSE(nothing.next(position));
  EXPECT_FALSE(nothing.next(position));
  EXPECT_FALSE(nothing.is_damaged());
}

// A run that no set of positions has is not walked: not over the end of the numbers, and not for
// years.
TEST(Positions, ARunBeyondTheLastPositionEndsTheReading) {
  const std::uint64_t top = static_cast<std::uint64_t>(most);
  const struct {
    std::uint64_t distance;
    std::uint64_t length;
  } runs[] = {
      {top, 2},       {top - 1, 3},     {top + 1, 1},     {top + 2, 1}, {~0ull, 1},
      {1, top + 1},   {1, top + 2},     {1, ~0ull},       {2, top},     {top, top},
      {~0ull, ~0ull}, {top + 1, ~0ull}, {top / 2, ~0ull}, {~0ull, top}, {top / 2 + 2, top / 2 + 2},
  };
  for (const auto& c : runs) {
    SCOPED_TRACE(testing::Message() << c.distance << " and " << c.length);
    EXPECT_EQ(decoded(number(c.distance) + number(c.length), 1000), List{});
    const List before = {1, 2};
    EXPECT_EQ(decoded(encoded(before) + number(c.distance) + number(c.length), 1000), before);
  }
  EXPECT_EQ(decoded(encoded({most - 1, most}) + Bytes{1, 1}, 1000), (List{most - 1, most}));
}

// Whatever is read are positions: ascending, and at least 1.
TEST(Positions, RandomBytesAreReadWithoutHarm) {
  std::mt19937_64 random(20240229);
  for (int i = 0; i < 50'000; i++) {
    Bytes bytes(random() % 40);
    const unsigned dense = i % 3 == 0 ? 0xff : i % 3 == 1 ? 0x83 : 0x8f;
    for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random() & dense);
    const List read = decoded(Bytes(bytes), 500);
    std::int64_t before = 0;
    for (std::int64_t position : read) {
      ASSERT_GT(position, before) << testing::PrintToString(bytes);
      before = position;
    }
  }
}

// One byte changed anywhere.
TEST(Positions, DamagedEncodingsAreReadWithoutHarm) {
  const Bytes whole = encoded({1, 2, 3, 500, 501, 70'000, 1'000'000, most - 1, most});
  for (std::size_t at = 0; at < whole.size(); at++) {
    for (int value = 0; value < 256; value++) {
      Bytes bytes = whole;
      bytes[at] = static_cast<unsigned char>(value);
      const List read = decoded(bytes, 500);
      ASSERT_TRUE(std::is_sorted(read.begin(), read.end(), std::less_equal<>())) << at;
      ASSERT_TRUE(read.empty() || read.front() >= 1) << at;
    }
  }
}

constexpr std::int64_t last_of_run_at_compile_time() {
  constexpr std::int64_t positions[] = {5, 6, 7, 1000};
  unsigned char bytes[max_encoded_positions_bytes(4)] = {};
  PositionReader reader(bytes, encode_positions(positions, 4, bytes));
  std::int64_t position = 0;
  while (reader.next(position)) {
  }
  return position;
}

TEST(Positions, AreKnownAtCompileTime) { static_assert(last_of_run_at_compile_time() == 1000); }

}  // namespace
}  // namespace kanthorq
