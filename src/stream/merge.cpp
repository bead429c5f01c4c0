#include "stream/merge.hpp"

#include "server/datum.hpp"
#include "server/indexes.hpp"
#include "server/known.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/definition.hpp"
#include "stream/partition_list.hpp"
#include "stream/partitions.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

namespace {

// A partition's part of the rows. Until it is open, its key is a bound: none of its rows comes
// before that. Then it is the key of the row that its scan is at.
struct Part {
  Oid table;
  enum : std::uint8_t { unopened, at_row, row_taken } state;
  bool has_key;  // without one, a row may come before all others
  int64 position;
  std::string_view id;
  Relation relation;
  Relation index;
  IndexScanDesc scan;
  TupleTableSlot* slot;
};

}  // namespace

struct MergedRows {
  MemoryContext memory;
  Relation stream;
  Snapshot snapshot;
  AttrNumber column;
  ScanDirection direction;
  ScanKeyData keys[2];
  int key_count;
  std::size_t most;
  std::size_t looked_at;
  bool is_complete;
  bool is_over;
  bool is_search;  // for one row
  int64 last_position;
  Part** heap;  // the part with the least key is the first
  int count;
};

namespace {

// Scans lie in memory that the session keeps from one merge to the next. A b-tree scan takes 27 KB.
// malloc would give that back to the system each time, and ten partitions would take 3.5 times as
// long. While it is in use, the memory belongs to the caller's context, so it goes with that after
// an error.
constinit MemoryContext spare_memory = nullptr;

MemoryContext take_memory() {
  constexpr std::size_t first_block = 1024 * 1024;
  constexpr std::size_t largest_block = 8 * 1024 * 1024;
  if (!spare_memory)
    return GenerationContextCreate(CurrentMemoryContext, "KanthorQ partitions", first_block,
                                   first_block, largest_block);
  MemoryContextSetParent(spare_memory, CurrentMemoryContext);
  return std::exchange(spare_memory, nullptr);
}

void give_back(MemoryContext memory) {
  if (spare_memory) {  // of a merge within this one
    MemoryContextDelete(memory);
    return;
  }
  MemoryContextReset(memory);
  MemoryContextSetParent(memory, TopMemoryContext);
  spare_memory = memory;
}

struct KnownPartition {
  Known known;
  Oid stream;        // InvalidOid if it is no partition now
  bool is_readable;  // it has the columns of a stream
};

constinit Knowledge<KnownPartition> known_partitions;

const KnownPartition& knowledge_of(Relation partition) {
  return known_partitions.about(
      partition, [](const KnownPartition&) { return true; },
      [&](KnownPartition& found) {
        found.stream = stream_of_partition(RelationGetRelid(partition));
        found.is_readable =
            partition->rd_rel->relkind == RELKIND_RELATION && has_stream_columns(partition);
        return true;
      });
}

// Returns false if there is nothing to read in it.
bool open_part(MergedRows* rows, Part& part) {
  part.relation = try_relation_open(part.table, AccessShareLock);
  if (!part.relation) return false;  // dropped since the snapshot was taken
  const KnownPartition& known = knowledge_of(part.relation);
  const bool is_part = known.stream == RelationGetRelid(rows->stream);
  const Oid index =
      is_part && known.is_readable ? find_index_on(part.relation, rows->column) : InvalidOid;
  if (is_part && !OidIsValid(index)) {
    if (rows->most == SIZE_MAX)
      raise_altered_partition(part.relation, RelationGetRelid(rows->stream));
    rows->is_complete = false;
    rows->is_over = true;
  }
  if (!OidIsValid(index)) {
    relation_close(part.relation, AccessShareLock);
    return false;
  }
  part.index = index_open(index, AccessShareLock);
  part.slot = table_slot_create(part.relation, nullptr);
  part.scan = begin_index_scan(part.relation, part.index, rows->snapshot, rows->key_count);
  rescan(part.scan, rows->keys, rows->key_count);
  part.state = Part::row_taken;
  return true;
}

void close_part(const Part& part) {
  index_endscan(part.scan);
  ExecDropSingleTupleTableSlot(part.slot);
  index_close(part.index, AccessShareLock);
  relation_close(part.relation, AccessShareLock);
}

Datum key_in(const Part& part, AttrNumber column) {
  bool is_null;
  const Datum key = slot_getattr(part.slot, column, &is_null);
  if (is_null) elog(ERROR, "null in column %d of a stream", column);
  return key;
}

void read_key(const MergedRows* rows, Part& part) {
  part.state = Part::at_row;
  part.has_key = true;
  if (rows->column == position_column)
    part.position = DatumGetInt64(key_in(part, position_column));
  else
    part.id = view_of(DatumGetTextPP(key_in(part, id_column)));
}

// Moves an open part to its next row. Returns false if there is none, or if enough was looked at.
bool advance(MergedRows* rows, Part& part) {
  for (;;) {
    if (!part.scan->xs_heap_continue) {  // else the entry may have another row
      if (!index_getnext_tid(part.scan, rows->direction)) return false;
      if (rows->looked_at++ >= rows->most) {
        rows->is_complete = false;
        rows->is_over = true;
        return false;
      }
    }
    if (index_fetch_heap(part.scan, part.slot)) {
      read_key(rows, part);
      return true;
    }
    CHECK_FOR_INTERRUPTS();
  }
}

// Of rows with the same position, the one in the partition with the least oid comes first, in
// whatever order the partitions are listed.
bool comes_before(const MergedRows* rows, const Part& a, const Part& b) {
  if (a.has_key != b.has_key) return b.has_key;
  if (rows->column == position_column && a.position != b.position) return a.position < b.position;
  if (rows->column == id_column && a.id != b.id)
    return ScanDirectionIsForward(rows->direction) ? a.id < b.id : b.id < a.id;
  return a.table < b.table;
}

void sift_down(MergedRows* rows, int at) {
  Part* part = rows->heap[at];
  for (;;) {
    int least = 2 * at + 1;
    if (least >= rows->count) break;
    if (least + 1 < rows->count && comes_before(rows, *rows->heap[least + 1], *rows->heap[least]))
      least++;
    if (comes_before(rows, *part, *rows->heap[least])) break;
    rows->heap[at] = rows->heap[least];
    at = least;
  }
  rows->heap[at] = part;
}

void make_heap(MergedRows* rows) {
  for (int at = rows->count / 2; at-- > 0;) sift_down(rows, at);
}

void remove_first(MergedRows* rows) {
  rows->heap[0] = rows->heap[--rows->count];
  if (rows->count > 0) sift_down(rows, 0);
}

// Opens the first part, or moves it to its next row, and puts it into its place.
void move_first(MergedRows* rows) {
  Part& first = *rows->heap[0];
  if (first.state == Part::unopened && !open_part(rows, first)) return remove_first(rows);
  if (advance(rows, first)) return sift_down(rows, 0);
  close_part(first);
  remove_first(rows);
}

// Has this row the position of the row before it?
bool is_double(const MergedRows* rows, const Part& part) {
  return rows->column == position_column && part.position == rows->last_position;
}

TupleTableSlot* merge_next(MergedRows* rows) {
  while (rows->count > 0 && !rows->is_over) {
    Part& first = *rows->heap[0];
    if (first.state == Part::at_row) {
      first.state = Part::row_taken;
      if (is_double(rows, first)) continue;
      rows->last_position = first.position;
      return first.slot;
    }
    move_first(rows);
    CHECK_FOR_INTERRUPTS();
  }
  return nullptr;
}

MergedRows* begin_rows(const OpenStream& stream, Snapshot snapshot, AttrNumber column,
                       ScanDirection direction, std::size_t most) {
  MemoryContext memory = take_memory();
  auto* rows = static_cast<MergedRows*>(MemoryContextAllocZero(memory, sizeof(MergedRows)));
  rows->memory = memory;
  rows->stream = stream.table;
  rows->snapshot = snapshot;
  rows->column = column;
  rows->direction = direction;
  rows->most = most;
  rows->is_complete = true;
  rows->last_position = PG_INT64_MIN;
  return rows;
}

void add_key(MergedRows* rows, const ScanKeyData& key) { rows->keys[rows->key_count++] = key; }

void make_room(MergedRows* rows, int parts) { rows->heap = palloc_array_of<Part*>(Max(parts, 1)); }

Part& add_part(MergedRows* rows, Oid table) {
  auto* part = static_cast<Part*>(palloc0(sizeof(Part)));
  part->table = table;
  rows->heap[rows->count++] = part;
  return *part;
}

// Are ids from `range.lower` to `range.upper` of interest?
bool overlaps(const RangePartition& range, const char* lower, const char* upper) {
  return (!lower || strcmp(lower, range.upper) < 0) && (!upper || strcmp(range.lower, upper) < 0);
}

// Adds the partitions that may hold these ids. Those of which this session does not know the bounds
// may hold any, and so may the default one.
void add_parts_by_id(MergedRows* rows, const Partitions& list, const char* lower,
                     const char* upper) {
  const RangePartitions ranges = range_partitions(rows->stream);
  std::sort(ranges.items, ranges.items + ranges.count,
            [](const RangePartition& a, const RangePartition& b) { return a.table < b.table; });
  for (int i = 0; i < list.count; i++) {
    const Oid table = list.items[i].table;
    const RangePartition* end = ranges.items + ranges.count;
    const RangePartition* range =
        std::lower_bound(static_cast<const RangePartition*>(ranges.items), end, table,
                         [](const RangePartition& a, Oid b) { return a.table < b; });
    const bool has_bounds = range != end && range->table == table;
    if (has_bounds && !overlaps(*range, lower, upper)) continue;
    Part& part = add_part(rows, table);
    part.has_key = has_bounds;
    if (has_bounds) part.id = ScanDirectionIsForward(rows->direction) ? range->lower : range->upper;
  }
}

// Looks for a row in this partition. Returns false if it is not there.
bool find_in(MergedRows* rows, Oid table, std::string_view id) {
  Part& part = add_part(rows, table);
  if (open_part(rows, part)) {
    while (advance(rows, part))
      if (rows->column == position_column || part.id == id) return true;
    close_part(part);
  }
  rows->count = 0;
  return false;
}

bool may_hold(const Partition& partition, int64 position) {
  return partition.first <= position && position <= partition.last;
}

// Events that are asked for one after the other lie in the same partition, as a rule. So it is
// looked at first. Then come closed partitions, because their ranges hardly overlap.
void find_position(MergedRows* rows, PartitionList& list, int64 position) {
  const Oid same = list.last_found;
  const auto look = [&](auto is_meant) {
    for (int i = 0; i < list.partitions.count; i++) {
      const Partition& partition = list.partitions.items[i];
      if (!may_hold(partition, position) || !is_meant(partition)) continue;
      if (find_in(rows, partition.table, {})) {
        list.last_found = partition.table;
        return true;
      }
    }
    return false;
  };
  (void)(look([&](const Partition& one) { return one.table == same; }) ||
         look([&](const Partition& one) { return one.table != same && !one.is_open(); }) ||
         look([&](const Partition& one) { return one.table != same && one.is_open(); }));
}

bool is_in_descriptor(PartitionDesc known, Oid table) {
  return std::find(known->oids, known->oids + known->nparts, table) != known->oids + known->nparts;
}

// What this session knows of the partitions may be older than the snapshot, or newer. So an event
// that moved from the default partition into a new one may be in either.
void find_elsewhere(MergedRows* rows, const OpenStream& stream, Oid looked_in,
                    std::string_view id) {
  const Oid other = default_partition(stream.table);
  if (OidIsValid(other) && other != looked_in && find_in(rows, other, id)) return;
  const Partitions list = listed_partitions(stream, rows->snapshot, 0).partitions;
  PartitionDesc known = RelationGetPartitionDesc(stream.table, true);
  Oid* unknown = palloc_array_of<Oid>(list.count + 1);
  int count = 0;
  for (int i = 0; i < list.count; i++)
    if (!is_in_descriptor(known, list.items[i].table)) unknown[count++] = list.items[i].table;
  for (int i = 0; i < count; i++)
    if (find_in(rows, unknown[i], id)) return;
}

}  // namespace

