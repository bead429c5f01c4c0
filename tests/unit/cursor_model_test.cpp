// Owns what the rules of core/cursor.hpp are for, in a model of the database: transactions take
// positions, stay open and end, in any order, also while a pull runs; a pull takes the steps that
// docs/delivery.md gives it. Random histories of it, always the same ones, are checked for what a
// consumer is promised.
#include "cursor_calls.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

namespace kanthorq {

namespace {

struct Random {
  std::mt19937_64 engine;

  std::uint64_t below(std::uint64_t limit) { return engine() % limit; }
  bool one_in(std::uint64_t count) { return below(count) == 0; }
};

using Rows = std::vector<std::size_t>;

bool has(const Rows& rows, std::size_t row) {
  return std::find(rows.begin(), rows.end(), row) != rows.end();
}

struct Row {
  std::int64_t position;
  std::uint64_t txid;
  std::uint64_t commits_before;    // its position was taken
  std::uint64_t committed_as = 0;  // the how-manyth commit; 0 where there was none
};

struct Transaction {
  std::uint64_t txid;
  bool is_slow;
  bool holds_lock = false;  // a writer's, on the stream
  bool is_prepared = false;
  Rows rows{};
};

struct Place {
  Cursor cursor;
  Late late;
};

struct Consumer {
  std::int64_t start;
  bool ordered;
  std::int64_t wanted_every;  // its filters match one position in so many
  Place place;
  Rows delivered{};  // rows, in their order
  // As it was before the open transaction that has pulled, and so keeps other pulls out.
  std::uint64_t locked_by = 0;
  Place committed_place{};
  std::size_t committed_deliveries = 0;

  bool wants(const Row& row) const { return row.position % wanted_every == 0; }
};

// What happened in all histories together, so that it is seen that something did.
struct Counts {
  int delivered, owed, together, cut, left_to_late, owing_nothing, same_id_again,
      moved_while_pulling;
};

class History {
 public:
  History(std::uint64_t seed, bool restores, Counts& counts)
      : seed_(seed), restores_(restores), counts_(counts), random_{std::mt19937_64(seed)} {}

  void run() {
    if (random_.one_in(2)) last_position_ = std::int64_t{1} << 40;
    for (std::uint64_t left = 20 + random_.below(200); left > 0; left--) step();
    while (!open_.empty()) end(open_[random_.below(open_.size())].txid, random_.one_in(2));
    all_ended_ = true;
    for (Consumer& consumer : consumers_) {
      drain(consumer);
      expect_all_delivered(consumer);
      expect_order_of_commits(consumer);
    }
  }

 private:
  // One pull, and what it carries from step to step.
  struct Pull {
    Consumer& consumer;
    std::uint64_t own;  // the caller's transaction, if it has an id
    std::size_t size;
    std::size_t most_looked_at;

    std::int64_t ceiling = 0;
    std::int64_t limit = 0;
    Txids writers{};
    std::uint64_t snapshot = 0;
    std::size_t delivered = 0;
    std::size_t looked_at = 0;
    bool is_cut = false;

    bool is_over() const { return delivered >= size || looked_at >= most_looked_at; }
  };

  void step() {
    if (consumers_.size() < 3 && random_.one_in(20))
      create_consumer();
    else if (!consumers_.empty() && random_.one_in(5))
      pull_somehow(consumers_[random_.below(consumers_.size())]);
    else if (random_.one_in(60))
      crash();
    else
      step_of_publisher(0);
  }

  void create_consumer() {
    const auto back = static_cast<std::int64_t>(random_.one_in(2) ? 0 : random_.below(20));
    const std::int64_t start = std::max(std::int64_t{0}, last_position_ - back);
    const std::int64_t ceiling = last_position_;
    for (std::uint64_t left = random_.below(4); left > 0; left--) step_of_publisher(0);
    consumers_.push_back(
        {.start = start,
         .ordered = random_.one_in(2),
         .wanted_every = random_.one_in(3) ? 2 : 1,
         .place = {{start, ceiling}, next_late({}, open_writers(0), start, Move{start})}});
  }

