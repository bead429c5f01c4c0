#include "consumer/task.hpp"

#include "consumer/lease.hpp"
#include "consumer/task_table.hpp"
#include "server/datum.hpp"
#include "server/indexes.hpp"

namespace kanthorq {

namespace {

// An event that fails for ever must not grow its row for ever.
constexpr int max_errors = 16;
constexpr int max_error_characters = 2000;

// Whoever may write into the table may have put more there. Our own errors, with 4 bytes for each
// character, come to an eighth of this. More is not read, and goes with the next error.
constexpr Size max_errors_bytes = 1024 * 1024;

// No valid state is longer, but whoever may write into the table may have put a longer one there.
constexpr int max_state_bytes = 16;

RowValues row_values(Relation table, const Task& task) {
  RowValues values(table);
  values.set(task_position_column, Int64GetDatum(task.position));
  values.set(task_event_id_column, task.event_id);
  values.set(task_subject_column, task.subject);
  values.set(task_state_column, text_datum(name_of(task.state)));
  values.set(task_attempt_count_column, Int16GetDatum(static_cast<int16>(task.attempt_count)));
  values.set(task_schedule_at_column, task.schedule_at);
  values.set(task_attempted_at_column, task.attempted_at);
  values.set(task_error_column, task.errors);
  values.set(task_finalized_at_column, task.finalized_at);
  return values;
}

void push_text(JsonState* state, JsonbIteratorToken token, std::string_view text) {
  JsonbValue value;
  value.type = jbvString;
  value.val.string = {static_cast<int>(text.size()), const_cast<char*>(text.data())};
  push_json(state, token, &value);
}

void push_number(JsonState* state, int64 number) {
  JsonbValue value;
  value.type = jbvNumeric;
  value.val.numeric = int64_to_numeric(number);
  push_json(state, WJB_VALUE, &value);
}

// {"at": now, "attempt": attempt, "error": error}, the error cut at its maximum.
Datum error_entry(int64 now, int attempt, std::string_view error) {
  const int size = static_cast<int>(error.size());
  const int kept = pg_mbcharcliplen(error.data(), size, max_error_characters);
  JsonState state{};
  push_json(&state, WJB_BEGIN_OBJECT, nullptr);
  push_text(&state, WJB_KEY, "at");
  push_number(&state, now);
  push_text(&state, WJB_KEY, "attempt");
  push_number(&state, attempt);
  push_text(&state, WJB_KEY, "error");
  push_text(&state, WJB_VALUE, {error.data(), static_cast<std::size_t>(kept)});
  return JsonbPGetDatum(JsonbValueToJsonb(push_json(&state, WJB_END_OBJECT, nullptr)));
}

// The errors with one more, the oldest ones left out if there are too many.
Datum errors_with(Datum errors, Datum entry) {
  if (toast_raw_datum_size(errors) > max_errors_bytes) errors = no_errors();
  Datum* values;
  bool* nulls;
  int count;
  deconstruct_array(DatumGetArrayTypeP(errors), JSONBOID, -1, false, TYPALIGN_INT, &values, &nulls,
                    &count);
  int entries = 0;  // a worker may write into the table, nulls for instance
  for (int i = 0; i < count; i++)
    if (!nulls[i]) values[entries++] = values[i];
  const int kept = Min(entries, max_errors - 1);
  Datum* all = palloc_array_of<Datum>(kept + 1);
  for (int i = 0; i < kept; i++) all[i] = values[entries - kept + i];
  all[kept] = entry;
  return PointerGetDatum(construct_array(all, kept + 1, JSONBOID, -1, false, TYPALIGN_INT));
}

}  // namespace

Datum no_errors() { return PointerGetDatum(construct_empty_array(JSONBOID)); }

Task new_task(const StreamRow& row) {
  return {
      .position = row.position(),
      .event_id = text_datum(row.id()),
      .subject = text_datum(row.subject()),
      .state = TaskState::available,
      .attempt_count = 0,
      .schedule_at = no_time,
      .attempted_at = no_time,
      .errors = no_errors(),
      .finalized_at = no_time,
  };
}

Task first_attempt(const StreamRow& row, int64 lease) {
  Task task = new_task(row);
  task.attempt_count = 1;
  task.attempted_at = at_time(lease_opened_at(lease));
  return task;
}

// Whoever may write into the table may have written something else. It is taken for a task that is
// to be tried again, which stops nobody.
TaskState read_state(Relation table, HeapTuple row) {
  const Datum value = row_value(table, row, task_state_column);
  TaskState state;
  const text* name = DatumGetTextPSlice(value, 0, max_state_bytes);
  return parse_task_state(view_of(name), state) ? state : TaskState::retryable;
}

FoundTask read_task(Relation table, HeapTuple row) {
  const auto value = [&](AttrNumber column) { return row_value(table, row, column); };
  return {row,
          {
              .position = DatumGetInt64(value(task_position_column)),
              .event_id = value(task_event_id_column),
              .subject = value(task_subject_column),
              .state = read_state(table, row),
              .attempt_count = DatumGetInt16(value(task_attempt_count_column)),
              .schedule_at = nullable_row_value(table, row, task_schedule_at_column),
              .attempted_at = nullable_row_value(table, row, task_attempted_at_column),
              .errors = value(task_error_column),
              .finalized_at = nullable_row_value(table, row, task_finalized_at_column),
          }};
}

FoundTask find_task(Relation table, int64 position) {
  ScanKeyData key =
      compares_bigint(task_position_column, BTEqualStrategyNumber, F_INT8EQ, position);
  HeapTuple row = only_row(table, index_on(table, task_position_column), &key, 1);
  return row ? read_task(table, row) : FoundTask{};
}

FoundTask lock_task(Relation table, int64 position) {
  for (;;) {
    const FoundTask found = find_task(table, position);
    if (!found.row) return found;
    HeapTuple row = lock_row(table, found.row);
    const FoundTask locked = row ? read_task(table, row) : FoundTask{};
    if (locked.row && locked.task.position == position) return locked;
    CHECK_FOR_INTERRUPTS();
    // Without this, a row that the calling statement itself deleted would be found again.
    CommandCounterIncrement();
  }
}

void put_task(Relation table, const Task& task) {
  const FoundTask locked = lock_task(table, task.position);
  if (locked.row) return change_task(table, locked, task);
  require_task_table(table);  // see change_task()
  insert_row(table, row_values(table, task));
}

// CREATE INDEX CONCURRENTLY may have added an index since the table was opened. The server opens it
// with the others, and its owner's code would run.
void change_task(Relation table, const FoundTask& locked, const Task& task) {
  require_task_table(table);
  update_row(table, locked.row, row_values(table, task));
}

void delete_task(Relation table, const FoundTask& locked) { delete_row(table, locked.row); }

void fail_attempt(Task& task, int attempt_max, int64 now, int64 retry_at, std::string_view error) {
  task.state = after_failure(task.attempt_count, attempt_max);
  const bool again = task.state == TaskState::retryable;
  task.schedule_at = again ? at_time(retry_at) : no_time;
  task.finalized_at = again ? no_time : at_time(now);
  if (!error.empty())
    task.errors = errors_with(task.errors, error_entry(now, task.attempt_count, error));
}

void forget_tasks(Relation table) {
  for_rows(table, index_on(table, task_position_column), nullptr, 0, [&](HeapTuple row) {
    if (read_task(table, row).task.state != TaskState::cancelled) delete_row(table, row);
    return true;
  });
}

}  // namespace kanthorq