MergedRows* merge_by_position(const OpenStream& stream, Snapshot snapshot, int64 after, int64 upto,
                              std::size_t most) {
  MergedRows* rows = begin_rows(stream, snapshot, position_column, ForwardScanDirection, most);
  with_context(rows->memory, [&] {
    add_key(rows, compares_bigint(position_column, BTGreaterStrategyNumber, F_INT8GT, after));
    add_key(rows, compares_bigint(position_column, BTLessEqualStrategyNumber, F_INT8LE, upto));
    const Partitions list = listed_partitions(stream, snapshot, after).partitions;
    make_room(rows, list.count);
    for (int i = 0; i < list.count; i++) {
      const Partition& listed = list.items[i];
      if (listed.last <= after || listed.first > upto) continue;
      Part& part = add_part(rows, listed.table);
      part.has_key = !listed.is_open();
      part.position = listed.first;
    }
    make_heap(rows);
  });
  return rows;
}

MergedRows* merge_by_id(const OpenStream& stream, Snapshot snapshot, const char* lower,
                        const char* upper, ScanDirection direction, std::size_t most) {
  MergedRows* rows = begin_rows(stream, snapshot, id_column, direction, most);
  with_context(rows->memory, [&] {
    if (lower)
      add_key(rows, compares_text(id_column, BTGreaterEqualStrategyNumber, F_TEXT_GE, lower));
    if (upper) add_key(rows, compares_text(id_column, BTLessStrategyNumber, F_TEXT_LT, upper));
    const Partitions list = listed_partitions(stream, snapshot, 0).partitions;
    make_room(rows, list.count);
    add_parts_by_id(rows, list, lower, upper);
    KANTHORQ_TEST_POINT("merge_listed");
    make_heap(rows);
  });
  return rows;
}

