// kanthorq_ack, kanthorq_nack, kanthorq_extend: what a worker says of its lease.
//
// Each locks the row of the lease to the end of the transaction, so that work done in the same
// transaction is done exactly once: a lease that ran out and was given on is refused (KQ001), and
// the work rolls back with it. No other lock of the consumer is taken.
#include "consumer/definition.hpp"
#include "consumer/lease.hpp"
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

// The positions of these events, ascending, each once; ids that are in no event are left out.
Positions positions_of(const OpenStream& stream, const Elements& ids) {
  Positions positions{palloc_array_of<int64>(ids.count), 0};
  Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
  const RowMemory memory;
  for (int i = 0; i < ids.count; i++) {
    const std::string_view id = view_of(DatumGetTextPP(ids.required(i)));
    require_event_id(id, ids.source(i));
    CHECK_FOR_INTERRUPTS();
    memory.during([&] {
      with_event(stream, newest, id, [&](const StreamRow& row) {
        positions.values[positions.count++] = row.position();
      });
    });
  }
  memory.end();
  UnregisterSnapshot(newest);
  int64* end = positions.values + positions.count;
  std::sort(positions.values, end);
  positions.count = static_cast<std::size_t>(std::unique(positions.values, end) - positions.values);
  return positions;
}

// The leases that this process settled last. Only for the words of an error: whoever acknowledges
// the whole lease once for each of its rows has nothing to roll back.
struct Settled {
  Oid table;
  int64 lease;
  TransactionId transaction;  // the subtransaction's, if it was done in one
};
constexpr int most_remembered = 16;
Settled remembered[most_remembered];
unsigned next_remembered;

void remember_settled(const Consumer& consumer, const Lease& lease) {
  remembered[next_remembered++ % most_remembered] = {RelationGetRelid(consumer.table), lease.number,
                                                     GetCurrentTransactionId()};
}

// Did this transaction settle it? A subtransaction that rolled back is none of its own any more,
// and neither is a transaction that has ended.
bool was_settled_here(const Consumer& consumer, int64 lease) {
  return std::any_of(std::begin(remembered), std::end(remembered), [&](const Settled& settled) {
    return settled.lease == lease && settled.table == RelationGetRelid(consumer.table) &&
           TransactionIdIsCurrentTransactionId(settled.transaction);
  });
}

[[noreturn]] void raise_lease_lost(const Consumer& consumer, int64 lease) {
  const bool here = was_settled_here(consumer, lease);
  ereport(ERROR,
          (errcode(MAKE_SQLSTATE('K', 'Q', '0', '0', '1')),
           errmsg("lease " INT64_FORMAT " of consumer \"%s\" is no longer held", lease,
                  cstring_of(consumer.name)),
           here ? errdetail("It was settled by this transaction.")
                : errdetail("It was settled, or it ran out and its events were given to another "
                            "pull, or a seek ended it."),
           here ? errhint("Settle a lease once, not once for each of its rows, or name the ids of "
                          "the events.")
                : errhint("Roll back what was done under it. Its events come again unless they "
                          "were settled.")));
}

// Some of a lease, and the rest of it.
struct Split {
  Positions chosen;
  Positions rest;
};

Split split(Positions positions, const Positions* wanted) {
  Split result{{palloc_array_of<int64>(positions.count), 0},
               {palloc_array_of<int64>(positions.count), 0}};
  for (std::size_t i = 0; i < positions.count; i++) {
    const bool chosen = !wanted || holds(*wanted, positions.values[i]);
    Positions& side = chosen ? result.chosen : result.rest;
    side.values[side.count++] = positions.values[i];
  }
  return result;
}

// Which events of a lease a call is about: all that are left in it, or those that it names. A null
// list is neither. Clients send one for a list that they never filled, and they must not settle
// work by it that nobody did.
struct Chosen {
  bool all;
  Elements ids;
};

constexpr Chosen all_that_are_left{true, {}};

Chosen named_events(FunctionCallInfo fcinfo) {
  return {false, required_elements(fcinfo, 2, "ids", TEXTOID)};
}

// The array {*} says what leaving `ids` out says, since it is the argument's default.
Chosen named_events_or_all(FunctionCallInfo fcinfo) {
  const Chosen chosen = named_events(fcinfo);
  const bool all = chosen.ids.count == 1 && !chosen.ids.is_null(0) &&
                   view_of(DatumGetTextPP(chosen.ids.values[0])) == "*";
  return all ? all_that_are_left : chosen;
}

