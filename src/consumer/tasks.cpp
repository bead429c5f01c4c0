// kanthorq_cancel, kanthorq_resume, kanthorq_task_state, kanthorq_tasks: one event's state.
#include "consumer/definition.hpp"
#include "consumer/lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "consumer/task.hpp"
#include "core/name.hpp"
#include "server/array.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/query.hpp"
#include "server/quoting.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "server/wake.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

namespace {

// Of kanthorq_cancel and kanthorq_resume.
namespace change_argument {
enum : int { consumer, ids };
}
namespace task_state_argument {
enum : int { consumer, id };
}
namespace tasks_argument {
enum : int { consumer, state, size };
}

constexpr int max_tasks_size = 10'000;

constexpr int64 no_lease = 0;

// The number of the lease that the event is in, as it is committed, or no_lease.
int64 find_lease_of(const Consumer& consumer, int64 position) {
  int64 number = no_lease;
  for_leases(consumer, [&](const Lease& lease) {
    if (lease.has(position)) number = lease.number;
    return number == no_lease;
  });
  return number;
}

// Is the event still to be delivered for the first time?
bool is_ahead(const Place& place, int64 position, std::uint64_t txid) {
  return position > place.cursor.position || is_owed(place.late, place.late_count, txid, position);
}

Positions without_position(Positions positions, int64 position) {
  Positions rest{palloc_array_of<int64>(positions.count), 0};
  for (std::size_t i = 0; i < positions.count; i++)
    if (positions.values[i] != position) rest.values[rest.count++] = positions.values[i];
  return rest;
}

void become_cancelled(Task& task) {
  task.state = TaskState::cancelled;
  task.schedule_at = no_time;
  task.finalized_at = at_time(now_ms());
}

// Takes the event out of its lease, so that the worker's ack no longer counts it. Returns the
// lease's number. Returns no_lease if the event is in none, or if the worker is settling the lease
// at the moment: its transaction must not be waited for, because it may pull next and so wait for
// this one.
int64 take_out_of_lease(const Consumer& consumer, int64 position) {
  const int64 number = find_lease_of(consumer, position);
  if (number == no_lease) return no_lease;
  const Lease lease = lock_lease(consumer, number, IfLocked::skip);
  if (!lease.row || !lease.has(position)) return no_lease;
  shrink_lease(consumer, lease, without_position(lease.fresh, position),
               without_position(lease.again, position));
  KANTHORQ_TEST_POINT("cancel_lease");
  return number;
}

// Cancels an event that has a task. The row of a running one belongs to its lease, whose worker may
// be settling it. It may be locked here only after the event was taken out of the lease.
bool cancel_task(const Consumer& consumer, const Task& seen) {
  if (!can_cancel(seen.state)) return false;
  const bool was_running = seen.state == TaskState::running;
  if (was_running && take_out_of_lease(consumer, seen.position) == no_lease) return false;
  const FoundTask locked = lock_task(consumer.table, seen.position);
  if (!was_running && !(locked.row && can_cancel(locked.task.state))) return false;
  Task task = locked.row ? locked.task : seen;
  if (!locked.row) task.errors = no_errors();  // those went with the row
  become_cancelled(task);
  put_task(consumer.table, task);
  return true;
}

// Cancels an event that has no task: it is in a lease for the first time, or not delivered yet.
bool cancel_without_task(const Consumer& consumer, const StreamRow& row) {
  const int64 lease = take_out_of_lease(consumer, row.position());
  if (lease == no_lease && !is_ahead(read_place(consumer), row.position(), row.txid()))
    return false;
  Task task = lease == no_lease ? new_task(row) : first_attempt(row, lease);
  become_cancelled(task);
  put_task(consumer.table, task);
  return true;
}

bool try_to_cancel(const Consumer& consumer, const StreamRow& row) {
  const FoundTask found = find_task(consumer.table, row.position());
  return found.row ? cancel_task(consumer, found.task) : cancel_without_task(consumer, row);
}

// It tries twice. A nack does not wait for this, and may move the event from its lease to a task
// after this looked for a task and before it looked for a lease.
bool cancel_event(const Consumer& consumer, const StreamRow& row) {
  if (try_to_cancel(consumer, row)) return true;
  KANTHORQ_TEST_POINT("cancel_again");
  return try_to_cancel(consumer, row);
}

void become_available(Task& task) {
  task.state = TaskState::available;
  task.attempt_count = 0;
  task.schedule_at = at_time(now_ms());
  task.finalized_at = no_time;
}

bool resume_event(const Consumer& consumer, const StreamRow& row) {
  const FoundTask seen = find_task(consumer.table, row.position());
  if (!seen.row || !can_resume(seen.task.state)) return false;
  const FoundTask locked = lock_task(consumer.table, row.position());
  if (!locked.row || !can_resume(locked.task.state)) return false;
  if (is_ahead(read_place(consumer), row.position(), row.txid())) {
    delete_task(consumer.table, locked);  // the event comes in its turn
  } else {
    Task task = locked.task;
    become_available(task);
    change_task(consumer.table, locked, task);
  }
  wake_at_commit(consumer.stream);
  return true;
}

// The array's elements, each an event id. A null array is an empty one: array_agg over no rows is
// null.
Elements event_ids_argument(FunctionCallInfo fcinfo, int argument) {
  const Elements ids = optional_elements(fcinfo, argument, "ids", TEXTOID);
  for (int i = 0; i < ids.count; i++)
    require_event_id(view_of(DatumGetTextPP(ids.required(i))), ids.source(i));
  return ids;
}

struct Ids {
  Datum* values;
  int count;
};

// Changes each event by `change(consumer, row)`. Returns the ids of those for which it returns
// true.
template <typename Change>
Ids change_each(const Consumer& consumer, const OpenStream& stream, Snapshot snapshot,
                const Elements& ids, Change change) {
  Ids changed{palloc_array_of<Datum>(ids.count), 0};
  const auto change_row = [&](const StreamRow& row) {
    return selects(consumer, row) && change(consumer, row);
  };
  const RowMemory memory;
  for (int i = 0; i < ids.count; i++) {
    const std::string_view id = view_of(DatumGetTextPP(ids.values[i]));
    const bool is_changed =
        memory.during([&] { return with_event(stream, snapshot, id, change_row).value_or(false); });
    if (is_changed) changed.values[changed.count++] = ids.values[i];
    KANTHORQ_TEST_POINT("change_event");
    CHECK_FOR_INTERRUPTS();
  }
  memory.end();
  return changed;
}

// What kanthorq_cancel and kanthorq_resume do: changes the events as change_each() does, in the
// consumer's turn, and returns the ids as an array.
template <typename Change>
Datum change_events(FunctionCallInfo fcinfo, const char* function, Change change) {
  require_argument(fcinfo, change_argument::consumer, "consumer");
  const Elements ids = event_ids_argument(fcinfo, change_argument::ids);
  PreventCommandIfReadOnly(function);
  const auto change_all = [&](const Consumer& opened, const OpenStream& stream) {
    const Consumer consumer = take_turn(opened, stream);
    return with_newest_snapshot(
        [&](Snapshot newest) { return change_each(consumer, stream, newest, ids, change); });
  };
  const Ids changed =
      with_worker(own_schema(fcinfo), text_argument(fcinfo, change_argument::consumer),
                  RowExclusiveLock, ACL_UPDATE, change_all);
  return PointerGetDatum(
      construct_array(changed.values, changed.count, TEXTOID, -1, false, TYPALIGN_INT));
}

// Looks in the order in which an event moves on meanwhile, as has_unfinished() does. A seek moves
// it back, so the first look is repeated.
TaskState state_of(const Consumer& consumer, const StreamRow& row) {
  const auto is_ahead_now = [&] {
    return is_ahead(read_place(consumer), row.position(), row.txid());
  };
  const bool was_ahead = is_ahead_now();
  KANTHORQ_TEST_POINT("state_place");
  const bool is_leased = find_lease_of(consumer, row.position()) != no_lease;
  KANTHORQ_TEST_POINT("state_lease");
  const FoundTask found = find_task(consumer.table, row.position());
  if (found.row) return found.task.state;
  if (is_leased) return TaskState::running;
  return was_ahead || is_ahead_now() ? TaskState::available : TaskState::completed;
}

// Nothing if there is no such event, or the consumer does not select it.
std::optional<TaskState> find_state(const Consumer& consumer, const OpenStream& stream,
                                    std::string_view id) {
  using State = std::optional<TaskState>;
  const auto state_in = [&](const StreamRow& row) {
    return selects(consumer, row) ? State(state_of(consumer, row)) : State();
  };
  return with_newest_snapshot(
      [&](Snapshot newest) { return with_event(stream, newest, id, state_in).value_or(State()); });
}

// Raises 22023 unless the argument is null or a state that a task can be in.
void require_state_argument(FunctionCallInfo fcinfo, int argument) {
  TaskState state;
  if (PG_ARGISNULL(argument) || parse_task_state(text_argument(fcinfo, argument), state)) return;
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("invalid state \"%s\"", clipped(text_argument(fcinfo, argument))),
                  errdetail("No event of a consumer is ever in it."),
                  errhint("Use available, running, retryable, discarded or cancelled.")));
}

