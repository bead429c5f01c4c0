// Exact delivery.
//
// Positions are handed out before commit, and commits come in another order, so remembering "I have
// seen everything up to 100" would miss 90 if its transaction commits later. A publisher holds the
// table's RowExclusiveLock from before its first position to its end (lock.hpp), and has a
// transaction id before it takes a position. A pull, under lock_consumer(), then does these in this
// order, which is what makes it exact (docs/delivery.md has the reasons):
//   1. the ceiling: the last position handed out;
//   2. the writers: the transactions that hold a writer's lock on the table;
//   3. a new snapshot, whatever the caller's isolation level;
//   4. what late writers that have ended still owed;
//   5. what lies between the cursor and the ceiling, except the rows of open writers;
//   6. the late list for the next pull.
// Before 4 come the events of leases that ran out and the retries that are due.

#include "consumer/delivery.hpp"

#include "consumer/lease.hpp"
#include "consumer/result_rows.hpp"
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

// A pull looks at so many rows at most, then leaves the rest to the next one: a filter that matches
// one event in a million must not keep a consumer locked for minutes.
constexpr std::size_t max_rows_looked_at = 100'000;

struct Pull {
  const Consumer& consumer;
  const OpenStream& stream;
  const Batch& batch;
  ResultRows rows;
  RowMemory memory;

  int64 now;
  Place place;
  int64 ceiling;
  OpenWriters writers;
  Snapshot snapshot;
  int64 lease;
  Positions fresh;
  Positions again;
  std::size_t looked_at;
  bool must_be_kept;  // it changed rows, or passed an event that may be resumed

  std::size_t delivered() const { return fresh.count + again.count; }
  bool is_full() const { return delivered() >= batch.size; }
  bool has_looked_enough() const { return looked_at >= max_rows_looked_at; }
};

void deliver_fresh(Pull& pull, const StreamRow& row) {
  pull.rows.add(pull.lease, 1, row);
  pull.fresh.values[pull.fresh.count++] = row.position();
}

// Makes the task the next attempt's, or discards it where there may be none.
bool start_attempt(Pull& pull, Task& task) {
  task.schedule_at = no_time;
  if (task.attempt_count >= pull.consumer.attempt_max) {
    task.state = TaskState::discarded;
    task.finalized_at = at_time(pull.now);
    return false;
  }
  task.state = TaskState::running;
  task.attempt_count++;
  task.attempted_at = at_time(pull.now);
  task.finalized_at = no_time;
  return true;
}

void deliver_again(Pull& pull, const StreamRow& row, const Task& task) {
  pull.rows.add(pull.lease, task.attempt_count, row);
  pull.again.values[pull.again.count++] = task.position;
}

constexpr std::string_view lease_ran_out = "the lease ran out";

// An event of a lease that ran out: the attempt has failed, and the next one starts at once where
// the batch has room.
void redeliver(Pull& pull, const StreamRow& row, Task& task) {
  fail_attempt(task, pull.consumer.attempt_max, pull.now, pull.now, lease_ran_out);
  if (task.state == TaskState::retryable && !pull.is_full() && start_attempt(pull, task))
    deliver_again(pull, row, task);
}

void collect_fresh(Pull& pull, const Lease& lease, int64 position) {
  with_position(pull.stream, pull.snapshot, position, [&](const StreamRow& row) {
    Task task = first_attempt(row, lease.number);
    redeliver(pull, row, task);
    put_task(pull.consumer.table, task);
  });
}

void collect_again(Pull& pull, const Lease& lease, int64 position) {
  const FoundTask found = lock_task(pull.consumer.table, position);
  if (!found.row) return collect_fresh(pull, lease, position);  // the table's owner deleted it
  Task task = found.task;
  const bool exists = with_position(pull.stream, pull.snapshot, position,
                                    [&](const StreamRow& row) { redeliver(pull, row, task); });
  if (exists)
    change_task(pull.consumer.table, found, task);
  else
    delete_task(pull.consumer.table, found);  // the event was removed meanwhile
}

