// kanthorq_cancel, kanthorq_resume: events that are left out, and those that come again.
//
// Both take the consumer's turn. So no event moves into a lease meanwhile. A worker that settles a
// lease does not wait for this: it may complete an event, or move it from the lease to a task. So
// the leases are looked at first, and then the tasks.
//
// What was resumed is not finished any more. So whoever resumes waits for those who remove events
// because they are finished, and these wait for whoever has resumed some (keep_finished()).
#include "consumer/definition.hpp"
#include "consumer/lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "consumer/task.hpp"
#include "server/array.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/lock.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "server/wake.hpp"
#include "stream/open_stream.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

namespace {

namespace change_argument {
enum : int { consumer, ids };
}

// The position of an id that no event has, or one that the consumer does not select.
constexpr int64 no_position = 0;

// The array's elements, each an event id. A null array is an empty one: array_agg over no rows is
// null.
Elements event_ids_argument(FunctionCallInfo fcinfo, int argument) {
  const Elements ids = optional_elements(fcinfo, argument, "ids", TEXTOID);
  for (int i = 0; i < ids.count; i++)
    require_event_id(view_of(DatumGetTextPP(ids.required(i))), ids.source(i));
  return ids;
}

// The events of these ids: their positions, in the order of the ids.
Positions find_selected(const Consumer& consumer, const OpenStream& stream, Snapshot snapshot,
                        const Elements& ids) {
  Positions found{palloc_array_of<int64>(ids.count), 0};
  const auto position_of = [&](const StreamRow& row) {
    return selects(consumer, row) ? row.position() : no_position;
  };
  const RowMemory memory;
  for (int i = 0; i < ids.count; i++) {
    const std::string_view id = view_of(DatumGetTextPP(ids.values[i]));
    found.values[found.count++] = memory.during(
        [&] { return with_event(stream, snapshot, id, position_of).value_or(no_position); });
    CHECK_FOR_INTERRUPTS();
  }
  memory.end();
  return found;
}

// Which events were taken out of which leases.
struct Taken {
  Positions wanted;  // each once
  int64* leases;     // of each of them, or no_lease

