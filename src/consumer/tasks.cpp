// kanthorq_task_state, kanthorq_tasks: the state of one event, and all tasks.
#include "consumer/definition.hpp"
#include "consumer/lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "consumer/task.hpp"
#include "core/name.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/query.hpp"
#include "server/quoting.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

namespace {

namespace task_state_argument {
enum : int { consumer, id };
}
namespace tasks_argument {
enum : int { consumer, state, size };
}

constexpr int max_tasks_size = 10'000;

// The number of the lease that the event is in, as it is committed, or no_lease.
int64 find_lease_of(const Consumer& consumer, int64 position) {
  int64 number = no_lease;
  for_leases(consumer, [&](const Lease& lease) {
    if (lease.has(position)) number = lease.number;
    return number == no_lease;
  });
  return number;
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