void deliver_expired(Pull& pull) {
  while (!pull.is_full()) {
    const Lease lease = take_expired_lease(pull.consumer, pull.now);
    if (!lease.row) return;
    pull.must_be_kept = true;
    for (std::size_t i = 0; i < lease.again.count; i++) {
      pull.memory.during([&] { collect_again(pull, lease, lease.again.values[i]); });
      KANTHORQ_TEST_POINT("pull_collected_again");
    }
    for (std::size_t i = 0; i < lease.fresh.count; i++) {
      pull.memory.during([&] { collect_fresh(pull, lease, lease.fresh.values[i]); });
      KANTHORQ_TEST_POINT("pull_collected");
      CHECK_FOR_INTERRUPTS();
    }
    shrink_lease(pull.consumer, lease, {}, {});
    KANTHORQ_TEST_POINT("pull_freed");
    CHECK_FOR_INTERRUPTS();
  }
}

bool is_due(const Task& task, int64 now) {
  return !task.schedule_at.isnull && DatumGetInt64(task.schedule_at.value) <= now;
}

void deliver_task(Pull& pull, int64 position) {
  const FoundTask found = lock_task(pull.consumer.table, position);
  if (!found.row || !is_due(found.task, pull.now)) return;  // the table's owner was faster
  Task task = found.task;
  const bool exists =
      with_position(pull.stream, pull.snapshot, task.position, [&](const StreamRow& row) {
        if (start_attempt(pull, task)) deliver_again(pull, row, task);
      });
  if (exists)
    change_task(pull.consumer.table, found, task);
  else
    delete_task(pull.consumer.table, found);
  pull.must_be_kept = true;
}

ScanKeyData due_by(int64 now) {
  return compares_bigint(task_schedule_at_column, BTLessEqualStrategyNumber, F_INT8LE, now);
}

void deliver_due(Pull& pull) {
  const std::size_t room = pull.batch.size - pull.delivered();
  if (room == 0) return;
  int64* due = palloc_array_of<int64>(room);
  std::size_t count = 0;
  ScanKeyData key = due_by(pull.now);
  for_rows(pull.consumer.table, index_on(pull.consumer.table, task_schedule_at_column), &key, 1,
           [&](HeapTuple row) {
             due[count++] =
                 DatumGetInt64(row_value(pull.consumer.table, row, task_position_column));
             return count < room;
           });
  for (std::size_t i = 0; i < count; i++) {
    pull.memory.during([&] { deliver_task(pull, due[i]); });
    KANTHORQ_TEST_POINT("pull_retried");
    CHECK_FOR_INTERRUPTS();
  }
}

bool is_selected(const Pull& pull, const StreamRow& row) {
  return pull.memory.during([&] { return selects(pull.consumer, row); });
}

// Only such an event has a task row before it was delivered.
bool is_cancelled(const Pull& pull, int64 position) {
  return pull.memory.during(
      [&] { return find_task(pull.consumer.table, position).row != nullptr; });
}

// An event that was cancelled before it was delivered is passed, and comes should it be resumed
// before this is committed.
void deliver_unless(bool cancelled, Pull& pull, const StreamRow& row) {
  if (cancelled)
    pull.must_be_kept = true;
  else
    deliver_fresh(pull, row);
}

// What these ended writers owe, whose ranges overlap. Returns how far it was read: to the end of
// the run, unless the batch is full or enough was looked at before.
int64 deliver_owed(Pull& pull, const LateWriter* ended, const OwedRun& run) {
  int64 reached = run.after;
  bool finished = true;
  for_positions(pull.stream, pull.snapshot, run.after, run.upto, [&](const StreamRow& row) {
    if (pull.is_full() || pull.has_looked_enough()) return finished = false;
    reached = row.position();
    pull.looked_at++;
    if (is_owed(ended, run.writers, row.txid(), reached) && is_selected(pull, row))
      deliver_unless(is_cancelled(pull, reached), pull, row);
    CHECK_FOR_INTERRUPTS();
    return true;
  });
  return finished ? run.upto : reached;
}

void deliver_late(Pull& pull) {
  pull.place.late_count = read_owed(
      pull.place.late, pull.place.late_count, pull.writers.txids, pull.writers.count,
      [&](const LateWriter* ended, const OwedRun& run) { return deliver_owed(pull, ended, run); });
}

