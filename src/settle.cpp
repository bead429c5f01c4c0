// kanthorq_ack, kanthorq_nack, kanthorq_extend: what a worker says of its lease.
//
// Each locks the row of the lease to the end of the transaction, so that work done in the same
// transaction is done exactly once: a lease that ran out and was given on is refused (KQ001), and
// the work rolls back with it. No other lock of the consumer is taken.
#include "array.hpp"
#include "core/backoff.hpp"
#include "lease.hpp"
#include "stream_rows.hpp"
#include "task.hpp"
#include "test_point.hpp"
#include "time.hpp"
#include "wake.hpp"
#include "worker.hpp"

namespace kanthorq {

namespace {

// The positions of these events, ascending, each once; ids that are in no event are left out.
Positions positions_of(const OpenStream& stream, const Elements& ids) {
  Positions positions{palloc_array_of<int64>(ids.count), 0};
  Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
  for (int i = 0; i < ids.count; i++) {
    const std::string_view id = view_of(DatumGetTextPP(ids.required(i)));
    require_event_id(id, ids.place(i));
    CHECK_FOR_INTERRUPTS();
    with_event(stream, newest, id,
               [&](const StreamRow& row) { positions.values[positions.count++] = row.position(); });
  }
  UnregisterSnapshot(newest);
  int64* end = positions.values + positions.count;
  std::sort(positions.values, end);
  positions.count = static_cast<std::size_t>(std::unique(positions.values, end) - positions.values);
  return positions;
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

// Settles the events that argument 2 names, or all that is left of the lease where it is null:
// calls `fresh(position)` and `again(task)` for each. Returns how many there were.
template <typename Fresh, typename Again>
int64 settle(FunctionCallInfo fcinfo, const Consumer& consumer, const OpenStream& stream,
             const Lease& lease, Fresh fresh, Again again) {
  const Elements ids = optional_elements(fcinfo, 2, "ids", TEXTOID);
  const Positions wanted = ids.given ? positions_of(stream, ids) : Positions{};
  const Split first = split(lease.fresh, ids.given ? &wanted : nullptr);
  const Split more = split(lease.again, ids.given ? &wanted : nullptr);
  for (std::size_t i = 0; i < first.chosen.count; i++) {
    fresh(first.chosen.values[i]);
    KANTHORQ_TEST_POINT("settle_fresh");
    CHECK_FOR_INTERRUPTS();
  }
  for (std::size_t i = 0; i < more.chosen.count; i++) {
    const FoundTask found = find_task(consumer.table, more.chosen.values[i]);
    if (found.row) again(found);
    KANTHORQ_TEST_POINT("settle_again");
    CHECK_FOR_INTERRUPTS();
  }
  const std::size_t settled = first.chosen.count + more.chosen.count;
  if (settled > 0) shrink_lease(consumer, lease, first.rest, more.rest);
  KANTHORQ_TEST_POINT("settle_shrunk");
  return static_cast<int64>(settled);
}

template <typename Body>
void with_lease(FunctionCallInfo fcinfo, const char* function, Body body) {
  require_argument(fcinfo, 0, "consumer");
  require_argument(fcinfo, 1, "lease");
  PreventCommandIfReadOnly(function);
  with_worker(own_schema(fcinfo), text_argument(fcinfo, 0), RowExclusiveLock, ACL_UPDATE,
              [&](const Consumer& consumer, const OpenStream& stream) {
                const Lease lease = require_lease(consumer, PG_GETARG_INT64(1));
                KANTHORQ_TEST_POINT("settle_locked");
                body(consumer, stream, lease);
              });
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_ack) {
  int64 settled = 0;
  with_lease(fcinfo, "kanthorq_ack()",
             [&](const Consumer& consumer, const OpenStream& stream, const Lease& lease) {
               settled = settle(
                   fcinfo, consumer, stream, lease, [](int64) {},
                   [&](const FoundTask& found) { delete_task(consumer.table, found); });
             });
  PG_RETURN_INT64(settled);
}

KANTHORQ_FUNCTION(kanthorq_nack) {
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
               settled = settle(
                   fcinfo, consumer, stream, lease,
                   [&](int64 position) {
                     with_position(stream, newest, position, [&](const StreamRow& row) {
                       Task task = new_task(position, row.id(), row.subject());
                       task.attempt_count = 1;
                       task.attempted_at = at_time(lease.number / 1000);
                       fail(task);
                       put_task(consumer.table, task);
                     });
                   },
                   [&](const FoundTask& found) {
                     Task task = found.task;
                     fail(task);
                     change_task(consumer.table, found, task);
                   });
               UnregisterSnapshot(newest);
               wake_at_commit(consumer.stream);  // those that wait must know of the retry
             });
  PG_RETURN_INT64(settled);
}

KANTHORQ_FUNCTION(kanthorq_extend) {
  const bool named = !PG_ARGISNULL(2);
  const int64 named_ms = named ? duration_argument(fcinfo, 2, "by", 1) : 0;
  int64 deadline = 0;
  with_lease(fcinfo, "kanthorq_extend()",
             [&](const Consumer& consumer, const OpenStream&, const Lease& lease) {
               deadline = now_ms() + (named ? named_ms : consumer.visibility_ms);
               extend_lease(consumer, lease, deadline);
               KANTHORQ_TEST_POINT("extend_end");
             });
  PG_RETURN_TIMESTAMPTZ(timestamp_of(static_cast<std::uint64_t>(deadline)));
}