  // `spared` is in the middle of a pull.
  void step_of_publisher(std::uint64_t spared) {
    if (open_.empty() || random_.one_in(5)) {
      open_.push_back({next_txid_++, random_.one_in(4)});
      return;
    }
    Transaction& writer = open_[random_.below(open_.size())];
    const std::uint64_t choice = random_.below(writer.is_slow ? 40 : 16);
    if (writer.txid == spared || (writer.is_prepared && choice > 3)) return;
    if (choice < 4)
      end(writer.txid, choice > 0);
    else if (choice == 4)
      writer.is_prepared = true;
    else if (choice == 5)
      roll_back_to_savepoint(writer);
    else if (choice == 6)
      writer.holds_lock = true;
    else
      publish(writer);
  }

  const Transaction* find(std::uint64_t txid) const {
    for (const Transaction& open : open_)
      if (open.txid == txid) return &open;
    return nullptr;
  }

  void publish(Transaction& writer) {
    writer.holds_lock = true;
    writer.rows.push_back(rows_.size());
    rows_.push_back({++last_position_, writer.txid, commits_});
  }

  // The lock goes too if it was taken after the savepoint.
  void roll_back_to_savepoint(Transaction& writer) {
    writer.rows.resize(random_.below(writer.rows.size() + 1));
    if (writer.rows.empty() && random_.one_in(2)) writer.holds_lock = false;
  }

  void end(std::uint64_t txid, bool commit) {
    const Rows rows = find(txid)->rows;
    std::erase_if(open_, [&](const Transaction& open) { return open.txid == txid; });
    if (commit) commits_++;
    for (std::size_t row : rows)
      if (commit) rows_[row].committed_as = commits_;
    for (Consumer& consumer : consumers_) {
      if (consumer.locked_by != txid) continue;
      consumer.locked_by = 0;
      if (commit) continue;
      consumer.place = consumer.committed_place;
      consumer.delivered.resize(consumer.committed_deliveries);
    }
  }

  // What is prepared survives, and the sequence goes on after what it had reserved. Or it was the
  // end of this server, and a dump is restored in another one, whose transaction ids meet those in
  // the rows and in the late lists again.
  void crash() {
    const bool restore = restores_ && random_.one_in(2);
    for (std::size_t i = open_.size(); i > 0; i--)
      if (restore || !open_[i - 1].is_prepared) end(open_[i - 1].txid, false);
    last_position_ += static_cast<std::int64_t>(random_.below(33));
    if (!restore) return;
    next_txid_ = 3 + random_.below(5);
    restored_ = true;
  }

  void pull_somehow(Consumer& consumer) {
    std::uint64_t own = consumer.locked_by;
    if (own == 0 && !open_.empty() && random_.one_in(4))
      own = open_[random_.below(open_.size())].txid;
    if (own != 0 && find(own)->is_prepared) return;
    const Place place = consumer.place;
    const std::size_t deliveries = consumer.delivered.size();
    if (own != 0 && consumer.locked_by == 0) {
      consumer.locked_by = own;
      consumer.committed_place = place;
      consumer.committed_deliveries = deliveries;
    }
    pull({consumer, own, 1 + random_.below(random_.one_in(2) ? 5 : 50),
          1 + random_.below(random_.one_in(4) ? 5 : 100)});
    if (random_.one_in(8)) {  // rolled back, by itself or to a savepoint
      consumer.place = place;
      consumer.delivered.resize(deliveries);
    }
  }

  void pull(Pull pull) {
    Place& place = pull.consumer.place;
    pull.ceiling = last_position_;
    meanwhile(pull);
    pull.writers = open_writers(pull.own);
    meanwhile(pull);
    pull.snapshot = commits_;
    meanwhile(pull);
    deliver_late(pull);
    const Move move = deliver_new(pull);
    place.late = next_late(place.late, pull.writers, place.cursor.ceiling, move);
    place.cursor = {move.reached, pull.ceiling};
    for (const LateWriter& writer : place.late) expect_true(pull, writer);
    if (!pull.is_cut) expect_nothing_held_up(pull);
  }

  void meanwhile(const Pull& pull) {
    if (all_ended_ || !random_.one_in(3)) return;
    for (std::uint64_t left = random_.below(6); left > 0; left--) step_of_publisher(pull.own);
    counts_.moved_while_pulling++;
  }

