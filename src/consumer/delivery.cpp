// Exact delivery.
//
// Positions are handed out before commit, and commits come in another order. So remembering "I have
// seen everything up to 100" would miss 90 if its transaction commits later. A publisher holds the
// table's RowExclusiveLock from before its first position to its end (lock.hpp), and has a
// transaction id before it takes a position. A pull, under lock_consumer(), reads these in this
// order, which makes it exact (docs/delivery.md has the reasons):
//   1. the ceiling: the last position handed out;
//   2. the writers: the transactions that hold a writer's lock on the table;
//   3. a new snapshot, whatever the caller's isolation level;
//   4. what late writers that have ended still owed;
//   5. what lies between the cursor and the ceiling, except the rows of open writers.
// It ends with the late list for the next pull. Before 4 it delivers the events of leases that ran
// out and the retries that are due (collecting.cpp).

#include "consumer/delivery.hpp"

#include "consumer/collecting.hpp"
#include "consumer/lease.hpp"
#include "consumer/pull_commit.hpp"
#include "consumer/running_pull.hpp"
#include "consumer/task.hpp"
#include "consumer/task_table.hpp"
#include "server/datum.hpp"
#include "server/indexes.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "stream/reading.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

namespace {

bool is_selected(const RunningPull& pull, const StreamRow& row) {
  return pull.memory.during([&] { return selects(pull.consumer, row); });
}

// Of an event that was not delivered yet: only a cancelled one has a task row.
bool is_cancelled(const RunningPull& pull, int64 position) {
  return pull.memory.during(
      [&] { return find_task(pull.consumer.table, position).row != nullptr; });
}

// An event that was cancelled before it was delivered is skipped. It may be resumed before this
// pull commits, so the cursor's move must be kept. Returns false if the event has to come later,
// because the batch has no room for it.
bool deliver_unless(bool cancelled, RunningPull& pull, const StreamRow& row) {
  if (cancelled) return pull.must_be_kept = true;
  if (!pull.has_room_for(row)) return false;
  deliver_fresh(pull, row);
  return true;
}

// Delivers what these ended writers, whose ranges overlap, still owe. Returns how far it read: to
// the end of the run, or to the last row before the batch was full or enough was read.
int64 deliver_owed(RunningPull& pull, const LateWriter* ended, const OwedRun& run) {
  int64 reached = run.after;
  bool is_finished = true;
  for_positions(pull.stream, pull.snapshot, run.after, run.upto, [&](const StreamRow& row) {
    if (pull.is_full() || pull.has_read_enough()) return is_finished = false;
    const int64 position = row.position();
    if (is_owed(ended, run.writers, row.txid(), position) && is_selected(pull, row) &&
        !deliver_unless(is_cancelled(pull, position), pull, row))
      return is_finished = false;
    reached = position;
    pull.rows_read++;
    CHECK_FOR_INTERRUPTS();
    return true;
  });
  return is_finished ? run.upto : reached;
}

void deliver_late(RunningPull& pull) {
  pull.place.late_count = read_owed(
      pull.place.late, pull.place.late_count, pull.writers.txids, pull.writers.count,
      [&](const LateWriter* ended, const OwedRun& run) { return deliver_owed(pull, ended, run); });
}

// The events that were cancelled before they were delivered. There may be many more of them than a
// pull gets to, so they are read in pieces as the reading of the stream moves on.
class CancelledAhead {
 public:
  CancelledAhead(Relation tasks, int64 cursor, int64 upto)
      : tasks_(tasks), known_upto_(cursor), upto_(upto) {}

  // Ask in ascending order.
  bool has(int64 position) {
    if (position > known_upto_) read_from(position);
    return std::binary_search(positions_, positions_ + count_, position);
  }

 private:
  static constexpr std::size_t most = 128;

  void read_from(int64 position) {
    count_ = 0;
    known_upto_ = upto_;
    ScanKeyData keys[2] = {
        compares_bigint(task_position_column, BTGreaterEqualStrategyNumber, F_INT8GE, position),
        compares_bigint(task_position_column, BTLessEqualStrategyNumber, F_INT8LE, upto_)};
    for_rows(tasks_, index_on(tasks_, task_position_column), keys, 2, [&](HeapTuple row) {
      positions_[count_++] = DatumGetInt64(row_value(tasks_, row, task_position_column));
      if (count_ < most) return true;
      known_upto_ = positions_[count_ - 1];
      return false;
    });
  }

