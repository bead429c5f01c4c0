// Owns the rules of core/cursor.hpp, case by case; cursor_model_test.cpp has them all together.
#include "cursor_calls.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <ostream>
#include <utility>
#include <vector>

namespace kanthorq {

void PrintTo(const LateWriter& late, std::ostream* out) {
  *out << '(' << late.txid << ", " << late.after << ", " << late.upto << ')';
}

namespace {

TEST(Cursor, ATransactionIsFoundByItsId) {
  const Late late = {{7, 10, 20}, {5, 30, 40}, {9, 50, 60}};
  for (std::size_t i = 0; i < late.size(); i++) {
    EXPECT_EQ(find_late(late.data(), late.size(), late[i].txid), &late[i]);
    EXPECT_EQ(find_late(late.data(), i, late[i].txid), nullptr);
    EXPECT_TRUE(contains(Txids{7, 5, 9}, late[i].txid));
  }
  EXPECT_EQ(find_late(late.data(), late.size(), 8), nullptr);
  EXPECT_EQ(find_late(nullptr, 0, 7), nullptr);
  EXPECT_FALSE(contains(Txids{7, 5, 9}, 8));
  EXPECT_FALSE(contains(Txids{7, 5, 9}, (std::uint64_t{1} << 32) + 7));  // another epoch
  EXPECT_FALSE(contains(Txids{}, 7));
}

TEST(Cursor, TakenAfterIsTheListsWordOrTheLastCeiling) {
  const Late late = {{7, 10, 20}, {5, 130, 40}};
  EXPECT_EQ(taken_after(late.data(), late.size(), 7, 100), 10);
  EXPECT_EQ(taken_after(late.data(), late.size(), 5, 100), 130);
  EXPECT_EQ(taken_after(late.data(), late.size(), 6, 100), 100);
  EXPECT_EQ(taken_after(nullptr, 0, 7, 100), 100);
}

TEST(Cursor, IsOfOpenWriterAsksForTheIdAndThePosition) {
  const Txids writers = {7, 8};
  const Late late = {{7, 10, 20}, {6, 10, 20}};
  const struct {
    std::uint64_t txid;
    std::int64_t position;
    bool open;
  } cases[] = {
      {7, 9, false},  {7, 10, false},  {7, 11, true},  {7, 101, true},  // known: after 10
      {8, 99, false}, {8, 100, false}, {8, 101, true},  // new: after the last ceiling
      {6, 11, false}, {6, 101, false},                  // ended, and not all of it delivered
      {9, 11, false}, {9, 101, false},                  // ended
  };
  for (const auto& c : cases)
    EXPECT_EQ(is_of_open_writer(c.txid, c.position, writers, late, 100), c.open)
        << c.txid << " at " << c.position;
  EXPECT_FALSE(is_of_open_writer(7, 101, {}, {}, 100));
}

TEST(Cursor, OrderedCeilingIsTheLowestAfterOfAnOpenWriter) {
  const struct {
    Txids writers;
    Late late;
    std::int64_t ceiling;
  } cases[] = {
      {{}, {}, 200},
      {{}, {{7, 10, 20}}, 200},  // ended
      {{8}, {}, 100},
      {{8, 9}, {}, 100},
      {{7}, {{7, 10, 20}}, 10},
      {{7, 8}, {{7, 10, 20}}, 10},
      {{8, 7}, {{7, 10, 20}}, 10},
      {{7, 8}, {{7, 50, 60}, {8, 40, 60}, {9, 1, 60}}, 40},
      {{8, 7}, {{7, 50, 60}, {8, 40, 60}, {9, 1, 60}}, 40},
      {{7}, {{7, 150, 60}}, 150},
      {{7}, {{7, 250, 60}}, 200},
  };
  for (const auto& c : cases)
    EXPECT_EQ(ordered_ceiling(200, c.writers, c.late, 100), c.ceiling)
        << testing::PrintToString(c.writers) << ' ' << testing::PrintToString(c.late);
}

// The cursor moves from 100 to `reached`, over these rows.
struct SeenRow {
  std::int64_t position;
  bool is_of_open_writer = false;
};
Move move_over(const std::vector<SeenRow>& rows, std::int64_t end) {
  Move move{100};
  for (const SeenRow& row : rows) move.over_row(row.position, row.is_of_open_writer);
  move.to_end(end);
  return move;
}

TEST(Cursor, MissingIsWhatHasNoRowOfAnEndedTransaction) {
  constexpr std::pair<std::int64_t, std::int64_t> none = {std::numeric_limits<std::int64_t>::max(),
                                                          std::numeric_limits<std::int64_t>::min()};
  const struct {
    std::vector<SeenRow> rows;
    std::int64_t end;
    std::pair<std::int64_t, std::int64_t> missing;
  } cases[] = {
      {{}, 100, none},
      {{}, 99, none},
      {{}, 103, {101, 103}},
      {{{101}}, 101, none},
      {{{101}}, 102, {102, 102}},
      {{{102}}, 102, {101, 101}},
      {{{103}}, 105, {101, 105}},
      {{{101}, {102}, {103}}, 103, none},
      {{{101}, {105}, {106}}, 106, {102, 104}},
      {{{101}, {103}, {104}, {106}, {107}}, 107, {102, 105}},
      {{{101, true}}, 101, {101, 101}},
      {{{101}, {102, true}, {103}, {104, true}, {105}}, 105, {102, 104}},
      {{{101}, {102, true}, {103}, {105}, {106}}, 106, {102, 104}},
  };
  for (const auto& c : cases) {
    const Move move = move_over(c.rows, c.end);
    EXPECT_EQ(move.reached, std::max(std::int64_t{100}, c.end));
    EXPECT_EQ(std::pair(move.first_missing, move.last_missing), c.missing) << c.end;
  }
}

TEST(Cursor, NextLateWhenNothingIsKnownOfTheWay) {
  const struct {
    Late late;
    Txids writers;
    Late next;
  } cases[] = {
      {{}, {}, {}},
      {{}, {7}, {{7, 100, 150}}},
      {{}, {9, 7, 8}, {{9, 100, 150}, {7, 100, 150}, {8, 100, 150}}},
      {{{7, 10, 90}}, {7}, {{7, 10, 150}}},
      {{{7, 10, 160}}, {7}, {{7, 10, 160}}},  // what is owed is never less
      {{{7, 10, 120}}, {}, {{7, 10, 120}}},   // ended, and more of it than one batch
      {{{7, 10, 120}}, {8}, {{7, 10, 120}, {8, 100, 150}}},
      {{{7, 10, 120}, {8, 20, 120}}, {8}, {{7, 10, 120}, {8, 20, 150}}},
      {{{7, 10, 120}, {8, 20, 120}}, {9, 8, 7}, {{7, 10, 150}, {8, 20, 150}, {9, 100, 150}}},
  };
  for (const auto& c : cases)
    EXPECT_EQ(next_late(c.late, c.writers, 100, move_over({}, 150)), c.next)
        << testing::PrintToString(c.late) << ' ' << testing::PrintToString(c.writers);
}

TEST(Cursor, NextLateIsAsNarrowAsWhatIsMissing) {
  const Move full = move_over({{101}, {102}}, 102);
  const Move gaps = move_over({{101}, {103}, {104}, {106}, {107}}, 107);  // 102 and 105
  const struct {
    Late late;
    Move move;
    std::int64_t last_ceiling;
    Late next;
  } cases[] = {
      // Seen for the first time.
      {{}, full, 100, {{7, 102, 102}}},
      {{}, gaps, 100, {{7, 101, 105}}},
      {{}, gaps, 103, {{7, 103, 105}}},
      {{}, gaps, 105, {{7, 107, 107}}},
      {{}, gaps, 1000, {{7, 1000, 1000}}},
      {{}, Move{100}, 100, {{7, 100, 100}}},
      // It owed nothing.
      {{{7, 100, 100}}, full, 100, {{7, 102, 102}}},
      {{{7, 100, 100}}, gaps, 100, {{7, 101, 105}}},
      {{{7, 104, 104}}, gaps, 100, {{7, 104, 105}}},
      {{{7, 104, 100}}, gaps, 100, {{7, 104, 105}}},
      {{{7, 500, 100}}, gaps, 100, {{7, 500, 500}}},
      {{{7, 50, 50}}, Move{100}, 100, {{7, 100, 100}}},
      // It owed something, so nobody knows more of where it begins.
      {{{7, 90, 95}}, full, 100, {{7, 90, 95}}},
      {{{7, 90, 95}}, gaps, 100, {{7, 90, 105}}},
      {{{7, 90, 95}}, Move{100}, 100, {{7, 90, 95}}},
  };
  for (const auto& c : cases)
    EXPECT_EQ(next_late(c.late, {7}, c.last_ceiling, c.move), c.next)
        << testing::PrintToString(c.late) << ' ' << c.last_ceiling;
  EXPECT_EQ(next_late({{7, 90, 95}}, {}, 100, gaps), (Late{{7, 90, 95}}));  // it has ended
}

// Reads all of each run, or up to `enough`; the runs and what is left.
struct Reading {
  std::vector<std::pair<std::int64_t, std::int64_t>> runs;
  Late left;
};
Reading read_owed(Late late, const Txids& writers, std::int64_t enough) {
  Reading reading;
  late.resize(kanthorq::read_owed(late.data(), late.size(), writers.data(), writers.size(),
                                  [&](const LateWriter*, const OwedRun& run) {
                                    reading.runs.push_back({run.after, run.upto});
                                    return std::max(run.after, std::min(run.upto, enough));
                                  }));
  std::sort(late.begin(), late.end(),
            [](const LateWriter& a, const LateWriter& b) { return a.txid < b.txid; });
  reading.left = late;
  return reading;
}

TEST(Cursor, WhatEndedWritersOweIsReadTogetherWhereItOverlaps) {
  const struct {
    Late late;
    Txids writers;
    std::int64_t enough;
    Reading reading;
  } cases[] = {
      {{}, {7}, 1000, {{}, {}}},
      {{{7, 10, 20}}, {7}, 1000, {{}, {{7, 10, 20}}}},
      {{{7, 10, 20}}, {}, 1000, {{{10, 20}}, {}}},
      {{{7, 10, 20}, {8, 19, 25}}, {}, 1000, {{{10, 25}}, {}}},
      {{{8, 19, 25}, {7, 10, 20}}, {}, 1000, {{{10, 25}}, {}}},
      {{{7, 10, 30}, {8, 19, 25}, {9, 29, 31}}, {}, 1000, {{{10, 31}}, {}}},
      {{{7, 10, 20}, {8, 20, 25}}, {}, 1000, {{{10, 20}, {20, 25}}, {}}},
      {{{7, 10, 20}, {8, 1000000, 1000001}},
       {},
       1000000,
       {{{10, 20}, {1000000, 1000001}}, {{8, 1000000, 1000001}}}},
      {{{7, 10, 30}, {8, 15, 25}, {9, 12, 40}}, {9}, 1000, {{{10, 30}}, {{9, 12, 40}}}},
      // Enough was seen before the end: each keeps what lies after it.
      {{{7, 10, 30}, {8, 15, 25}}, {}, 10, {{{10, 30}}, {{7, 10, 30}, {8, 15, 25}}}},
      {{{7, 10, 30}, {8, 15, 25}}, {}, 12, {{{10, 30}}, {{7, 12, 30}, {8, 15, 25}}}},
      {{{7, 10, 30}, {8, 15, 25}}, {}, 20, {{{10, 30}}, {{7, 20, 30}, {8, 20, 25}}}},
      {{{7, 10, 30}, {8, 15, 25}}, {}, 25, {{{10, 30}}, {{7, 25, 30}}}},
      {{{7, 10, 30}, {8, 15, 25}, {9, 40, 50}},
       {},
       25,
       {{{10, 30}, {40, 50}}, {{7, 25, 30}, {9, 40, 50}}}},
  };
  for (const auto& c : cases) {
    const Reading reading = read_owed(c.late, c.writers, c.enough);
    EXPECT_EQ(reading.runs, c.reading.runs) << testing::PrintToString(c.late) << ' ' << c.enough;
    EXPECT_EQ(reading.left, c.reading.left) << testing::PrintToString(c.late) << ' ' << c.enough;
  }
}

TEST(Cursor, OwedIsWhatItsWriterWroteInItsRange) {
  const Late late = {{7, 10, 20}, {8, 15, 25}};
  const auto owed = [&](std::uint64_t txid, std::int64_t position) {
    return is_owed(late.data(), late.size(), txid, position);
  };
  EXPECT_FALSE(owed(7, 10));
  EXPECT_TRUE(owed(7, 11));
  EXPECT_TRUE(owed(7, 20));
  EXPECT_FALSE(owed(7, 21));
  EXPECT_FALSE(owed(8, 15));
  EXPECT_TRUE(owed(8, 25));
  EXPECT_FALSE(owed(9, 16));
}

// There is always an open one, but none stays: ten positions in each pull, each writer in two.
TEST(Cursor, OrderedReadingKeepsUpWithWritersThatOverlap) {
  Cursor cursor;
  Late late;
  for (std::uint64_t pull = 1; pull <= 100; pull++) {
    const std::int64_t ceiling = cursor.ceiling + 10;
    const Txids writers = {pull, pull + 1};
    std::erase_if(late, [&](const LateWriter& entry) { return !contains(writers, entry.txid); });
    const std::int64_t limit = ordered_ceiling(ceiling, writers, late, cursor.ceiling);
    EXPECT_EQ(limit, std::max(std::int64_t{0}, ceiling - 20));
    Move move{cursor.position};
    move.to_end(limit);
    late = next_late(late, writers, cursor.ceiling, move);
    cursor = {limit, ceiling};
  }
}

TEST(Cursor, PositionsAndIdsAreAsLargeAsTheyGet) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  constexpr std::uint64_t txid = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE(is_of_open_writer(txid, most, {txid}, {}, most - 1));
  EXPECT_FALSE(is_of_open_writer(txid, most, {txid}, {}, most));
  EXPECT_EQ(ordered_ceiling(most, {txid}, {}, most - 1), most - 1);
  Move move{most - 1};
  move.to_end(most);
  EXPECT_EQ(next_late({}, {txid}, most - 1, move), (Late{{txid, most - 1, most}}));
  move = {most - 1};
  move.over_row(most, false);
  EXPECT_EQ(next_late({}, {txid}, most - 1, move), (Late{{txid, most, most}}));
}

}  // namespace
}  // namespace kanthorq
