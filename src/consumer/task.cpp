#include "consumer/task.hpp"

#include "consumer/task_table.hpp"
#include "server/datum.hpp"
#include "server/indexes.hpp"

namespace kanthorq {

namespace {

// An event that fails for ever must not grow its row for ever.
constexpr int max_errors = 16;
constexpr int max_error_characters = 2000;

// Whoever may write into the table may have put more there: with 4 bytes for each character ours
// come to an eighth of this. More is not read, and goes with the next error.
constexpr Size max_errors_bytes = 1024 * 1024;

// And no valid state is longer than this.
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

Datum error_entry(int64 now, int attempt, std::string_view error) {
  const int size = static_cast<int>(error.size());
  const int kept = pg_mbcharcliplen(error.data(), size, max_error_characters);
  JsonState state{};
  const auto key = [&](std::string_view name) {
    JsonbValue value;
    value.type = jbvString;
    value.val.string = {static_cast<int>(name.size()), const_cast<char*>(name.data())};
    push_json(&state, WJB_KEY, &value);
  };
  const auto number = [&](int64 value) {
    JsonbValue entry;
    entry.type = jbvNumeric;
    entry.val.numeric = int64_to_numeric(value);
    push_json(&state, WJB_VALUE, &entry);
  };
  push_json(&state, WJB_BEGIN_OBJECT, nullptr);
  key("at");
  number(now);
  key("attempt");
  number(attempt);
  key("error");
  JsonbValue text;
  text.type = jbvString;
  text.val.string = {kept, const_cast<char*>(error.data())};
  push_json(&state, WJB_VALUE, &text);
  return JsonbPGetDatum(JsonbValueToJsonb(push_json(&state, WJB_END_OBJECT, nullptr)));
}

Datum errors_with(Datum errors, Datum entry) {
  if (toast_raw_datum_size(errors) > max_errors_bytes) errors = no_errors();
  Datum* values;
  bool* nulls;
  int count;
  deconstruct_array(DatumGetArrayTypeP(errors), JSONBOID, -1, false, TYPALIGN_INT, &values, &nulls,
                    &count);
  int there = 0;  // a worker may write into the table, nulls for instance
  for (int i = 0; i < count; i++)
    if (!nulls[i]) values[there++] = values[i];
  const int kept = Min(there, max_errors - 1);
  Datum* all = palloc_array_of<Datum>(kept + 1);
  for (int i = 0; i < kept; i++) all[i] = values[there - kept + i];
  all[kept] = entry;
  return PointerGetDatum(construct_array(all, kept + 1, JSONBOID, -1, false, TYPALIGN_INT));
}

}  // namespace

Datum no_errors() { return PointerGetDatum(construct_empty_array(JSONBOID)); }

Task new_task(int64 position, std::string_view event_id, std::string_view subject) {
  return {
      .position = position,
      .event_id = text_datum(event_id),
      .subject = text_datum(subject),
      .state = TaskState::available,
      .attempt_count = 0,
      .schedule_at = no_time,
      .attempted_at = no_time,
      .errors = no_errors(),
      .finalized_at = no_time,
  };
}

FoundTask read_task(Relation table, HeapTuple row) {
  const auto value = [&](AttrNumber column) { return row_value(table, row, column); };
  Task task = {
      .position = DatumGetInt64(value(task_position_column)),
      .event_id = value(task_event_id_column),
      .subject = value(task_subject_column),
      .state = TaskState::available,
      .attempt_count = DatumGetInt16(value(task_attempt_count_column)),
      .schedule_at = nullable_row_value(table, row, task_schedule_at_column),
      .attempted_at = nullable_row_value(table, row, task_attempted_at_column),
      .errors = value(task_error_column),
      .finalized_at = nullable_row_value(table, row, task_finalized_at_column),
  };
  // Whoever may write into the table may have written something else. Taken for one that is to be
  // tried again it stops nobody.
  const text* state = DatumGetTextPSlice(value(task_state_column), 0, max_state_bytes);
  if (!parse_task_state(view_of(state), task.state)) task.state = TaskState::retryable;
  return {row, task};
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
    CommandCounterIncrement();  // or what the calling statement itself deleted would be found again
  }
}

void put_task(Relation table, const Task& task) {
  const FoundTask locked = lock_task(table, task.position);
  if (locked.row) return change_task(table, locked, task);
  require_task_table(table);  // see change_task()
  insert_row(table, row_values(table, task));
}

// An index that was begun since the table was opened, which CONCURRENTLY does beside us, is opened
// with the others by the server, and its owner's code would run.
void change_task(Relation table, const FoundTask& locked, const Task& task) {
  require_task_table(table);
  update_row(table, locked.row, row_values(table, task));
}

void delete_task(Relation table, const FoundTask& found) { delete_row(table, found.row); }

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
