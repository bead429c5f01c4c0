// The rows of kanthorq_consumer_<name>: events that are not simply waiting, running for the first
// time or completed.
//
// A row in the state running belongs to the lease that the event is in, and is changed by whoever
// holds the lock of the lease's row. All other rows are changed under lock_consumer(). The table's
// owner may change and delete rows, too, so each is locked before it is decided what becomes of it.
#pragma once

#include "core/task_state.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"

namespace kanthorq {

struct Task {
  int64 position;
  Datum event_id;
  Datum subject;
  TaskState state;
  int attempt_count;  // attempts made, the running one included
  NullableDatum schedule_at;
  NullableDatum attempted_at;
  Datum errors;  // jsonb[], the newest last
  NullableDatum finalized_at;
};

inline constexpr NullableDatum no_time{0, true};
inline NullableDatum at_time(int64 milliseconds) { return {Int64GetDatum(milliseconds), false}; }

Datum no_errors();

// A task without a past.
Task new_task(int64 position, std::string_view event_id, std::string_view subject);

// Null where there is none. The row is for changing it later.
struct FoundTask {
  HeapTuple row;
  Task task;
};
FoundTask find_task(Relation table, int64 position);
FoundTask read_task(Relation table, HeapTuple row);

// The same, the row locked to the end of the transaction. Waits for whoever changes it, and finds
// what is there then. Who does not hold the lock that the row's state asks for looks at the state
// before it calls this, or it would wait for a worker's transaction.
FoundTask lock_task(Relation table, int64 position);

// Inserts the row of an event that has none, unless somebody who may write into the table has put
// one in its place.
void put_task(Relation table, const Task& task);
void change_task(Relation table, const FoundTask& locked, const Task& task);
void delete_task(Relation table, const FoundTask& found);

// Moves a task on after an attempt that failed at `now`: retryable with the next attempt at
// `retry_at`, or discarded where `attempt_max` is reached. `error` is kept, if there is one.
void fail_attempt(Task& task, int attempt_max, int64 now, int64 retry_at, std::string_view error);

// Deletes all tasks but the cancelled ones: those somebody decided about.
void forget_tasks(Relation table);

}  // namespace kanthorq