  // The lease that the event was taken out of. It is given once: the same id may come again.
  int64 give(int64 position) const {
    int64* end = wanted.values + wanted.count;
    int64& lease = leases[std::lower_bound(wanted.values, end, position) - wanted.values];
    return std::exchange(lease, no_lease);
  }
};

// Those of the positions that are not wanted. Notes the lease of the others.
Positions take(const Taken& taken, int64 lease, Positions positions) {
  Positions rest{palloc_array_of<int64>(positions.count), 0};
  for (std::size_t i = 0; i < positions.count; i++) {
    const int64 position = positions.values[i];
    int64* end = taken.wanted.values + taken.wanted.count;
    const int64* found = std::lower_bound(taken.wanted.values, end, position);
    if (found != end && *found == position)
      taken.leases[found - taken.wanted.values] = lease;
    else
      rest.values[rest.count++] = position;
  }
  return rest;
}

bool has_one_of(const Lease& lease, Positions wanted) {
  const auto is_wanted = [&](int64 position) { return holds(wanted, position); };
  return std::any_of(lease.fresh.values, lease.fresh.values + lease.fresh.count, is_wanted) ||
         std::any_of(lease.again.values, lease.again.values + lease.again.count, is_wanted);
}

struct SeenLeases {
  SeenLease* leases;
  std::size_t count;
};

// The leases that have some of these events, as they are committed. Each is read once. The lock
// keeps a VACUUM FULL from moving the rows that were seen.
SeenLeases find_leases_with(const Consumer& consumer, Positions wanted) {
  SeenLeases found{palloc_array_of<SeenLease>(wanted.count), 0};
  lock_relation(own_table_oid(consumer.schema, lease_table), RowExclusiveLock);
  for_leases(consumer, [&](const Lease& lease) {
    if (has_one_of(lease, wanted)) found.leases[found.count++] = {lease.number, lease.row->t_self};
    return found.count < wanted.count;  // an event is in one lease only
  });
  return found;
}

// Takes the wanted events out of their leases, so that the workers' acks no longer count them. A
// lease that its worker is settling at the moment is left alone. Its transaction must not be waited
// for, because it may pull next and so wait for this one.
void take_out_of_leases(const Consumer& consumer, const Taken& taken) {
  const SeenLeases seen = find_leases_with(consumer, taken.wanted);
  const RowMemory memory;
  for (std::size_t i = 0; i < seen.count; i++) {
    memory.during([&] {
      const Lease lease = lock_seen_lease(consumer, seen.leases[i], IfLocked::skip);
      if (!lease.row) return;
      const Positions fresh = take(taken, lease.number, lease.fresh);
      const Positions again = take(taken, lease.number, lease.again);
      if (fresh.count + again.count < lease.count()) shrink_lease(consumer, lease, fresh, again);
    });
    KANTHORQ_TEST_POINT("cancel_lease");
    CHECK_FOR_INTERRUPTS();
  }
  memory.end();
}

// Takes those of the events that are in leases out of them.
Taken take_out(const Consumer& consumer, Positions found) {
  Positions wanted{palloc_array_of<int64>(found.count), found.count};
  std::copy_n(found.values, found.count, wanted.values);
  std::sort(wanted.values, wanted.values + wanted.count);
  wanted.count = static_cast<std::size_t>(std::unique(wanted.values, wanted.values + wanted.count) -
                                          wanted.values);
  const Taken taken{wanted, palloc_array_of<int64>(wanted.count)};
  std::fill_n(taken.leases, wanted.count, no_lease);
  take_out_of_leases(consumer, taken);
  KANTHORQ_TEST_POINT("cancel_taken");
  return taken;
}

void become_cancelled(Task& task) {
  task.state = TaskState::cancelled;
  task.schedule_at = no_time;
  task.finalized_at = at_time(now_ms());
}

// Cancels an event that was taken out of this lease. If it ran again, its task is its lease's.
bool cancel_taken(const Consumer& consumer, const StreamRow& row, int64 lease) {
  const FoundTask locked = lock_task(consumer.table, row.position());
  Task task = locked.row ? locked.task : first_attempt(row, lease);
  become_cancelled(task);
  put_task(consumer.table, task);
  return true;
}

// Cancels an event that has a task. The row of a running one belongs to its lease, whose worker is
// settling it. It must not be locked.
bool cancel_task(const Consumer& consumer, const FoundTask& seen) {
  if (seen.task.state == TaskState::running || !can_cancel(seen.task.state)) return false;
  const FoundTask locked = lock_task(consumer.table, seen.task.position);
  if (!locked.row || !can_cancel(locked.task.state)) return false;
  Task task = locked.task;
  become_cancelled(task);
  change_task(consumer.table, locked, task);
  return true;
}

bool cancel_event(const Consumer& consumer, const StreamRow& row, int64 lease) {
  if (lease != no_lease) return cancel_taken(consumer, row, lease);
  const FoundTask seen = find_task(consumer.table, row.position());
  if (seen.row) return cancel_task(consumer, seen);
  if (!is_ahead(read_place(consumer), row.position(), row.txid())) return false;
  Task task = new_task(row);
  become_cancelled(task);
  put_task(consumer.table, task);
  return true;
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

struct Ids {
  Datum* values;
  int count;
};

// Changes each event that was found by `change(row)`. Returns the ids of those for which it returns
// true.
template <typename Change>
Ids change_each(const OpenStream& stream, Snapshot snapshot, const Elements& ids, Positions found,
                Change change) {
  Ids changed{palloc_array_of<Datum>(ids.count), 0};
  const RowMemory memory;
  for (int i = 0; i < ids.count; i++) {
    const bool is_changed = found.values[i] != no_position && memory.during([&] {
      return with_position(stream, snapshot, found.values[i], change).value_or(false);
    });
    if (is_changed) changed.values[changed.count++] = ids.values[i];
    KANTHORQ_TEST_POINT("change_event");
    CHECK_FOR_INTERRUPTS();
  }
  memory.end();
  return changed;
}

Ids cancel_events(const Consumer& consumer, const OpenStream& stream, Snapshot snapshot,
                  const Elements& ids) {
  const Positions found = find_selected(consumer, stream, snapshot, ids);
  const Taken taken = take_out(consumer, found);
  return change_each(stream, snapshot, ids, found, [&](const StreamRow& row) {
    return cancel_event(consumer, row, taken.give(row.position()));
  });
}

Ids resume_events(const Consumer& consumer, const OpenStream& stream, Snapshot snapshot,
                  const Elements& ids) {
  const Positions found = find_selected(consumer, stream, snapshot, ids);
  return change_each(stream, snapshot, ids, found,
                     [&](const StreamRow& row) { return resume_event(consumer, row); });
}

// What kanthorq_cancel and kanthorq_resume do: `begin(consumer)`, then `change(consumer, stream,
// snapshot, ids)` in the consumer's turn. Returns the ids that it returns, as an array.
template <typename Begin, typename Change>
Datum change_events(FunctionCallInfo fcinfo, const char* function, Begin begin, Change change) {
  require_argument(fcinfo, change_argument::consumer, "consumer");
  const Elements ids = event_ids_argument(fcinfo, change_argument::ids);
  PreventCommandIfReadOnly(function);
  const auto change_all = [&](const Consumer& opened, const OpenStream& stream) {
    begin(opened);
    const Consumer consumer = take_turn(opened, stream);
    return with_newest_snapshot(
        [&](Snapshot newest) { return change(consumer, stream, newest, ids); });
  };
  const Ids changed =
      with_worker(own_schema(fcinfo), text_argument(fcinfo, change_argument::consumer),
                  RowExclusiveLock, ACL_UPDATE, change_all);
  return PointerGetDatum(
      construct_array(changed.values, changed.count, TEXTOID, -1, false, TYPALIGN_INT));
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_cancel) {
  return change_events(
      fcinfo, "kanthorq_cancel()", [](const Consumer&) {}, cancel_events);
}

KANTHORQ_FUNCTION(kanthorq_resume) {
  return change_events(fcinfo, "kanthorq_resume()", begin_resuming, resume_events);
}
