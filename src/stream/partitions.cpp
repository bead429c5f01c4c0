#include "stream/partitions.hpp"

#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/indexes.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

namespace {

enum PartitionColumn : AttrNumber {
  stream_column = 1,
  partition_column,
  first_position_column,
  last_position_column,
};
constexpr Oid partition_types[] = {REGCLASSOID, REGCLASSOID, INT8OID, INT8OID};
constexpr OwnTable partition_table{"kanthorq_partition", partition_types,
                                   lengthof(partition_types)};

// A partition that is open has the greatest of all positions as its last one.
constexpr int64 open_first = 0;
constexpr int64 open_last = PG_INT64_MAX;

ScanKeyData equals_oid(AttrNumber column, Oid value) {
  ScanKeyData key;
  ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
  return key;
}

// Runs `body(row)` for the rows of this stream whose last position is after this one, in the order
// of their last positions, until it returns false. With a null snapshot, it is the newest.
template <typename Body>
void for_partition_rows(Relation table, Snapshot snapshot, Oid stream, int64 after, Body body) {
  Relation index = index_open(index_on(table, stream_column), AccessShareLock);
  ScanKeyData keys[2] = {
      equals_oid(stream_column, stream),
      compares_bigint(last_position_column, BTGreaterStrategyNumber, F_INT8GT, after)};
  SysScanDesc scan = systable_beginscan_ordered(table, index, snapshot, lengthof(keys), keys);
  for (;;) {
    HeapTuple row = systable_getnext_ordered(scan, ForwardScanDirection);
    if (!HeapTupleIsValid(row) || !body(row)) break;
    CHECK_FOR_INTERRUPTS();
  }
  systable_endscan_ordered(scan);
  index_close(index, AccessShareLock);
}

Partition partition_of(Relation table, HeapTuple row) {
  return {DatumGetObjectId(row_value(table, row, partition_column)),
          DatumGetInt64(row_value(table, row, first_position_column)),
          DatumGetInt64(row_value(table, row, last_position_column))};
}

// Adds what one row says. Rows of open partitions come last, so a reopened one is there already.
void add(Partitions& partitions, int& room, const Partition& read) {
  for (int i = 0; read.is_open() && i < partitions.count; i++)
    if (partitions.items[i].table == read.table) {
      partitions.items[i] = read;
      return;
    }
  if (partitions.count == room) {
    room *= 2;
    partitions.items =
        static_cast<Partition*>(repalloc(partitions.items, room * sizeof(Partition)));
  }
  partitions.items[partitions.count++] = read;
}

// The transaction in which this session has listed a partition last.
constinit LocalTransactionId listed_in = InvalidLocalTransactionId;

void insert(Relation table, Oid stream, const Partition& partition) {
  listed_in = local_transaction_id();
  RowValues values(table);
  values.set(stream_column, ObjectIdGetDatum(stream));
  values.set(partition_column, ObjectIdGetDatum(partition.table));
  values.set(first_position_column, Int64GetDatum(partition.first));
  values.set(last_position_column, Int64GetDatum(partition.last));
  insert_row(table, values);
}

// The rows are read before any is deleted.
void delete_rows(Relation table, Oid stream, Oid partition) {
  List* rows = NIL;
  for_partition_rows(table, nullptr, stream, PG_INT64_MIN, [&](HeapTuple row) {
    if (partition_of(table, row).table == partition) rows = lappend(rows, heap_copytuple(row));
    return true;
  });
  ListCell* cell;
  foreach (cell, rows) delete_row(table, static_cast<HeapTuple>(lfirst(cell)));
  list_free_deep(rows);
}

template <typename Body>
auto with_rows(Oid schema, LOCKMODE lock, Body body) {
  return with_own_table(schema, partition_table, lock, body);
}

const char* bound_of(const PartitionBoundInfoData* bounds, int number) {
  if (bounds->kind && bounds->kind[number][0] != PARTITION_RANGE_DATUM_VALUE) return nullptr;
  return cstring_of(view_of(DatumGetTextPP(bounds->datums[number][0])));
}

}  // namespace

static Partitions read_partitions(Oid schema, Oid stream, Snapshot snapshot, int64 after) {
  return with_rows(schema, AccessShareLock, [&](Relation table) {
    int room = 16;
    Partitions found{palloc_array_of<Partition>(room), 0};
    for_partition_rows(table, snapshot, stream, after, [&](HeapTuple row) {
      add(found, room, partition_of(table, row));
      return true;
    });
    return found;
  });
}

Partitions partitions_after(const OpenStream& stream, Snapshot snapshot, int64 after) {
  return read_partitions(stream.schema, RelationGetRelid(stream.table), snapshot, after);
}

bool has_listed_partitions() { return listed_in == local_transaction_id(); }

Partitions partition_states(Oid schema, Oid stream) {
  return with_newest_snapshot(
      [&](Snapshot newest) { return read_partitions(schema, stream, newest, PG_INT64_MIN); });
}

const Partition* find_partition(const Partitions& partitions, Oid table) {
  for (int i = 0; i < partitions.count; i++)
    if (partitions.items[i].table == table) return &partitions.items[i];
  return nullptr;
}

void add_open_partition(Oid schema, Oid stream, Oid partition) {
  with_rows(schema, RowExclusiveLock, [&](Relation table) {
    insert(table, stream, {partition, open_first, open_last});
  });
}

void forget_partition(Oid schema, Oid stream, Oid partition) {
  with_rows(schema, RowExclusiveLock,
            [&](Relation table) { delete_rows(table, stream, partition); });
}