  // In no particular order, and now and then with one too many, which is to do no harm.
  Txids open_writers(std::uint64_t own) {
    Txids writers;
    for (const Transaction& open : open_)
      if (open.holds_lock || open.txid == own || random_.one_in(20)) writers.push_back(open.txid);
    std::shuffle(writers.begin(), writers.end(), random_.engine);
    return writers;
  }

  bool is_visible(const Pull& pull, std::size_t row) const {
    if (rows_[row].committed_as > 0) return rows_[row].committed_as <= pull.snapshot;
    return pull.own != 0 && has(find(pull.own)->rows, row);
  }

  // Calls `body(row)` for what the pull sees there, until it has seen enough; false then.
  template <typename Body>
  bool for_positions(Pull& pull, std::int64_t after, std::int64_t upto, Body body) {
    for (std::size_t row = 0; row < rows_.size(); row++) {
      if (rows_[row].position <= after || rows_[row].position > upto) continue;
      if (!is_visible(pull, row)) continue;
      if (pull.is_over()) {
        pull.is_cut = true;
        return false;
      }
      pull.looked_at++;
      body(row);
    }
    return true;
  }

  void deliver_late(Pull& pull) {
    Late& late = pull.consumer.place.late;
    const auto read = [&](const LateWriter* ended, const OwedRun& run) {
      counts_.together += run.writers > 1;
      return deliver_owed(pull, ended, run);
    };
    late.resize(
        read_owed(late.data(), late.size(), pull.writers.data(), pull.writers.size(), read));
  }

  std::int64_t deliver_owed(Pull& pull, const LateWriter* ended, const OwedRun& run) {
    std::int64_t reached = run.after;
    const bool finished = for_positions(pull, run.after, run.upto, [&](std::size_t row) {
      reached = rows_[row].position;
      if (!is_owed(ended, run.writers, rows_[row].txid, reached)) return;
      if (!pull.consumer.wants(rows_[row])) return;
      deliver(pull, row);
      counts_.owed++;
    });
    if (!finished) counts_.cut++;
    return finished ? run.upto : reached;
  }

  // Returns how the cursor moves.
  Move deliver_new(Pull& pull) {
    const Place& place = pull.consumer.place;
    Move move{place.cursor.position};
    const std::int64_t limit =
        ordered_ceiling(pull.ceiling, pull.writers, place.late, place.cursor.ceiling);
    pull.limit = std::max(move.reached, pull.consumer.ordered ? limit : pull.ceiling);
    // While a late writer still owes, the cursor stands, or it would pass what was published after
    // seeing that writer's commit.
    pull.is_cut = pull.is_over();
    if (pull.is_cut) return move;
    const bool exhausted = for_positions(pull, move.reached, pull.limit, [&](std::size_t row) {
      const std::uint64_t txid = rows_[row].txid;
      const bool comes_later = is_of_open_writer(txid, rows_[row].position, pull.writers,
                                                 place.late, place.cursor.ceiling);
      move.over_row(rows_[row].position, comes_later);
      if (comes_later) {
        counts_.left_to_late++;
      } else {
        if (contains(pull.writers, txid)) counts_.same_id_again++;
        if (pull.consumer.wants(rows_[row])) deliver(pull, row);
      }
    });
    if (exhausted) move.to_end(pull.limit);
    return move;
  }

  // An open writer has no row up to `after`, and of those that the cursor has passed none after
  // `upto`. Nobody asked for those from before the start.
  void expect_true(const Pull& pull, const LateWriter& writer) {
    const Transaction* open = find(writer.txid);
    if (!open || !contains(pull.writers, writer.txid)) return;
    if (!writer.owes() && pull.consumer.place.cursor.position > pull.consumer.start)
      counts_.owing_nothing++;
    for (std::size_t row : open->rows) {
      const std::int64_t position = rows_[row].position;
      if (position <= pull.consumer.start || position > pull.consumer.place.cursor.position)
        continue;
      if (position <= writer.after) fail("it had taken a position by then", &rows_[row]);
      if (position > writer.upto) fail("it is owed, too", &rows_[row]);
    }
  }