MergedRows* find_by_position(const OpenStream& stream, Snapshot snapshot, int64 position) {
  MergedRows* rows = begin_rows(stream, snapshot, position_column, ForwardScanDirection, SIZE_MAX);
  rows->is_search = true;
  with_context(rows->memory, [&] {
    make_room(rows, 1);
    add_key(rows, compares_bigint(position_column, BTEqualStrategyNumber, F_INT8EQ, position));
    find_position(rows, listed_partitions(stream, snapshot, position - 1), position);
  });
  return rows;
}

MergedRows* find_by_id(const OpenStream& stream, Snapshot snapshot, std::string_view id) {
  MergedRows* rows = begin_rows(stream, snapshot, id_column, ForwardScanDirection, SIZE_MAX);
  rows->is_search = true;
  with_context(rows->memory, [&] {
    make_room(rows, 1);
    add_key(rows, equals_text(id_column, id));
    const Oid partition = partition_for(stream.table, id);
    if (OidIsValid(partition) && find_in(rows, partition, id)) return;
    find_elsewhere(rows, stream, partition, id);
  });
  return rows;
}

bool may_be_in_default(const OpenStream& stream, const char* lower, const char* upper) {
  const Oid partition = default_partition(stream.table);
  if (!OidIsValid(partition)) return false;
  MergedRows* rows = begin_rows(stream, GetActiveSnapshot(), id_column, ForwardScanDirection, 1);
  const bool found = with_context(rows->memory, [&] {
    add_key(rows, compares_text(id_column, BTGreaterEqualStrategyNumber, F_TEXT_GE, lower));
    add_key(rows, compares_text(id_column, BTLessStrategyNumber, F_TEXT_LT, upper));
    make_room(rows, 1);
    Part& part = add_part(rows, partition);
    if (open_part(rows, part)) return index_getnext_tid(part.scan, ForwardScanDirection) != nullptr;
    rows->count = 0;
    return rows->is_over;  // it was altered
  });
  end_rows(rows);
  return found;
}

TupleTableSlot* next_row(MergedRows* rows) {
  if (!rows->is_search) return with_context(rows->memory, [&] { return merge_next(rows); });
  if (rows->count == 0 || rows->is_over) return nullptr;
  rows->is_over = true;
  return rows->heap[0]->slot;
}

bool end_rows(MergedRows* rows) {
  for (int i = 0; i < rows->count; i++)
    if (rows->heap[i]->state != Part::unopened) close_part(*rows->heap[i]);
  const bool is_complete = rows->is_complete;
  give_back(rows->memory);
  return is_complete;
}

}  // namespace kanthorq