// Adds the tasks to the result, at most `size` of them, those in `state` only unless it is null.
void list_tasks(const Consumer& consumer, NullableDatum state, int size, ReturnSetInfo* result) {
  ReadQuery query;
  query.add(
      psprintf("SELECT event_id::pg_catalog.text, subject::pg_catalog.text, state::pg_catalog.text,"
               " attempt_count::pg_catalog.int2, schedule_at::pg_catalog.int8,"
               " attempted_at::pg_catalog.int8, attempted_error::pg_catalog.jsonb[],"
               " finalized_at::pg_catalog.int8"
               " FROM %s WHERE true",
               quoted_table_name(consumer.table)));
  if (!state.isnull) query.add(" AND state OPERATOR(pg_catalog.=) ", TEXTOID, state.value);
  query.add(" ORDER BY event_id LIMIT ", INT4OID, Int32GetDatum(size));
  query.run_into(result);
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_cancel) {
  return change_events(fcinfo, "kanthorq_cancel()", cancel_event);
}

KANTHORQ_FUNCTION(kanthorq_resume) {
  return change_events(fcinfo, "kanthorq_resume()", resume_event);
}

KANTHORQ_FUNCTION(kanthorq_task_state) {
  const std::string_view id = text_argument(fcinfo, task_state_argument::id);
  require_event_id(id, {"id"});
  const auto find = [&](const Consumer& consumer, const OpenStream& stream) {
    return find_state(consumer, stream, id);
  };
  const auto state =
      with_worker(own_schema(fcinfo), text_argument(fcinfo, task_state_argument::consumer),
                  AccessShareLock, ACL_SELECT, find);
  if (!state) PG_RETURN_NULL();
  return text_datum(name_of(*state));
}

KANTHORQ_FUNCTION(kanthorq_tasks) {
  require_argument(fcinfo, tasks_argument::consumer, "consumer");
  require_state_argument(fcinfo, tasks_argument::state);
  const NullableDatum state = fcinfo->args[tasks_argument::state];
  const int size = required_size(fcinfo, tasks_argument::size, max_tasks_size);
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  const auto list = [&](const Consumer& consumer) {
    with_spi([&] { list_tasks(consumer, state, size, result); });
  };
  with_consumer(own_schema(fcinfo), text_argument(fcinfo, tasks_argument::consumer),
                AccessShareLock, ACL_SELECT, list);
  return Datum{0};
}
