// CALL kanthorq_trim(): what kanthorq_stream_trim() does, in batches with a commit after each. So
// ordered consumers wait for a batch and not for all, and what it has removed stays removed if it
// is stopped.
//
// Each batch is checked and removed in one transaction, as the owner of the stream's table. Closed
// partitions that lie before the id are retired and dropped, which deletes no rows.
#include "consumer/open_consumer.hpp"
#include "core/event_id.hpp"
#include "retention/finished.hpp"
#include "retention/maintain.hpp"
#include "retention/old_events.hpp"
#include "retention/partition_steps.hpp"
#include "retention/retire.hpp"
#include "retention/settings.hpp"
#include "server/as_owner.hpp"
#include "server/attempt.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/own_transaction.hpp"
#include "server/privileges.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "stream/open_stream.hpp"
#include "stream/partition_owner.hpp"
#include "stream/partitions.hpp"
#include "stream/reading.hpp"
#include "stream/registry.hpp"
#include "stream/settings.hpp"

namespace kanthorq {

namespace {

// One of the tables that have old events, and how far it is trimmed.
struct Part {
  Oid table;
  bool is_whole;  // a partition that has nothing but old events
  IdPlace from;
};

struct Trim {
  Oid schema;
  std::string_view name;
  std::string_view before_id;
  bool force;
  std::size_t batch_size;

  Part* parts = nullptr;
  int count = 0;
  int next = 0;  // of the parts

