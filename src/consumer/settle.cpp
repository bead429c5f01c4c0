// kanthorq_ack, kanthorq_nack, kanthorq_extend: what a worker says of its lease.
//
// Each locks the row of the lease to the end of the transaction. So work that is done in the same
// transaction is done exactly once: a lease that ran out and was given to another worker is refused
// (KQ001), and the work rolls back with it. No other lock of the consumer is taken.
#include "consumer/definition.hpp"
#include "consumer/lease.hpp"
#include "consumer/lost_lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/task.hpp"
#include "core/backoff.hpp"
#include "server/array.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "server/waiting.hpp"
#include "server/wake.hpp"
#include "stream/open_stream.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

namespace {

// The three functions begin with the same two arguments.
namespace lease_argument {
enum : int { consumer, lease };
}
namespace ack_argument {
enum : int { consumer, lease, ids };
}
namespace nack_argument {
enum : int { consumer, lease, ids, error, retry_in };
}
namespace extend_argument {
enum : int { consumer, lease, by };
}

// The lease, its row locked; raises KQ001 if nobody holds it. What was checked before is checked
// again, because it may have changed while this waited for the lock.
Lease lock_held_lease(const Consumer& consumer, const OpenStream& stream, int64 number) {
  const Lease lease = lock_lease(consumer, number, IfLocked::wait);
  if (!lease.row) raise_lease_lost(consumer, number);
  AcceptInvalidationMessages();  // a lock on a row does not
  require_privilege(consumer);
  require_readable(stream);
  KANTHORQ_TEST_POINT("settle_locked");
  return lease;
}

void require_consumer_and_lease(FunctionCallInfo fcinfo) {
  require_argument(fcinfo, lease_argument::consumer, "consumer");
  require_argument(fcinfo, lease_argument::lease, "lease");
}

// Runs `body(consumer, stream, lease)` with the lease that the arguments name, its row locked.
template <typename Body>
auto with_lease(FunctionCallInfo fcinfo, const char* function, Body body) {
  PreventCommandIfReadOnly(function);
  const auto run = [&](const Consumer& consumer, const OpenStream& stream) {
    return body(consumer, stream,
                lock_held_lease(consumer, stream, PG_GETARG_INT64(lease_argument::lease)));
  };
  return with_worker(own_schema(fcinfo), text_argument(fcinfo, lease_argument::consumer),
                     RowExclusiveLock, ACL_UPDATE, run);
}

// Which events of a lease a call is about: all that are left in it, or those that it names. A null
// list is neither. Clients send one for a list that they never filled, and they must not settle
// work by it that nobody did.
struct Chosen {
  bool all;
  Elements ids;
};

constexpr Chosen all_that_are_left{true, {}};

Chosen named_events(FunctionCallInfo fcinfo, int argument) {
  return {false, required_elements(fcinfo, argument, "ids", TEXTOID)};
}

// The array {*} means what leaving `ids` out means: it is the argument's default.
Chosen named_events_or_all(FunctionCallInfo fcinfo, int argument) {
  const Chosen chosen = named_events(fcinfo, argument);
  const bool all = chosen.ids.count == 1 && !chosen.ids.is_null(0) &&
                   view_of(DatumGetTextPP(chosen.ids.values[0])) == "*";
  return all ? all_that_are_left : chosen;
}

// The positions of these events, in the order of `ids`. Ids that no event has are left out.
Positions find_positions(const OpenStream& stream, Snapshot snapshot, const Elements& ids) {
  Positions positions{palloc_array_of<int64>(ids.count), 0};
  const auto add = [&](const StreamRow& row) {
    positions.values[positions.count++] = row.position();
  };
  const RowMemory memory;
  for (int i = 0; i < ids.count; i++) {
    const std::string_view id = view_of(DatumGetTextPP(ids.required(i)));
    require_event_id(id, ids.source(i));
    CHECK_FOR_INTERRUPTS();
    memory.during([&] { with_event(stream, snapshot, id, add); });
  }
  memory.end();
  return positions;
}

// The same, ascending, each once.
Positions positions_of(const OpenStream& stream, const Elements& ids) {
  Positions positions =
      with_newest_snapshot([&](Snapshot newest) { return find_positions(stream, newest, ids); });
  int64* end = positions.values + positions.count;
  std::sort(positions.values, end);
  positions.count = static_cast<std::size_t>(std::unique(positions.values, end) - positions.values);
  return positions;
}

// Some positions of a lease, and the rest of them.
struct Split {
  Positions chosen;
  Positions rest;
};

// Chooses those that are in `wanted`; null chooses all.
Split split(Positions positions, const Positions* wanted) {
  Split result{{palloc_array_of<int64>(positions.count), 0},
               {palloc_array_of<int64>(positions.count), 0}};
  for (std::size_t i = 0; i < positions.count; i++) {
    const bool is_chosen = !wanted || holds(*wanted, positions.values[i]);
    Positions& side = is_chosen ? result.chosen : result.rest;
    side.values[side.count++] = positions.values[i];
  }
  return result;
}

// Settles the chosen events of the lease: calls `settle_fresh(position)` for each that was
// delivered for the first time, and `settle_again(position)` for each of the others. Returns how
// many there were.
template <typename SettleFresh, typename SettleAgain>
int64 settle(const Consumer& consumer, const OpenStream& stream, const Lease& lease,
             const Chosen& chosen, SettleFresh settle_fresh, SettleAgain settle_again) {
  const Positions wanted = chosen.all ? Positions{} : positions_of(stream, chosen.ids);
  const Split fresh = split(lease.fresh, chosen.all ? nullptr : &wanted);
  const Split again = split(lease.again, chosen.all ? nullptr : &wanted);
  const RowMemory memory;
  for (std::size_t i = 0; i < fresh.chosen.count; i++) {
    memory.during([&] { settle_fresh(fresh.chosen.values[i]); });
    KANTHORQ_TEST_POINT("settle_fresh");
    CHECK_FOR_INTERRUPTS();
  }
  for (std::size_t i = 0; i < again.chosen.count; i++) {
    memory.during([&] { settle_again(again.chosen.values[i]); });
    KANTHORQ_TEST_POINT("settle_again");
    CHECK_FOR_INTERRUPTS();
  }
  memory.end();
  const std::size_t settled = fresh.chosen.count + again.chosen.count;
  if (settled > 0) shrink_lease(consumer, lease, fresh.rest, again.rest);
  if (settled > 0 && settled == lease.count()) remember_settled(consumer, lease);
  KANTHORQ_TEST_POINT("settle_shrunk");
  return static_cast<int64>(settled);
}

// Completes the chosen events. A completed event needs no task row.
int64 acknowledge(FunctionCallInfo fcinfo, const Chosen& chosen) {
  const auto complete = [&](const Consumer& consumer, const OpenStream& stream,
                            const Lease& lease) {
    const auto forget_fresh = [](int64) {};
    const auto forget_again = [&](int64 position) {
      const FoundTask found = lock_task(consumer.table, position);
      if (found.row) delete_task(consumer.table, found);
    };
    return settle(consumer, stream, lease, chosen, forget_fresh, forget_again);
  };
  return with_lease(fcinfo, "kanthorq_ack()", complete);
}

// What a nack asks for.
struct Refusal {
  std::string_view error;            // empty if none is given
  std::optional<int64> retry_in_ms;  // the backoff if none is given
  int64 now;                         // milliseconds since the epoch
};

Refusal refusal_arguments(FunctionCallInfo fcinfo) {
  Refusal refusal{};
  if (!PG_ARGISNULL(nack_argument::error))
    refusal.error = text_argument(fcinfo, nack_argument::error);
  if (!PG_ARGISNULL(nack_argument::retry_in))
    refusal.retry_in_ms = duration_argument(fcinfo, nack_argument::retry_in, "retry_in", 0);
  refusal.now = now_ms();
  return refusal;
}

// A refusal that is under way.
struct Refusing {
  const Refusal& refusal;
  const Consumer& consumer;
  const OpenStream& stream;
  const Lease& lease;
  Snapshot snapshot;
};

void fail(const Refusing& refusing, Task& task) {
  const Refusal& refusal = refusing.refusal;
  uint32 random = 0;
  if (!pg_strong_random(&random, sizeof(random))) random = 0;
  const int64 delay = refusal.retry_in_ms.value_or(retry_delay_ms(task.attempt_count, random));
  fail_attempt(task, refusing.consumer.attempt_max, refusal.now, refusal.now + delay,
               refusal.error);
}

void fail_fresh(const Refusing& refusing, int64 position) {
  with_position(refusing.stream, refusing.snapshot, position, [&](const StreamRow& row) {
    Task task = first_attempt(row, refusing.lease.number);
    fail(refusing, task);
    put_task(refusing.consumer.table, task);
  });
}

void fail_again(const Refusing& refusing, int64 position) {
  const FoundTask found = lock_task(refusing.consumer.table, position);
  if (!found.row) return fail_fresh(refusing, position);  // the table's owner deleted it
  Task task = found.task;
  fail(refusing, task);
  change_task(refusing.consumer.table, found, task);
}

int64 refuse(const Consumer& consumer, const OpenStream& stream, const Lease& lease,
             const Chosen& chosen, const Refusal& refusal) {
  const int64 settled = with_newest_snapshot([&](Snapshot newest) {
    const Refusing refusing{refusal, consumer, stream, lease, newest};
    return settle(
        consumer, stream, lease, chosen, [&](int64 position) { fail_fresh(refusing, position); },
        [&](int64 position) { fail_again(refusing, position); });
  });
  wake_at_commit(consumer.stream);  // those that wait must know of the retry
  return settled;
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_ack) {
  require_consumer_and_lease(fcinfo);
  PG_RETURN_INT64(acknowledge(fcinfo, all_that_are_left));
}

KANTHORQ_FUNCTION(kanthorq_ack_events) {
  require_consumer_and_lease(fcinfo);
  PG_RETURN_INT64(acknowledge(fcinfo, named_events(fcinfo, ack_argument::ids)));
}

KANTHORQ_FUNCTION(kanthorq_nack) {
  require_consumer_and_lease(fcinfo);
  const Chosen chosen = named_events_or_all(fcinfo, nack_argument::ids);
  const Refusal refusal = refusal_arguments(fcinfo);
  PG_RETURN_INT64(
      with_lease(fcinfo, "kanthorq_nack()",
                 [&](const Consumer& consumer, const OpenStream& stream, const Lease& lease) {
                   return refuse(consumer, stream, lease, chosen, refusal);
                 }));
}

KANTHORQ_FUNCTION(kanthorq_extend) {
  require_consumer_and_lease(fcinfo);
  const bool is_given = !PG_ARGISNULL(extend_argument::by);
  const int64 given_ms = is_given ? duration_argument(fcinfo, extend_argument::by, "by", 1) : 0;
  const int64 started = steady_ms();
  const auto extend = [&](const Consumer& consumer, const OpenStream&, const Lease& lease) {
    require_client_since(started);  // a lost client's lease would keep events from other workers
    const int64 deadline = now_ms() + (is_given ? given_ms : consumer.visibility_ms);
    extend_lease(consumer, lease, deadline);
    KANTHORQ_TEST_POINT("extend_end");
    return deadline;
  };
  const int64 deadline = with_lease(fcinfo, "kanthorq_extend()", extend);
  PG_RETURN_TIMESTAMPTZ(timestamp_of(static_cast<std::uint64_t>(deadline)));
}