// The events after the cursor that were cancelled before they were delivered.
Positions cancelled_ahead(const Pull& pull, int64 upto) {
  Positions cancelled{nullptr, 0};
  std::size_t room = 0;
  ScanKeyData keys[2] = {
      compares_bigint(task_position_column, BTGreaterStrategyNumber, F_INT8GT,
                      pull.place.cursor.position),
      compares_bigint(task_position_column, BTLessEqualStrategyNumber, F_INT8LE, upto)};
  for_rows(pull.consumer.table, index_on(pull.consumer.table, task_position_column), keys, 2,
           [&](HeapTuple row) {
             if (cancelled.count == room) {
               const std::size_t more = room == 0 ? 64 : 2 * room;
               int64* grown = palloc_array_of<int64>(more);
               std::copy_n(cancelled.values, cancelled.count, grown);
               cancelled.values = grown;
               room = more;
             }
             cancelled.values[cancelled.count++] =
                 DatumGetInt64(row_value(pull.consumer.table, row, task_position_column));
             return true;
           });
  return cancelled;
}

// How far this pull may read: an ordered consumer stays below what open writers may still commit.
int64 reading_limit(const Pull& pull) {
  return pull.consumer.ordered
             ? ordered_ceiling(pull.ceiling, pull.writers.txids, pull.writers.count,
                               pull.place.late, pull.place.late_count, pull.place.cursor.ceiling)
             : pull.ceiling;
}

// Returns the new cursor.
int64 deliver_new(Pull& pull) {
  const Cursor cursor = pull.place.cursor;
  const int64 limit = reading_limit(pull);
  // While an ended writer still owes, the cursor stands: what lies ahead comes after what it owes.
  if (pull.is_full() || pull.has_looked_enough() || limit <= cursor.position)
    return cursor.position;
  const Positions cancelled = cancelled_ahead(pull, limit);
  int64 reached = cursor.position;
  bool exhausted = true;
  for_positions(pull.stream, pull.snapshot, cursor.position, limit, [&](const StreamRow& row) {
    if (pull.is_full() || pull.has_looked_enough()) return exhausted = false;
    reached = row.position();
    pull.looked_at++;
    const bool later =
        is_of_open_writer(row.txid(), reached, pull.writers.txids, pull.writers.count,
                          pull.place.late, pull.place.late_count, cursor.ceiling);
    if (!later && is_selected(pull, row)) deliver_unless(holds(cancelled, reached), pull, row);
    CHECK_FOR_INTERRUPTS();
    return true;
  });
  return exhausted ? limit : reached;
}

void open_lease_of(Pull& pull) {
  std::sort(pull.fresh.values, pull.fresh.values + pull.fresh.count);
  std::sort(pull.again.values, pull.again.values + pull.again.count);
  pull.place.last_lease = pull.lease;
  open_lease(pull.consumer, pull.lease, pull.now + pull.batch.visibility_ms, pull.fresh,
             pull.again);
}

void require_position_not_set_back(const Pull& pull) {
  if (pull.ceiling >= pull.place.cursor.ceiling) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("the positions of stream \"%s\" were set back", cstring_of(pull.consumer.stream)),
           errdetail("The last one handed out is " INT64_FORMAT
                     "; the consumer has seen that it was " INT64_FORMAT ".",
                     pull.ceiling, pull.place.cursor.ceiling),
           errhint("Set the sequence of the column \"position\" forward again, or seek.")));
}

void run(Pull& pull) {
  pull.ceiling = last_position(pull.stream);
  require_position_not_set_back(pull);
  // This pull may have waited, and its locks keep nobody from altering the sequence.
  AcceptInvalidationMessages();
  require_consumable(pull.stream);
  KANTHORQ_TEST_POINT("pull_ceiling");
  pull.writers = open_writers(pull.stream);
  KANTHORQ_TEST_POINT("pull_writers");
  pull.snapshot = RegisterSnapshot(GetLatestSnapshot());
  KANTHORQ_TEST_POINT("pull_snapshot");
  deliver_expired(pull);
  deliver_due(pull);
  deliver_late(pull);
  KANTHORQ_TEST_POINT("pull_late");
  move_cursor(pull.place, deliver_new(pull), pull.ceiling, pull.writers);
  UnregisterSnapshot(pull.snapshot);
  if (pull.delivered() == 0) return;
  open_lease_of(pull);
  KANTHORQ_TEST_POINT("pull_lease");
  pull.must_be_kept = true;
}

}  // namespace

Look look_for_events(const Consumer& consumer, const OpenStream& stream, const Place& from,
                     const Batch& batch) {
  Pull pull = {
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
      .looked_at = 0,
      .must_be_kept = false,
  };
  run(pull);
  pull.rows.end();
  pull.memory.end();
  return {pull.place, pull.looked_at, pull.must_be_kept};
}

}  // namespace kanthorq
