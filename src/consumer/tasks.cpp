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

// The number of the lease that an event is in, as it is committed; 0 where it is in none.
int64 find_lease_of(const Consumer& consumer, int64 position) {
  int64 found = 0;
  for_leases(consumer, [&](const Lease& lease) {
    if (holds(lease.fresh, position) || holds(lease.again, position)) found = lease.number;
    return found == 0;
  });
  return found;
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

void cancel_now(Task& task) {
  task.state = TaskState::cancelled;
  task.schedule_at = no_time;
  task.finalized_at = at_time(now_ms());
}

// Takes the event out of its lease, so that the worker's ack of it counts as nothing. Returns
// the lease's number, 0 where the worker is settling it at the moment: to wait for that would be to
// wait for a transaction that may next wait for us, to pull again.
int64 take_from_lease(const Consumer& consumer, int64 position) {
  const int64 candidate = find_lease_of(consumer, position);
  if (candidate == 0) return 0;
  const Lease lease = lock_lease(consumer, candidate, IfLocked::skip);
  if (!lease.row || !(holds(lease.fresh, position) || holds(lease.again, position))) return 0;
  shrink_lease(consumer, lease, without_position(lease.fresh, position),
               without_position(lease.again, position));
  KANTHORQ_TEST_POINT("cancel_lease");
  return lease.number;
}

// A running one is its lease's, whose worker may be settling it; only what is taken out of the
// lease is ours to lock.
bool cancel_task(const Consumer& consumer, const Task& found) {
  if (!can_cancel(found.state)) return false;
  const bool taken =
      found.state == TaskState::running && take_from_lease(consumer, found.position) > 0;
  if (found.state == TaskState::running && !taken) return false;
  const FoundTask locked = lock_task(consumer.table, found.position);
  if (!taken && !(locked.row && can_cancel(locked.task.state))) return false;
  Task task = locked.row ? locked.task : found;
  if (!locked.row) task.errors = no_errors();  // those went with the row
  cancel_now(task);
  put_task(consumer.table, task);
  return true;
}

bool try_cancel(const Consumer& consumer, const StreamRow& row) {
  const int64 position = row.position();
  const FoundTask found = find_task(consumer.table, position);
  if (found.row) return cancel_task(consumer, found.task);
  Task task = new_task(position, row.id(), row.subject());
  const int64 lease = take_from_lease(consumer, position);
  if (lease > 0) {
    task.attempt_count = 1;
    task.attempted_at = at_time(lease / 1000);  // the number is the time of its pull
  } else if (!is_ahead(read_place(consumer), position, row.txid())) {
    return false;
  }
  cancel_now(task);
  put_task(consumer.table, task);
  return true;
}

// Twice: a nack, which doesn't wait for this, may move the event from its lease to a task between
// the look for the one and the look for the other.
bool cancel_event(const Consumer& consumer, const StreamRow& row) {
  if (try_cancel(consumer, row)) return true;
  KANTHORQ_TEST_POINT("cancel_again");
  return try_cancel(consumer, row);
}

bool resume_event(const Consumer& consumer, const StreamRow& row) {
  const FoundTask seen = find_task(consumer.table, row.position());
  if (!seen.row || !can_resume(seen.task.state)) return false;
  const FoundTask found = lock_task(consumer.table, row.position());
  if (!found.row || !can_resume(found.task.state)) return false;
  if (is_ahead(read_place(consumer), row.position(), row.txid())) {
    delete_task(consumer.table, found);  // it comes in its turn
    wake_at_commit(consumer.stream);
    return true;
  }
  Task task = found.task;
  task.state = TaskState::available;
  task.attempt_count = 0;
  task.schedule_at = at_time(now_ms());
  task.finalized_at = no_time;
  change_task(consumer.table, found, task);
  wake_at_commit(consumer.stream);
  return true;
}

// Changes each event by `change(consumer, row)`; the ids of those for which it says true. A null
// list is an empty one: array_agg over no rows is null.
template <typename Change>
Datum change_events(FunctionCallInfo fcinfo, const char* function, Change change) {
  require_argument(fcinfo, 0, "consumer");
  const Elements ids = optional_elements(fcinfo, 1, "ids", TEXTOID);
  for (int i = 0; i < ids.count; i++)
    require_event_id(view_of(DatumGetTextPP(ids.required(i))), ids.source(i));
  PreventCommandIfReadOnly(function);
  Datum* changed = palloc_array_of<Datum>(ids.count);
  int count = 0;
  with_worker(own_schema(fcinfo), text_argument(fcinfo, 0), RowExclusiveLock, ACL_UPDATE,
              [&](const Consumer& opened, const OpenStream& stream) {
                const Consumer consumer = take_turn(opened, stream);
                Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
                const RowMemory memory;
                for (int i = 0; i < ids.count; i++) {
                  const bool moved = memory.during([&] {
                    bool is_changed = false;
                    with_event(stream, newest, view_of(DatumGetTextPP(ids.values[i])),
                               [&](const StreamRow& row) {
                                 is_changed = selects(consumer, row) && change(consumer, row);
                               });
                    return is_changed;
                  });
                  if (moved) changed[count++] = ids.values[i];
                  KANTHORQ_TEST_POINT("change_event");
                  CHECK_FOR_INTERRUPTS();
                }
                memory.end();
                UnregisterSnapshot(newest);
              });
  return PointerGetDatum(construct_array(changed, count, TEXTOID, -1, false, TYPALIGN_INT));
}

// Looks in the order in which an event moves on meanwhile, as has_unfinished() does; a seek moves
// it back.
TaskState state_of(const Consumer& consumer, const StreamRow& row) {
  const auto is_still_ahead = [&] {
    return is_ahead(read_place(consumer), row.position(), row.txid());
  };
  const bool was_ahead = is_still_ahead();
  KANTHORQ_TEST_POINT("state_place");
  const bool is_leased = find_lease_of(consumer, row.position()) > 0;
  KANTHORQ_TEST_POINT("state_lease");
  const FoundTask found = find_task(consumer.table, row.position());
  if (found.row) return found.task.state;
  if (is_leased) return TaskState::running;
  return was_ahead || is_still_ahead() ? TaskState::available : TaskState::completed;
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
  const std::string_view id = text_argument(fcinfo, 1);
  require_event_id(id, {"id"});
  bool found = false;
  TaskState state = TaskState::completed;
  with_worker(own_schema(fcinfo), text_argument(fcinfo, 0), AccessShareLock, ACL_SELECT,
              [&](const Consumer& consumer, const OpenStream& stream) {
                Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
                with_event(stream, newest, id, [&](const StreamRow& row) {
                  found = selects(consumer, row);
                  if (found) state = state_of(consumer, row);
                });
                UnregisterSnapshot(newest);
              });
  if (!found) PG_RETURN_NULL();
  return text_datum(name_of(state));
}

KANTHORQ_FUNCTION(kanthorq_tasks) {
  require_argument(fcinfo, 0, "consumer");
  TaskState state;
  if (!PG_ARGISNULL(1) && !parse_task_state(text_argument(fcinfo, 1), state))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid state \"%s\"", clipped(text_argument(fcinfo, 1))),
                    errdetail("No event of a consumer is ever in it."),
                    errhint("Use available, running, retryable, discarded or cancelled.")));
  const int size = required_size(fcinfo, 2, 10000);
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  with_consumer(
      own_schema(fcinfo), text_argument(fcinfo, 0), AccessShareLock, ACL_SELECT,
      [&](const Consumer& consumer) {
        with_spi([&] {
          ReadQuery query;
          query.add(psprintf(
              "SELECT event_id::pg_catalog.text, subject::pg_catalog.text, state::pg_catalog.text,"
              " attempt_count::pg_catalog.int2, schedule_at::pg_catalog.int8,"
              " attempted_at::pg_catalog.int8, attempted_error::pg_catalog.jsonb[],"
              " finalized_at::pg_catalog.int8"
              " FROM %s WHERE true",
              quoted_table_name(consumer.table)));
          if (!PG_ARGISNULL(1))
            query.add(" AND state OPERATOR(pg_catalog.=) ", TEXTOID, PG_GETARG_DATUM(1));
          query.add(" ORDER BY event_id LIMIT ", INT4OID, Int32GetDatum(size));
          query.run_into(result);
        });
      });
  return Datum{0};
}
