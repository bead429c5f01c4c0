// Dropping partitions that were retired.
//
// No pull reads a retired partition any more: the commit that retired it has replaced its rows of
// kanthorq_partition by one that stands for no position. So dropping it takes nothing from anybody.
// But for an instant it takes strong locks: on the partition, on the stream's table and on the
// default partition, in this order. Somebody may hold the first one for long. Maintenance waits for
// each a short time only, and the next one tries again.
//
// An event that has come since it was retired has left a note there. Then the partition is open
// again, and stays.
#include "retention/partition_steps.hpp"
#include "server/lock.hpp"
#include "server/quoting.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/foreign_keys.hpp"
#include "stream/partition_owner.hpp"
#include "stream/partitions.hpp"

namespace kanthorq {

namespace {

// It has only the row by which it was retired.
bool is_retired(const Partitions& states, Oid partition) {
  const Partition* state = find_partition(states, partition);
  return state && state->is_retired();
}

// The least one above those that this run has tried, of the stream's owner; InvalidOid if there is
// none.
Oid next_retired(const MaintainedStream& stream) {
  const Partitions states = partition_states(stream.schema, stream.table);
  Oid next = InvalidOid;
  for (int i = 0; i < states.count; i++) {
    const Partition& state = states.items[i];
    if (state.is_retired() && state.table > static_cast<Oid>(*stream.progress) &&
        (!OidIsValid(next) || state.table < next) && is_of_stream_owner(stream.table, state.table))
      next = state.table;
  }
  return next;
}

bool is_referenced_table(Oid oid) {
  Relation table = table_open(oid, NoLock);
  const bool found = is_referenced(table);
  table_close(table, NoLock);
  return found;
}

Oid default_partition_of(Oid stream) {
  Relation table = table_open(stream, NoLock);
  const Oid found = default_partition(table);
  table_close(table, NoLock);
  return found;
}

StepResult say_referenced(Oid partition) {
  return {.said =
              psprintf("Partition \"%s\" can't be dropped: a foreign key references the stream. "
                       "Drop the key.",
                       get_rel_name(partition))};
}

// Drops it, unless it is gone, or has come back. The lock of the partition itself is taken first:
// if somebody holds it for long, nobody waits for the other two.
int64 drop_partition(const MaintainedStream& stream, Oid partition) {
  *stream.progress = PG_UINT32_MAX;  // without these two locks, none of the others can be dropped
  lock_relation(stream.table, AccessExclusiveLock);
  KANTHORQ_TEST_POINT("maintain_drop_all_locked");
  const Oid others = default_partition_of(stream.table);
  if (OidIsValid(others)) lock_relation(others, AccessExclusiveLock);
  *stream.progress = partition;
  if (!is_retired(partition_states(stream.schema, stream.table), partition)) return 0;
  forget_partition(stream.schema, stream.table, partition);
  const char* quoted = quoted_table_name(partition);
  with_spi([&] { run_definition(psprintf("DROP TABLE %s", quoted)); });
  KANTHORQ_TEST_POINT("maintain_dropped");
  return 1;
}

}  // namespace

StepResult drop_retired_partitions(const MaintainedStream& stream) {
  if (stream.settings.partition_ms == 0) return {};
  const Oid partition = next_retired(stream);
  if (!OidIsValid(partition)) return {};
  if (is_referenced_table(stream.table)) return say_referenced(partition);
  *stream.progress = partition;
  lock_relation(partition, AccessExclusiveLock);
  KANTHORQ_TEST_POINT("maintain_drop_locked");
  if (stream_of_partition(partition) != stream.table) return {.has_more = true};  // gone
  if (is_referenced_table(partition)) return say_referenced(partition);
  return {.done = drop_partition(stream, partition), .has_more = true};
}

}  // namespace kanthorq