// Settles the chosen events of the lease: calls `fresh(position)` for each that was delivered
// for the first time, and `again(position)` for each of the others. Returns how many there were.
template <typename Fresh, typename Again>
int64 settle(const Consumer& consumer, const OpenStream& stream, const Lease& lease,
             const Chosen& chosen, Fresh fresh, Again again) {
  const Positions wanted = chosen.all ? Positions{} : positions_of(stream, chosen.ids);
  const Split first = split(lease.fresh, chosen.all ? nullptr : &wanted);
  const Split more = split(lease.again, chosen.all ? nullptr : &wanted);
  const RowMemory memory;
  for (std::size_t i = 0; i < first.chosen.count; i++) {
    memory.during([&] { fresh(first.chosen.values[i]); });
    KANTHORQ_TEST_POINT("settle_fresh");
    CHECK_FOR_INTERRUPTS();
  }
  for (std::size_t i = 0; i < more.chosen.count; i++) {
    memory.during([&] { again(more.chosen.values[i]); });
    KANTHORQ_TEST_POINT("settle_again");
    CHECK_FOR_INTERRUPTS();
  }
  memory.end();
  const std::size_t settled = first.chosen.count + more.chosen.count;
  if (settled > 0) shrink_lease(consumer, lease, first.rest, more.rest);
  if (settled > 0 && settled == lease.count()) remember_settled(consumer, lease);
  KANTHORQ_TEST_POINT("settle_shrunk");
  return static_cast<int64>(settled);
}

void require_consumer_and_lease(FunctionCallInfo fcinfo) {
  require_argument(fcinfo, 0, "consumer");
  require_argument(fcinfo, 1, "lease");
}

template <typename Body>
void with_lease(FunctionCallInfo fcinfo, const char* function, Body body) {
  PreventCommandIfReadOnly(function);
  with_worker(own_schema(fcinfo), text_argument(fcinfo, 0), RowExclusiveLock, ACL_UPDATE,
              [&](const Consumer& consumer, const OpenStream& stream) {
                const int64 number = PG_GETARG_INT64(1);
                const Lease lease = lock_lease(consumer, number, IfLocked::wait);
                if (!lease.row) raise_lease_lost(consumer, number);
                AcceptInvalidationMessages();  // a lock on a row does not, and it may have waited
                require_privilege(consumer);
                require_readable(stream);
                KANTHORQ_TEST_POINT("settle_locked");
                body(consumer, stream, lease);
              });
}

int64 acknowledge(FunctionCallInfo fcinfo, const Chosen& chosen) {
  int64 settled = 0;
  with_lease(fcinfo, "kanthorq_ack()",
             [&](const Consumer& consumer, const OpenStream& stream, const Lease& lease) {
               settled = settle(
                   consumer, stream, lease, chosen, [](int64) {},
                   [&](int64 position) {
                     const FoundTask found = lock_task(consumer.table, position);
                     if (found.row) delete_task(consumer.table, found);
                   });
             });
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
  PG_RETURN_INT64(acknowledge(fcinfo, named_events(fcinfo)));
}

KANTHORQ_FUNCTION(kanthorq_nack) {
  require_consumer_and_lease(fcinfo);
  const Chosen chosen = named_events_or_all(fcinfo);
  const std::string_view error = PG_ARGISNULL(3) ? std::string_view{} : text_argument(fcinfo, 3);
  const bool named_delay = !PG_ARGISNULL(4);
  const int64 named_delay_ms = named_delay ? duration_argument(fcinfo, 4, "retry_in", 0) : 0;
  const int64 now = now_ms();
  int64 settled = 0;
  with_lease(fcinfo, "kanthorq_nack()",
             [&](const Consumer& consumer, const OpenStream& stream, const Lease& lease) {
               Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
               const auto fail = [&](Task& task) {
                 uint32 random = 0;
                 if (!pg_strong_random(&random, sizeof(random))) random = 0;
                 const int64 delay =
                     named_delay ? named_delay_ms : retry_delay_ms(task.attempt_count, random);
                 fail_attempt(task, consumer.attempt_max, now, now + delay, error);
               };
               const auto fail_fresh = [&](int64 position) {
                 with_position(stream, newest, position, [&](const StreamRow& row) {
                   Task task = new_task(position, row.id(), row.subject());
                   task.attempt_count = 1;
                   task.attempted_at = at_time(lease.number / 1000);
                   fail(task);
                   put_task(consumer.table, task);
                 });
               };
               const auto fail_again = [&](int64 position) {
                 const FoundTask found = lock_task(consumer.table, position);
                 if (!found.row) return fail_fresh(position);  // the table's owner deleted it
                 Task task = found.task;
                 fail(task);
                 change_task(consumer.table, found, task);
               };
               settled = settle(consumer, stream, lease, chosen, fail_fresh, fail_again);
               UnregisterSnapshot(newest);
               wake_at_commit(consumer.stream);  // those that wait must know of the retry
             });
  PG_RETURN_INT64(settled);
}

KANTHORQ_FUNCTION(kanthorq_extend) {
  require_consumer_and_lease(fcinfo);
  const bool named = !PG_ARGISNULL(2);
  const int64 named_ms = named ? duration_argument(fcinfo, 2, "by", 1) : 0;
  const int64 started = steady_ms();
  int64 deadline = 0;
  with_lease(fcinfo, "kanthorq_extend()",
             [&](const Consumer& consumer, const OpenStream&, const Lease& lease) {
               require_client_since(started);  // else it keeps events from the others
               deadline = now_ms() + (named ? named_ms : consumer.visibility_ms);
               extend_lease(consumer, lease, deadline);
               KANTHORQ_TEST_POINT("extend_end");
             });
  PG_RETURN_TIMESTAMPTZ(timestamp_of(static_cast<std::uint64_t>(deadline)));
}
