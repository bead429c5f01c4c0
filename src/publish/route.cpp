// From an id to its partition, by the bounds that the server keeps for the stream's table.
//
// A publisher keeps its lock on each partition to the end of the transaction: closing a partition
// waits for that. It takes these locks in the order of the bounds, the default partition last, as
// maintenance does. While it holds them, none of the partitions is dropped, and no new one takes an
// id of this batch out of the default partition: whoever attaches one locks that.

#include "publish/route.hpp"

#include "server/datum.hpp"
#include "server/lock.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

namespace {

// The ids between two neighbouring bounds, the first one included, and the partition for them. Ids
// of one batch are often of one time, and to look here costs less than a search among the bounds.
struct Stretch {
  bool has_lower;
  bool has_upper;
  std::string_view lower;
  std::string_view upper;
  int partition;  // its number in the descriptor

  bool holds(std::string_view id) const {
    return (!has_lower || lower <= id) && (!has_upper || id < upper);
  }
};

std::string_view id_of(const Event& event) { return view_of(DatumGetTextPP(event[id_column])); }

bool is_id_bound(PartitionBoundInfo bounds, int number) {
  return number >= 0 && number < bounds->ndatums &&
         bounds->kind[number][0] == PARTITION_RANGE_DATUM_VALUE;
}

std::string_view bound_text(PartitionBoundInfo bounds, int number) {
  return is_id_bound(bounds, number) ? view_of(DatumGetTextPP(bounds->datums[number][0]))
                                     : std::string_view{};
}

[[noreturn]] void raise_no_partition(Relation table, std::string_view id) {
  ereport(
      ERROR,
      (errcode(ERRCODE_CHECK_VIOLATION),
       errmsg("no partition of relation \"%s\" found for row", RelationGetRelationName(table)),
       errdetail("Partition key of the failing row contains (id) = (%s).", cstring_of(id)),
       errhint("CALL kanthorq_maintain() makes the default partition again, which holds the ids "
               "that no other partition holds."),
       errtable(table)));
}

Stretch stretch_of(Relation table, PartitionDesc partitions, const Event& event) {
  if (partitions->nparts == 0) raise_no_partition(table, id_of(event));
  PartitionKey key = RelationGetPartitionKey(table);
  PartitionBoundInfo bounds = partitions->boundinfo;
  Datum id = event[id_column];
  bool is_equal;
  const int lower = partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds, 1,
                                                  &id, &is_equal);
  const int upper = lower + 1;
  int partition = bounds->indexes[upper];
  if (partition < 0) partition = bounds->default_index;
  if (partition < 0) raise_no_partition(table, id_of(event));
  return {
      .has_lower = is_id_bound(bounds, lower),
      .has_upper = is_id_bound(bounds, upper),
      .lower = bound_text(bounds, lower),
      .upper = bound_text(bounds, upper),
      .partition = partition,
  };
}

PartitionDesc partitions_of(Relation table) {
  return RelationGetPartitionDesc(table, !IsolationUsesXactSnapshot());
}

// Where the events go, as numbers of partitions in the descriptor.
struct Finding {
  PartitionDesc partitions;
  int* of_event;
  int* wanted;  // each once, in ascending order
  int wanted_count;
};

Finding find_partitions(Relation table, const EventBatch& batch) {
  PartitionDesc partitions = partitions_of(table);
  const int all = Max(partitions->nparts, 1);
  Finding finding{partitions, palloc_array_of<int>(batch.count), palloc_array_of<int>(all), 0};
  bool* is_wanted = static_cast<bool*>(palloc0(all * sizeof(bool)));
  Stretch stretch{};
  for (int i = 0; i < batch.count; i++) {
    const Event& event = batch.events[i];
    if (i == 0 || !stretch.holds(id_of(event))) {
      stretch = stretch_of(table, partitions, event);
      if (!is_wanted[stretch.partition]) finding.wanted[finding.wanted_count++] = stretch.partition;
      is_wanted[stretch.partition] = true;
      CHECK_FOR_INTERRUPTS();
    }
    finding.of_event[i] = stretch.partition;
  }
  std::sort(finding.wanted, finding.wanted + finding.wanted_count);
  pfree(is_wanted);
  return finding;
}

void free_finding(const Finding& finding) {
  pfree(finding.of_event);
  pfree(finding.wanted);
}

// Returns whether one of these locks is new. If so, the server has made known to this session all
// changes that were committed before.
bool lock_wanted(const Finding& finding, List*& locked) {
  bool is_new = false;
  for (int i = 0; i < finding.wanted_count; i++) {
    const Oid partition = finding.partitions->oids[finding.wanted[i]];
    if (list_member_oid(locked, partition)) continue;
    lock_relation(partition, RowExclusiveLock);
    locked = lappend_oid(locked, partition);
    is_new = true;
  }
  return is_new;
}

// Turns numbers in the descriptor into numbers of the route.
Route route_of(const Finding& finding, int count) {
  Route route{palloc_array_of<Oid>(finding.wanted_count), finding.wanted_count, nullptr};
  for (int i = 0; i < finding.wanted_count; i++)
    route.partitions[i] = finding.partitions->oids[finding.wanted[i]];
  if (route.count > 1) {
    int* number_in_route = palloc_array_of<int>(finding.partitions->nparts);
    for (int i = 0; i < route.count; i++) number_in_route[finding.wanted[i]] = i;
    for (int i = 0; i < count; i++) finding.of_event[i] = number_in_route[finding.of_event[i]];
    pfree(number_in_route);
    route.of_event = finding.of_event;
  }
  return route;
}

}  // namespace

Route lock_partitions(const OpenStream& stream, const EventBatch& batch) {
  List* locked = NIL;
  for (;;) {
    const Finding finding = find_partitions(stream.table, batch);
    // The server makes a new descriptor whenever a partition was attached or detached. So if it is
    // the same one, nothing has changed.
    if (!lock_wanted(finding, locked) || partitions_of(stream.table) == finding.partitions) {
      list_free(locked);
      return route_of(finding, batch.count);
    }
    free_finding(finding);
  }
}

}  // namespace kanthorq