  void deliver(Pull& pull, std::size_t row) {
    Consumer& consumer = pull.consumer;
    if (rows_[row].committed_as == 0) fail("delivered without a commit", &rows_[row]);
    if (rows_[row].position <= consumer.start) fail("delivered from before the start", &rows_[row]);
    if (has(consumer.delivered, row)) fail("delivered twice", &rows_[row]);
    if (consumer.ordered && !consumer.delivered.empty() && consumer.delivered.back() > row)
      fail("delivered behind a later one", &rows_[row]);
    consumer.delivered.push_back(row);
    pull.delivered++;
    counts_.delivered++;
  }

  // Nothing waits but what an open transaction has published itself.
  void expect_nothing_held_up(const Pull& pull) {
    for (std::size_t row = 0; row < rows_.size() && rows_[row].position <= pull.limit; row++)
      if (is_visible(pull, row) && !contains(pull.writers, rows_[row].txid) &&
          !was_delivered(pull.consumer, row))
        fail("held up", &rows_[row]);
  }

  // Or is not to be.
  bool was_delivered(const Consumer& consumer, std::size_t row) const {
    return rows_[row].position <= consumer.start || !consumer.wants(rows_[row]) ||
           has(consumer.delivered, row);
  }

  // No pull is in vain, so there are no more of them than there are rows to look at.
  void drain(Consumer& consumer) {
    const auto is_done = [&] {
      return consumer.place.late.empty() && consumer.place.cursor.position == last_position_;
    };
    for (std::size_t left = 2 + rows_.size() * (1 + consumer.place.late.size());
         left > 0 && !is_done(); left--)
      pull({consumer, 0, 1 + random_.below(20), 1 + random_.below(20)});
    if (!consumer.place.late.empty()) fail("a late writer is never forgotten");
    if (consumer.place.cursor.position != last_position_) fail("the cursor stands still");
  }

  void expect_all_delivered(const Consumer& consumer) {
    for (std::size_t row = 0; row < rows_.size(); row++)
      if (rows_[row].committed_as > 0 && !was_delivered(consumer, row)) fail("lost", &rows_[row]);
  }

  // What was published after a commit comes after what that commit published. In a restored
  // database a new transaction may hide an old one of the same id, so not there.
  void expect_order_of_commits(const Consumer& consumer) {
    if (restored_) return;
    std::uint64_t commits_known = 0;
    for (std::size_t row : consumer.delivered) {
      if (rows_[row].committed_as <= commits_known)
        fail("delivered after what follows it", &rows_[row]);
      commits_known = std::max(commits_known, rows_[row].commits_before);
    }
  }

  // Of several the first is the one to look into.
  void fail(const char* what, const Row* row = nullptr) {
    if (std::exchange(failed_, true)) return;
    ADD_FAILURE() << "seed " << seed_ << ": " << what << ' '
                  << (row ? testing::PrintToString(row->position) : "");
  }

  const std::uint64_t seed_;
  const bool restores_;
  Counts& counts_;
  Random random_;
  bool restored_ = false;
  bool all_ended_ = false;
  bool failed_ = false;

  std::vector<Row> rows_;
  std::vector<Transaction> open_;
  std::vector<Consumer> consumers_;
  std::int64_t last_position_ = 0;
  std::uint64_t next_txid_ = 3;
  std::uint64_t commits_ = 0;
};

constexpr int histories = 20'000;

Counts run_histories(bool restores) {
  Counts counts{};
  for (std::uint64_t seed = 0; seed < histories && !testing::Test::HasFailure(); seed++)
    History(seed, restores, counts).run();
  return counts;
}

void expect_each_path(const Counts& counts) {
  EXPECT_GT(counts.delivered, 10 * histories);
  EXPECT_GT(counts.owed, histories);
  EXPECT_GT(counts.together, histories / 10);
  EXPECT_GT(counts.cut, histories);
  EXPECT_GT(counts.left_to_late, histories / 10);
  EXPECT_GT(counts.owing_nothing, histories);
  EXPECT_GT(counts.moved_while_pulling, histories);
}

TEST(CursorModel, DeliveryIsExact) {
  const Counts counts = run_histories(false);
  expect_each_path(counts);
  EXPECT_EQ(counts.same_id_again, 0);
}

TEST(CursorModel, DeliveryIsExactInRestoredDatabases) {
  const Counts counts = run_histories(true);
  expect_each_path(counts);
  EXPECT_GT(counts.same_id_again, histories / 100);
}

}  // namespace
}  // namespace kanthorq
