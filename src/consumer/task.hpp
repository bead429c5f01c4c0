// The rows of kanthorq_consumer_<name>: events that are not simply waiting, running for the first
// time or completed.
//
// A row in the state running belongs to the lease that the event is in: whoever holds the lock of
// the lease's row changes it. All other rows are changed under lock_consumer(). The table's owner
// may change and delete rows, too. So each row is locked before it is decided what becomes of it.
#pragma once

#include "core/task_state.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

struct Task {
  int64 position;
  Datum event_id;
  Datum subject;
  TaskState state;
  int attempt_count;          // attempts made, the running one included
  NullableDatum schedule_at;  // this and the other times are in milliseconds since the epoch
  NullableDatum attempted_at;
  Datum errors;  // jsonb[], the newest last
  NullableDatum finalized_at;
};

inline constexpr NullableDatum no_time{0, true};
inline NullableDatum at_time(int64 milliseconds) { return {Int64GetDatum(milliseconds), false}; }

Datum no_errors();

// The task of an event that was never attempted.
Task new_task(const StreamRow& row);

// The task of an event that was delivered for the first time under the lease with this number.
Task first_attempt(const StreamRow& row, int64 lease);

// A task and its row, which is null if the event has none. The row is for changing it later.
struct FoundTask {
  HeapTuple row;
  Task task;
};
FoundTask find_task(Relation table, int64 position);
FoundTask read_task(Relation table, HeapTuple row);

// Its state alone. It takes memory, as read_task() does.
TaskState read_state(Relation table, HeapTuple row);

// The same, with the row locked to the end of the transaction. It waits for whoever changes the
// row, and finds what is there then. If you don't hold the lock that the row's state asks for, look
// at the state first, or you would wait for a worker's transaction.
FoundTask lock_task(Relation table, int64 position);

// Inserts the row of an event that has none. If somebody who may write into the table has put one
// there, changes that. Raises 55000 if the table was altered, as change_task() does.
void put_task(Relation table, const Task& task);
void change_task(Relation table, const FoundTask& locked, const Task& task);
void delete_task(Relation table, const FoundTask& locked);

// Moves a task on after an attempt that failed at `now`: retryable with the next attempt at
// `retry_at`, or discarded if `attempt_max` is reached. `error` is kept unless it is empty. Times
// are in milliseconds since the epoch.
void fail_attempt(Task& task, int attempt_max, int64 now, int64 retry_at, std::string_view error);

// Deletes all tasks but the cancelled ones, which are somebody's decision.
void forget_tasks(Relation table);

}  // namespace kanthorq
