// Closing partitions, and kanthorq_partition_close().
//
// A pull that is at other positions does not look into a closed partition. So the partition's row
// of kanthorq_partition must have the positions of all events in it. If it lacks one, there must be
// a note that everybody sees who sees the event. In this order:
//   1. The partition is locked (ShareRowExclusiveLock). Whoever has written into it has ended, and
//      whoever comes now waits for the end of this transaction.
//   2. The first and the last position are read, from the entries of its index. These include the
//      rows of a writer that is still open although its lock is gone: a cursor may have given that
//      back (server/lock.hpp). What was rolled back or removed makes the range wider than it has to
//      be, which only costs a look.
//   3. It gets the trigger that notes each later event.
//   4. Its rows of kanthorq_partition are replaced by this range, notes of earlier times included:
//      the events that they stand for are in the range.
// A pull whose snapshot is older than the commit sees an open partition. A later one sees the
// range, and with it the note of each later event that it sees.
#include "core/event_id.hpp"
#include "retention/partition_steps.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/indexes.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/quoting.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"
#include "stream/partition_owner.hpp"
#include "stream/partitions.hpp"
#include "stream/recognition.hpp"
#include "stream/registry.hpp"

namespace kanthorq {

namespace {

// An earlier trigger of this name that does not do its work is dropped.
void require_closed_trigger(Oid schema, Oid partition, bool has_it) {
  if (has_it) return;
  const char* quoted = quoted_table_name(partition);
  with_spi([&] {
    if (OidIsValid(get_trigger_oid(partition, closed_trigger, true)))
      run_definition(psprintf("DROP TRIGGER %s ON %s", closed_trigger, quoted));
    create_closed_trigger(schema, quoted);
  });
  KANTHORQ_TEST_POINT("closing_trigger");
}

bool is_partition_of(Oid partition, Oid stream) {
  return get_rel_relkind(partition) == RELKIND_RELATION && stream_of_partition(partition) == stream;
}

// The range for which the partition stands. Positions are handed out from 1 on. What somebody has
// stored at another one is delivered to nobody, and must not look like an open or a retired
// partition.
ValueRange range_of(Relation partition) {
  constexpr ValueRange none = {1, 0};
  ValueRange range = none;
  if (!find_value_range(partition, index_on(partition, position_column), range) || range.last < 1)
    return none;
  return {Max(range.first, 1), Min(range.last, PG_INT64_MAX - 1)};
}

// Closes it, open or not. False if it is no partition of the stream any more.
bool close_now(Oid schema, Oid stream, Oid partition) {
  lock_relation(partition, ShareRowExclusiveLock);
  KANTHORQ_TEST_POINT("closing_locked");
  if (!is_partition_of(partition, stream)) return false;
  Relation table = table_open(partition, NoLock);
  require_stream_columns(table, stream);
  const ValueRange range = range_of(table);
  const bool has_trigger = has_closed_trigger(table, schema);
  table_close(table, NoLock);
  require_closed_trigger(schema, partition, has_trigger);
  close_partition(schema, stream, partition, range.first, range.last);
  KANTHORQ_TEST_POINT("closing_closed");
  return true;
}

bool is_open(Oid schema, Oid stream, Oid partition) {
  const Partitions states = partition_states(schema, stream);
  const Partition* state = find_partition(states, partition);
  return !state || state->is_open();  // without a row, too
}

// When the partition is to be closed: some time after its end. Events that are late by less than
// that find it open. PG_INT64_MAX if the bound is no id.
int64 closing_time(const MaintainedStream& stream, const RangePartition& range) {
  constexpr int64 hour_ms = int64{60} * 60 * 1000;
  const EventIdVerdict upper = check_event_id(range.upper);
  if (upper.fault != EventIdFault::none) return PG_INT64_MAX;
  return static_cast<int64>(upper.milliseconds) + Max(stream.settings.partition_ms, hour_ms);
}

// The partition to be closed that comes after those that this run has tried; InvalidOid if none.
Oid next_to_close(const MaintainedStream& stream) {
  Relation table = table_open(stream.table, NoLock);
  const RangePartitions ranges = range_partitions(table);
  table_close(table, NoLock);
  const Partitions states = partition_states(stream.schema, stream.table);
  const int64 now = now_ms();
  for (int i = 0; i < ranges.count; i++) {
    const Oid partition = ranges.items[i].table;
    if (i + 1 <= *stream.progress || closing_time(stream, ranges.items[i]) > now) continue;
    const Partition* state = find_partition(states, partition);
    if (!state || !state->is_open() || !is_of_stream_owner(stream.table, partition)) continue;
    *stream.progress = i + 1;
    return partition;
  }
  return InvalidOid;
}

namespace partition_close_argument {
enum : int { stream, partition };
}

[[noreturn]] void raise_not_closable(Oid partition, std::string_view name, bool is_default) {
  const char* table = get_rel_name(partition);
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
           errmsg("cannot close \"%s\"", table ? table : psprintf("%u", partition)),
           is_default ? errdetail("It is the default partition of stream \"%s\", which stays open.",
                                  clipped(name))
                      : errdetail("It is not a partition of stream \"%s\".", clipped(name))));
}

}  // namespace

StepResult close_partitions(const MaintainedStream& stream) {
  if (stream.settings.partition_ms == 0) return {};
  const Oid partition = next_to_close(stream);
  if (!OidIsValid(partition)) return {};
  const bool closed = close_now(stream.schema, stream.table, partition);
  return {.done = closed, .has_more = true};
}

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_partition_close) {
  namespace argument = partition_close_argument;
  PreventCommandIfReadOnly("kanthorq_partition_close()");
  const std::string_view name = text_argument(fcinfo, argument::stream);
  const Oid partition = PG_GETARG_OID(argument::partition);
  const Oid schema = own_schema(fcinfo);
  lock_stream_name(schema, name, ShareLock);  // the stream stays what it is
  struct Found {
    Oid table;
    bool is_partition;
    bool is_default;
  };
  const Found found = with_stream(schema, name, AccessShareLock, [&](const OpenStream& stream) {
    const Oid table = RelationGetRelid(stream.table);
    require_ownership(table);
    return Found{table, is_partition_of(partition, table),
                 stream.is_partitioned && partition == default_partition(stream.table)};
  });
  if (!found.is_partition || found.is_default)
    raise_not_closable(partition, name, found.is_default);
  if (!is_open(schema, found.table, partition)) PG_RETURN_BOOL(false);
  require_of_stream_owner(found.table, partition);
  PG_RETURN_BOOL(close_now(schema, found.table, partition));
}
