// Events that come again: those of leases that ran out, and retries that are due.
//
// Each event is decided in one piece: its task row is locked, the event is read, and the task moves
// on. A lease whose events are collected is freed afterwards, in the same transaction.
#include "consumer/collecting.hpp"

#include "consumer/task.hpp"
#include "consumer/task_table.hpp"
#include "server/datum.hpp"
#include "server/indexes.hpp"
#include "server/rows.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"

namespace kanthorq {

namespace {

constexpr std::string_view lease_ran_out = "the lease ran out";

// Makes the task the next attempt's. Discards it and returns false if it may have no more attempts.
bool start_attempt(const RunningPull& pull, Task& task) {
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

// An event of a lease that ran out: the attempt has failed. The next one starts at once if the
// batch has room; if not, it is due for the next pull.
void redeliver(RunningPull& pull, const StreamRow& row, Task& task) {
  fail_attempt(task, pull.consumer.attempt_max, pull.now, pull.now, lease_ran_out);
  if (task.state == TaskState::retryable && pull.has_room_for(row) && start_attempt(pull, task))
    deliver_again(pull, row, task.attempt_count);
}

// Stores the task of an event, or deletes it if the event was removed from the stream meanwhile.
void keep_task(const RunningPull& pull, const FoundTask& locked, const Task& task, bool has_event) {
  if (has_event)
    change_task(pull.consumer.table, locked, task);
  else
    delete_task(pull.consumer.table, locked);
}

void collect_fresh(RunningPull& pull, const Lease& lease, int64 position) {
  with_position(pull.stream, pull.snapshot, position, [&](const StreamRow& row) {
    Task task = first_attempt(row, lease.number);
    redeliver(pull, row, task);
    put_task(pull.consumer.table, task);
  });
}

void collect_again(RunningPull& pull, const Lease& lease, int64 position) {
  const FoundTask found = lock_task(pull.consumer.table, position);
  if (!found.row) return collect_fresh(pull, lease, position);  // the table's owner deleted it
  Task task = found.task;
  const bool has_event = with_position(pull.stream, pull.snapshot, position,
                                       [&](const StreamRow& row) { redeliver(pull, row, task); });
  keep_task(pull, found, task, has_event);
}

void collect_lease(RunningPull& pull, const Lease& lease) {
  pull.must_be_kept = true;
  for (std::size_t i = 0; i < lease.again.count; i++) {
    pull.memory.during([&] { collect_again(pull, lease, lease.again.values[i]); });
    KANTHORQ_TEST_POINT("pull_collected_again");
    CHECK_FOR_INTERRUPTS();
  }
  for (std::size_t i = 0; i < lease.fresh.count; i++) {
    pull.memory.during([&] { collect_fresh(pull, lease, lease.fresh.values[i]); });
    KANTHORQ_TEST_POINT("pull_collected");
    CHECK_FOR_INTERRUPTS();
  }
  shrink_lease(pull.consumer, lease, {}, {});
  KANTHORQ_TEST_POINT("pull_freed");
}

bool is_due(const Task& task, int64 now) {
  return !task.schedule_at.isnull && DatumGetInt64(task.schedule_at.value) <= now;
}

void retry(RunningPull& pull, int64 position) {
  const FoundTask found = lock_task(pull.consumer.table, position);
  if (!found.row || !is_due(found.task, pull.now)) return;  // the table's owner was faster
  Task task = found.task;
  const bool has_event =
      with_position(pull.stream, pull.snapshot, task.position, [&](const StreamRow& row) {
        if (pull.has_room_for(row) && start_attempt(pull, task))
          deliver_again(pull, row, task.attempt_count);
      });
  keep_task(pull, found, task, has_event);
  pull.must_be_kept = true;
}

// The positions of the retries that are due, those that have waited longest first, at most `most`.
Positions find_due(const RunningPull& pull, std::size_t most) {
  Relation tasks = pull.consumer.table;
  Positions due{palloc_array_of<int64>(most), 0};
  ScanKeyData key =
      compares_bigint(task_schedule_at_column, BTLessEqualStrategyNumber, F_INT8LE, pull.now);
  for_rows(tasks, index_on(tasks, task_schedule_at_column), &key, 1, [&](HeapTuple row) {
    due.values[due.count++] = DatumGetInt64(row_value(tasks, row, task_position_column));
    return due.count < most;
  });
  return due;
}

}  // namespace

// Each lease has one event at least. So as many leases as the batch has room for events will do,
// unless somebody settles one meanwhile, or an event is not delivered again.
void deliver_expired(RunningPull& pull) {
  bool may_be_more = true;
  while (may_be_more && !pull.is_full()) {
    const std::size_t room = pull.room();
    const ExpiredLeases expired = find_expired_leases(pull.consumer, pull.now, room);
    may_be_more = expired.count == room;
    for (std::size_t i = 0; i < expired.count && !pull.is_full(); i++) {
      const Lease lease =
          lock_seen_lease(pull.consumer, expired.leases[i].seen, IfLocked::skip_changed);
      if (lease.row) collect_lease(pull, lease);
      CHECK_FOR_INTERRUPTS();
    }
  }
}

// It is a pull whose batch is closed from the start.
std::size_t collect_expired(const Consumer& consumer, const OpenStream& stream, Snapshot snapshot,
                            int64 by, std::size_t most) {
  constexpr std::size_t most_leases = 1000;
  const Batch nothing{};
  RunningPull pull = {
      .consumer = consumer,
      .stream = stream,
      .batch = nothing,
      .rows = ResultRows(),
      .memory = RowMemory(),
      .now = now_ms(),
      .place = {},
      .ceiling = 0,
      .writers = {},
      .snapshot = snapshot,
      .lease = no_lease,
      .fresh = {nullptr, 0},
      .again = {nullptr, 0},
      .rows_read = 0,
      .bytes = 0,
      .bytes_with_next = 0,
      .is_closed = true,
      .must_be_kept = false,
  };
  const ExpiredLeases expired = find_expired_leases(consumer, by, Min(most, most_leases));
  std::size_t collected = 0;
  for (std::size_t i = 0; i < expired.count && collected < most; i++) {
    const Lease lease = lock_seen_lease(consumer, expired.leases[i].seen, IfLocked::skip_changed);
    if (!lease.row) continue;
    collect_lease(pull, lease);
    collected += lease.count();
  }
  pull.memory.end();
  return collected;
}

void deliver_due(RunningPull& pull) {
  if (pull.is_full()) return;
  const Positions due = find_due(pull, pull.room());
  for (std::size_t i = 0; i < due.count && !pull.is_full(); i++) {
    pull.memory.during([&] { retry(pull, due.values[i]); });
    KANTHORQ_TEST_POINT("pull_retried");
    CHECK_FOR_INTERRUPTS();
  }
}

}  // namespace kanthorq