  int64 events = 0;  // removed so far
  int64 partitions = 0;
  int64 reported_at = 0;  // steady_ms()
};

void set_for_transaction(const char* setting, const char* value) {
  set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

// Runs `body(stream)` as the owner of the stream's table in the transaction that has just begun,
// and commits it.
template <typename Body>
void in_transaction(const Trim& trim, Body body) {
  set_for_transaction("transaction_isolation", "read committed");
  PushActiveSnapshot(GetTransactionSnapshot());
  lock_stream_name(trim.schema, trim.name, ShareUpdateExclusiveLock);
  with_stream(trim.schema, trim.name, AccessShareLock, [&](const OpenStream& stream) {
    const Oid table = RelationGetRelid(stream.table);
    require_ownership(table);
    as_owner_of(table, [&] {
      fire_constraints_at_once();
      body(stream);
      fire_constraints_at_once();
    });
  });
  PopActiveSnapshot();
  SPI_commit();
}

// The tables that may have old events, the oldest first. Removing as the stream's owner fires what
// is on them.
void find_parts(Trim& trim, const OpenStream& stream, MemoryContext memory) {
  const auto add = [&](Oid table, bool is_whole) {
    require_of_stream_owner(RelationGetRelid(stream.table), table);
    trim.parts[trim.count++] = {table, is_whole, {}};
  };
  if (!stream.is_partitioned) {
    trim.parts = with_context(memory, [] { return palloc_array_of<Part>(1); });
    return add(RelationGetRelid(stream.table), false);
  }
  const RangePartitions ranges = range_partitions(stream.table);
  trim.parts = with_context(memory, [&] { return palloc_array_of<Part>(ranges.count + 1); });
  for (int i = 0; i < ranges.count; i++)
    if (std::string_view(ranges.items[i].lower) < trim.before_id)
      add(ranges.items[i].table, std::string_view(ranges.items[i].upper) <= trim.before_id);
  const Oid others = default_partition(stream.table);
  if (OidIsValid(others)) add(others, false);
}

[[noreturn]] void raise_unfinished(const Trim& trim, const Consumer& consumer) {
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
       errmsg("consumer \"%s\" has not finished all of these events", cstring_of(consumer.name)),
       errdetail("It is still to get some event before \"%s\", has one in a lease, or will try one "
                 "again. Before that, " INT64_FORMAT " events and " INT64_FORMAT
                 " partitions were removed.",
                 clipped(trim.before_id), trim.events, trim.partitions),
       errhint("Wait for it, name an earlier id, or force the removal.")));
}

void require_finished(const Trim& trim, const OpenStream& part, Snapshot snapshot,
                      const OldBatch& batch) {
  const Positions positions = batch.in_order();
  const PositionRange range{positions.values[0], positions.values[positions.count - 1]};
  for_open_consumers(trim.schema, trim.name, [&](const Consumer& consumer) {
    keep_finished(consumer);
    if (unfinished_among(consumer, part, snapshot, read_unfinished(consumer, range), positions)
            .count > 0)
      raise_unfinished(trim, consumer);
  });
}

// Removes a batch. Returns whether the table may have more old events.
bool remove_next_batch(Trim& trim, const OpenStream& stream, Part& part) {
  OpenStream table;
  if (!try_open_part(stream, part.table, table)) return false;
  require_consumable(table);
  const bool has_more = with_newest_snapshot([&](Snapshot newest) {
    const OldBatch batch =
        read_batch(table, newest, {trim.before_id, 0}, part.from, trim.batch_size);
    if (batch.count == 0) return false;
    if (!trim.force) require_finished(trim, table, newest, batch);
    trim.events += static_cast<int64>(remove_batch(table, newest, batch, {nullptr, 0}).count);
    part.from = batch.next;
    return !batch.is_last;
  });
  close_part(stream, table);
  KANTHORQ_TEST_POINT("retention_trimmed");
  return has_more;
}

// Retires the partition if it is closed and, unless that is forced, each consumer has surely
// finished it. Returns whether it is retired now: retention may have done it before. If it is not,
// the caller removes its events in batches, and asks about each of them.
bool retire_whole(const Trim& trim, const OpenStream& stream, const Part& part) {
  const Partitions states = partition_states(stream.schema, RelationGetRelid(stream.table));
  const Partition* state = find_partition(states, part.table);
  if (!state || state->is_open()) return false;
  if (state->is_retired()) return true;
  Lost nothing;
  return retire_if_finished(stream, trim.name, {part.table, {state->first, state->last}},
                            trim.force ? OnUnfinished::ignore : OnUnfinished::keep, nothing);
}

// What can't be locked in time is left for maintenance.
void drop_retired(const Trim& trim, const OpenStream& stream) {
  set_for_transaction("lock_timeout", psprintf("%d", maintain_lock_timeout));
  int64 progress = 0;
  const MaintainedStream maintained{trim.schema, trim.name, RelationGetRelid(stream.table),
                                    stream_settings(trim.schema, trim.name), &progress};
  const ErrorData* error = attempt([&] { (void)drop_retired_partitions(maintained); });
  if (error && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
    ReThrowError(const_cast<ErrorData*>(error));
}

int detail_of(const Trim& trim) {
  return errdetail("Single events removed: " INT64_FORMAT
                   ". Whole partitions removed: " INT64_FORMAT ".",
                   trim.events, trim.partitions);
}

// Once a second is enough for a person who watches.
void report_progress(Trim& trim) {
  const int64 now = steady_ms();
  if (now - trim.reported_at < 1000) return;
  trim.reported_at = now;
  ereport(INFO, (errmsg("trimming stream \"%s\"", clipped(trim.name)), detail_of(trim)));
}

void trim_part(Trim& trim, Part& part) {
  bool is_retired = false;
  if (part.is_whole)
    in_transaction(
        trim, [&](const OpenStream& stream) { is_retired = retire_whole(trim, stream, part); });
  if (is_retired) {
    trim.partitions++;
    in_transaction(trim, [&](const OpenStream& stream) { drop_retired(trim, stream); });
    return report_progress(trim);
  }
  for (bool has_more = true; has_more;) {
    in_transaction(
        trim, [&](const OpenStream& stream) { has_more = remove_next_batch(trim, stream, part); });
    report_progress(trim);
  }
}

void trim_stream(Trim& trim, MemoryContext lasting) {
  MemoryContext memory = AllocSetContextCreate(lasting, "KanthorQ trim", ALLOCSET_DEFAULT_SIZES);
  trim.reported_at = steady_ms();
  with_context(memory, [&] {
    SPI_commit();  // so that each transaction below is its own
    in_transaction(trim, [&](const OpenStream& stream) { find_parts(trim, stream, lasting); });
  });
  while (trim.next < trim.count) {
    MemoryContextReset(memory);
    with_context(memory, [&] { trim_part(trim, trim.parts[trim.next]); });
    trim.next++;
  }
  MemoryContextDelete(memory);
  ereport(NOTICE, (errmsg("trimmed stream \"%s\"", clipped(trim.name)), detail_of(trim)));
}

constexpr int most_in_batch = 1'000'000;

std::size_t batch_size_argument(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "batch_size");
  const int size = PG_GETARG_INT32(argument);
  if (size < 1 || size > most_in_batch)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid batch_size %d", size),
                    errdetail("A batch has 1 to %d events.", most_in_batch)));
  return static_cast<std::size_t>(size);
}

namespace trim_argument {
enum : int { name, before_id, confirm, force, batch_size };
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_trim) {
  namespace argument = trim_argument;
  require_argument(fcinfo, argument::before_id, "before_id");
  require_argument(fcinfo, argument::force, "force");
  const std::string_view name = required_name(fcinfo, argument::name);
  const std::string_view before_id = text_argument(fcinfo, argument::before_id);
  require_event_id(before_id, {"before_id"});
  require_confirmation(fcinfo, argument::confirm, "stream", name);
  const std::size_t batch_size = batch_size_argument(fcinfo, argument::batch_size);
  PreventCommandIfReadOnly("kanthorq_trim()");
  require_own_transaction(fcinfo, "kanthorq_trim()", "to remove each batch in its own transaction",
                          "Call it with autocommit, or use kanthorq_stream_trim().");
  MemoryContext caller = CurrentMemoryContext;
  Trim trim{.schema = own_schema(fcinfo),
            .name = name,
            .before_id = before_id,
            .force = PG_GETARG_BOOL(argument::force),
            .batch_size = batch_size};
  if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
    elog(ERROR, "could not connect to the SPI");
  trim_stream(trim, caller);
  SPI_finish();
  MemoryContextSwitchTo(caller);
  PG_RETURN_VOID();
}