void forget_partitions(Oid schema, Oid stream) {
  with_rows(schema, RowExclusiveLock, [&](Relation table) {
    List* rows = NIL;
    for_partition_rows(table, nullptr, stream, PG_INT64_MIN, [&](HeapTuple row) {
      rows = lappend(rows, heap_copytuple(row));
      return true;
    });
    ListCell* cell;
    foreach (cell, rows) delete_row(table, static_cast<HeapTuple>(lfirst(cell)));
  });
}

void close_partition(Oid schema, Oid stream, Oid partition, int64 first, int64 last) {
  with_rows(schema, RowExclusiveLock, [&](Relation table) {
    delete_rows(table, stream, partition);
    insert(table, stream, {partition, first, last});
  });
}

void retire_partition(Oid schema, Oid stream, Oid partition) {
  constexpr int64 no_position = -1;
  close_partition(schema, stream, partition, no_position, no_position);
}

// The notes of other transactions that are open don't count, as these may be rolled back. Those of
// this one do, unless a savepoint has taken them back.
void note_reopening(Oid schema, Oid stream, Oid partition, IfUnlisted if_unlisted) {
  with_rows(schema, RowExclusiveLock, [&](Relation table) {
    const auto has_row = [&](int64 after) {
      bool found = false;
      for_partition_rows(table, SnapshotSelf, stream, after, [&](HeapTuple row) {
        found = partition_of(table, row).table == partition;
        return !found;
      });
      return found;
    };
    if (has_row(open_last - 1)) return;
    if (if_unlisted == IfUnlisted::list || has_row(PG_INT64_MIN))
      insert(table, stream, {partition, open_first, open_last});
  });
}

// The number of the greatest bound that is not after the id; -1 if all are.
static int bound_before(Relation stream, PartitionBoundInfo bounds, std::string_view id) {
  PartitionKey key = RelationGetPartitionKey(stream);
  Datum value = text_datum(id);
  bool is_equal = false;
  return partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds, 1, &value,
                                       &is_equal);
}

Oid partition_for(Relation stream, std::string_view id) {
  PartitionDesc partitions = RelationGetPartitionDesc(stream, true);
  PartitionBoundInfo bounds = partitions->boundinfo;
  if (!bounds) return InvalidOid;
  const int in_range = bounds->indexes[bound_before(stream, bounds, id) + 1];
  const int number = in_range >= 0 ? in_range : bounds->default_index;
  return number >= 0 ? partitions->oids[number] : InvalidOid;
}

RangePartition range_around(Relation stream, std::string_view id) {
  PartitionDesc partitions = RelationGetPartitionDesc(stream, true);
  PartitionBoundInfo bounds = partitions->boundinfo;
  RangePartition range{InvalidOid, "", nullptr};
  if (!bounds) return range;
  const int at = bound_before(stream, bounds, id);
  const int number = bounds->indexes[at + 1];
  if (number >= 0) range.table = partitions->oids[number];
  const char* lower = at >= 0 ? bound_of(bounds, at) : nullptr;
  if (lower) range.lower = lower;
  if (at + 1 < bounds->ndatums) range.upper = bound_of(bounds, at + 1);
  return range;
}

Oid default_partition(Relation stream) {
  PartitionDesc partitions = RelationGetPartitionDesc(stream, true);
  PartitionBoundInfo bounds = partitions->boundinfo;
  return bounds && bounds->default_index >= 0 ? partitions->oids[bounds->default_index]
                                              : InvalidOid;
}

// Each bound starts what lies between it and the next one: a partition's range, or a gap.
RangePartitions range_partitions(Relation stream) {
  PartitionDesc partitions = RelationGetPartitionDesc(stream, true);
  PartitionBoundInfo bounds = partitions->boundinfo;
  RangePartitions ranges{palloc_array_of<RangePartition>(Max(partitions->nparts, 1)), 0};
  for (int i = 0; bounds && i + 1 < bounds->ndatums; i++) {
    const int number = bounds->indexes[i + 1];  // of what ends at the bound i + 1
    if (number < 0) continue;
    const char* lower = bound_of(bounds, i);
    const char* upper = bound_of(bounds, i + 1);
    if (lower && upper) ranges.items[ranges.count++] = {partitions->oids[number], lower, upper};
  }
  return ranges;
}

Oid stream_of_partition(Oid table) {
  return get_rel_relispartition(table) ? get_partition_parent(table, true) : InvalidOid;
}

namespace {

[[noreturn]] void raise_closed_protocol() {
  raise_trigger_protocol("kanthorq_partition_closed", "triggers BEFORE INSERT FOR EACH ROW");
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

// A closed partition has this trigger. Its event comes late.
KANTHORQ_FUNCTION(kanthorq_partition_closed) {
  const TriggerData* trigger = require_trigger(fcinfo, "kanthorq_partition_closed");
  const TriggerEvent event = trigger->tg_event;
  if (!TRIGGER_FIRED_BY_INSERT(event) || !TRIGGER_FIRED_BEFORE(event) ||
      !TRIGGER_FIRED_FOR_ROW(event))
    raise_closed_protocol();
  const Oid partition = RelationGetRelid(trigger->tg_relation);
  const Oid stream = stream_of_partition(partition);
  if (OidIsValid(stream)) note_reopening(own_schema(fcinfo), stream, partition, IfUnlisted::skip);
  return PointerGetDatum(trigger->tg_trigtuple);
}