  Relation tasks_;
  int64 known_upto_;
  int64 upto_;
  std::size_t count_ = 0;
  int64 positions_[most];
};

// How far this pull may read: an ordered consumer stays below what open writers may still commit.
int64 reading_limit(const RunningPull& pull) {
  return pull.consumer.ordered
             ? ordered_ceiling(pull.ceiling, pull.writers.txids, pull.writers.count,
                               pull.place.late, pull.place.late_count, pull.place.cursor.ceiling)
             : pull.ceiling;
}

// Delivers what lies after the cursor. Returns how the cursor moves.
Move deliver_new(RunningPull& pull) {
  const Cursor cursor = pull.place.cursor;
  Move move{cursor.position};
  const int64 limit = reading_limit(pull);
  // While an ended writer still owes events, the cursor stands still: they come first.
  if (pull.is_full() || pull.has_read_enough() || limit <= cursor.position) return move;
  CancelledAhead cancelled(pull.consumer.table, cursor.position, limit);
  bool is_finished = true;
  for_positions(pull.stream, pull.snapshot, cursor.position, limit, [&](const StreamRow& row) {
    if (pull.is_full() || pull.has_read_enough()) return is_finished = false;
    const int64 position = row.position();
    const bool comes_later =
        is_of_open_writer(row.txid(), position, pull.writers.txids, pull.writers.count,
                          pull.place.late, pull.place.late_count, cursor.ceiling);
    if (!comes_later && is_selected(pull, row) &&
        !deliver_unless(cancelled.has(position), pull, row))
      return is_finished = false;
    move.over_row(position, comes_later);
    pull.rows_read++;
    CHECK_FOR_INTERRUPTS();
    return true;
  });
  if (is_finished) move.to_end(limit);
  return move;
}

// Opens the lease that covers the batch.
void open_lease_of(RunningPull& pull) {
  std::sort(pull.fresh.values, pull.fresh.values + pull.fresh.count);
  std::sort(pull.again.values, pull.again.values + pull.again.count);
  pull.place.last_lease = pull.lease;
  if (!is_of_clock(pull.lease)) require_durable_commit();
  open_lease(pull.consumer, pull.lease, pull.now + pull.batch.visibility_ms, pull.fresh,
             pull.again);
}

void require_position_not_set_back(const RunningPull& pull) {
  if (pull.ceiling >= pull.place.cursor.ceiling) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("the positions of stream \"%s\" were set back", cstring_of(pull.consumer.stream)),
           errdetail("The last one handed out is " INT64_FORMAT
                     "; the consumer has seen that it was " INT64_FORMAT ".",
                     pull.ceiling, pull.place.cursor.ceiling),
           errhint("Set the sequence of the column \"position\" forward again, or seek.")));
}

// Reads what makes delivery exact, in its order, and delivers.
void run(RunningPull& pull) {
  pull.ceiling = last_position(pull.stream);
  require_position_not_set_back(pull);
  // This pull may have waited, and its locks keep nobody from altering the sequence.
  AcceptInvalidationMessages();
  require_consumable(pull.stream);
  KANTHORQ_TEST_POINT("pull_ceiling");
  pull.writers = open_writers(pull.stream);
  KANTHORQ_TEST_POINT("pull_writers");
  with_newest_snapshot([&](Snapshot newest) {
    pull.snapshot = newest;
    KANTHORQ_TEST_POINT("pull_snapshot");
    deliver_expired(pull);
    deliver_due(pull);
    deliver_late(pull);
    KANTHORQ_TEST_POINT("pull_late");
    move_cursor(pull.place, deliver_new(pull), pull.ceiling, pull.writers);
  });
  if (pull.delivered() == 0) return;
  open_lease_of(pull);
  KANTHORQ_TEST_POINT("pull_lease");
  pull.must_be_kept = true;
}

}  // namespace

Delivery deliver_events(const Consumer& consumer, const OpenStream& stream, const Place& from,
                        const Batch& batch) {
  RunningPull pull = {
      .consumer = consumer,
      .stream = stream,
      .batch = batch,
      .rows = ResultRows(batch.result),
      .memory = RowMemory(),
      .now = now_ms(),
      .place = copy_of(from),
      .ceiling = 0,
      .writers = {},
      .snapshot = nullptr,
      .lease = next_lease_number(from.last_lease),
      .fresh = {palloc_array_of<int64>(batch.size), 0},
      .again = {palloc_array_of<int64>(batch.size), 0},
      .rows_read = 0,
      .bytes = 0,
      .bytes_with_next = 0,
      .is_closed = false,
      .must_be_kept = false,
  };
  run(pull);
  pull.rows.end();
  pull.memory.end();
  return {pull.place, pull.writers, pull.rows_read, pull.must_be_kept};
}

}  // namespace kanthorq
