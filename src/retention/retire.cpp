#include "retention/retire.hpp"

#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "core/ascii.hpp"
#include "core/event_id.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/indexes.hpp"
#include "server/lock.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/definition.hpp"
#include "stream/reading.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

namespace {

// Is the partition still closed, with the same positions? The caller has locked it.
bool is_still(const OpenStream& stream, const ClosedPartition& partition) {
  const Partitions now = partition_states(stream.schema, RelationGetRelid(stream.table));
  const Partition* state = find_partition(now, partition.table);
  return state && !state->is_open() && !state->is_retired() &&
         state->first == partition.range.first && state->last == partition.range.last;
}

// Counts in the consumer's turn what it loses. Events that are not committed count, too: a
// publisher may have lost its lock on the partition with a cursor (server/lock.hpp), and nobody
// would read them afterwards.
void count_lost(const Consumer& opened, const OpenStream& part, const ClosedPartition& partition,
                Lost& lost) {
  const Consumer consumer = lock_consumer(opened);
  SnapshotData stored{};
  InitDirtySnapshot(stored);
  lost.add(consumer, count_unfinished(consumer, part, &stored,
                                      read_unfinished(consumer, partition.range), partition.range));
}

// Asks each consumer, and counts if that is wanted. Returns whether the partition may go.
bool ask_consumers(const OpenStream& stream, std::string_view name, const OpenStream& part,
                   const ClosedPartition& partition, OnUnfinished on_unfinished, Lost& lost) {
  bool may_go = true;
  if (on_unfinished == OnUnfinished::ignore || partition.range.is_empty()) return may_go;
  for_open_consumers(stream.schema, name, [&](const Consumer& consumer) {
    if (!may_go) return;
    keep_finished(consumer);
    if (!read_unfinished(consumer, partition.range).has_some_of(partition.range)) return;
    if (on_unfinished == OnUnfinished::count)
      count_lost(consumer, part, partition, lost);
    else
      may_go = false;
  });
  return may_go;
}

// Do both begin with these many characters that are the same?
bool have_same_head(std::string_view a, std::string_view b, std::size_t size) {
  return a.size() >= size && b.size() >= size && slice(a, 0, size) == slice(b, 0, size);
}

}  // namespace

// All ids between two with the same prefix have it, too. The other ids start with a digit. A UUID's
// third character is a digit or a lower-case letter, and a ULID's from 2015 to 2039 is an
// upper-case one (after "01"). So between two such ULIDs there is no UUID. Between two UUIDs whose
// first three characters are the same, there is no ULID, or one of 2015 at the latest.
bool holds_earlier_ids_only(const RangePartition& range) {
  const std::string_view lower(range.lower);
  const std::string_view upper(range.upper);
  if (!is_event_id(lower) || !is_event_id(upper)) return false;
  const std::string_view prefix = event_id_prefix(upper);
  if (!prefix.empty()) return event_id_prefix(lower) == prefix;
  if (!event_id_prefix(lower).empty() || lower.size() != upper.size()) return false;
  if (upper.size() != ulid_length) return have_same_head(lower, upper, 3);
  return have_same_head(lower, upper, 2) && is_upper(lower[2]) && is_upper(upper[2]);
}

void Lost::add(const Consumer& consumer, int64 events) {
  if (events == 0) return;
  add_skipped_events(consumer, events);
  with_context(context_, [&] {
    auto* one = static_cast<OfConsumer*>(palloc(sizeof(OfConsumer)));
    *one = {cstring_of(consumer.name), events};
    consumers_ = lappend(consumers_, one);
  });
}

void Lost::report(std::string_view stream) const {
  ListCell* cell;
  foreach (cell, consumers_) {
    const auto* one = static_cast<const OfConsumer*>(lfirst(cell));
    ereport(
        WARNING,
        (errmsg_plural("consumer \"%s\" has lost " INT64_FORMAT " event of stream \"%s\"",
                       "consumer \"%s\" has lost " INT64_FORMAT " events of stream \"%s\"",
                       static_cast<unsigned long>(one->events), clipped(one->consumer), one->events,
                       clipped(stream)),
         errdetail("They are older than the stream keeps them, and it had not finished them."),
         errhint("The column \"skipped\" of kanthorq_consumers counts them. If the stream is to "
                 "keep them, set on_lag to \"block\" with kanthorq_stream_retention().")));
  }
}

bool retire_if_finished(const OpenStream& stream, std::string_view name,
                        const ClosedPartition& partition, OnUnfinished on_unfinished, Lost& lost) {
  lock_relation(partition.table, ShareRowExclusiveLock);
  KANTHORQ_TEST_POINT("retention_locked");
  OpenStream part;
  if (!try_open_part(stream, partition.table, part)) return false;
  const bool may_go = is_still(stream, partition) &&
                      ask_consumers(stream, name, part, partition, on_unfinished, lost);
  close_part(stream, part);
  if (!may_go) return false;
  retire_partition(stream.schema, RelationGetRelid(stream.table), partition.table);
  KANTHORQ_TEST_POINT("retention_retired");
  return true;
}

bool try_open_part(const OpenStream& stream, Oid table, OpenStream& part) {
  if (table == RelationGetRelid(stream.table)) {
    part = stream;
    return true;
  }
  Relation opened = try_relation_open(table, AccessShareLock);
  if (!opened) return false;
  const Oid by_position = find_index_on(opened, position_column);
  const Oid by_id = find_index_on(opened, id_column);
  if (opened->rd_rel->relkind != RELKIND_RELATION || !has_stream_columns(opened) ||
      !OidIsValid(by_position) || !OidIsValid(by_id) ||
      stream_of_partition(table) != RelationGetRelid(stream.table)) {
    relation_close(opened, AccessShareLock);
    return false;
  }
  part = stream;
  part.table = opened;
  part.is_partitioned = false;
  part.position_index = by_position;
  return true;
}

void close_part(const OpenStream& stream, const OpenStream& part) {
  if (part.table != stream.table) relation_close(part.table, NoLock);
}

void PositionSet::add(Positions more) {
  int64* merged = palloc_array_of<int64>(positions.count + more.count + 1);
  int64* end = std::set_union(positions.values, positions.values + positions.count, more.values,
                              more.values + more.count, merged);
  positions = {merged, static_cast<std::size_t>(end - merged)};
}

}  // namespace kanthorq
