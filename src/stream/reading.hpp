// Reading a stream: whether its rows can and may be read directly, and the rows one by one, in the
// order of their positions or by their ids. Nobody else reads a stream's rows without a query. They
// come from the stream's table or, if it is partitioned, from its partitions (merge.hpp).
#pragma once

#include "server/datum.hpp"
#include "server/indexes.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"
#include "stream/definition.hpp"
#include "stream/merge.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// Raises 42501 without SELECT on the stream's table, or if row security is in force there for the
// current user. Rows are read directly, and that must not bypass it.
void require_readable(const OpenStream& stream);

// Can delivery be exact? Not if the column position was altered, or while a partition is not listed
// in kanthorq_partition.
bool is_consumable(const OpenStream& stream);

// Raises 55000 if it can't.
void require_consumable(const OpenStream& stream);

// A row in a slot. It is valid until the next one is read.
struct StreamRow {
  TupleTableSlot* slot;

  Datum value(AttrNumber column) const {
    bool is_null;
    const Datum value = slot_getattr(slot, column, &is_null);
    if (is_null) elog(ERROR, "null in column %d of a stream", column);
    return value;
  }
  int64 position() const { return DatumGetInt64(value(position_column)); }
  std::uint64_t txid() const { return DatumGetUInt64(value(txid_column)); }
  std::string_view id() const { return view_of(DatumGetTextPP(value(id_column))); }
  Size content_bytes() const {
    return kanthorq::content_bytes(value(body_column), value(metadata_column));
  }
  std::string_view subject() const { return view_of(DatumGetTextPP(value(subject_column))); }
};

// The tables of all partitions, as a snapshot of now sees them.
struct PartitionTables {
  Oid* tables;
  int count;
};
PartitionTables newest_partitions(const OpenStream& stream);

// Are they the same?
bool is_same(const PartitionTables& a, const PartitionTables& b);

// As many entries of an index as there are.
inline constexpr std::size_t all_entries = SIZE_MAX;

// For the functions below: the rows of a stream that is not partitioned which the keys find by this
// index, in its order or against it. It looks at `most` entries of the index at most. An entry
// counts even if the snapshot does not see its row: there is one for each row that is not
// committed, and for each removed one until a VACUUM. Returns false if there were more. Checks for
// interrupts.
template <typename Body>
bool for_indexed_rows(const OpenStream& stream, Oid index, Snapshot snapshot,
                      const ScanKeyData* keys, int count, Body body,
                      ScanDirection direction = ForwardScanDirection,
                      std::size_t most = all_entries) {
  Relation opened = index_open(index, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(stream.table, nullptr);
  IndexScanDesc scan = begin_index_scan(stream.table, opened, snapshot, count);
  rescan(scan, keys, count);
  bool is_complete = true;
  for (std::size_t looked_at = 0;;) {
    if (!scan->xs_heap_continue) {  // else the entry may have another row
      if (!index_getnext_tid(scan, direction)) break;
      is_complete = looked_at++ < most;
      if (!is_complete) break;
    }
    if (index_fetch_heap(scan, slot) && !body(StreamRow{slot})) break;
    CHECK_FOR_INTERRUPTS();
  }
  index_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  index_close(opened, AccessShareLock);
  return is_complete;
}

// For the functions below: the rows of a partitioned stream.
template <typename Body>
bool for_merged_rows(MergedRows* rows, Body body) {
  for (;;) {
    TupleTableSlot* slot = next_row(rows);
    if (!slot || !body(StreamRow{slot})) break;
    CHECK_FOR_INTERRUPTS();
  }
  return end_rows(rows);
}

// Runs `body(row)` for the rows with after < position <= upto until it returns false. Looks at
// `most` positions at most, and returns false if there were more, or if a partition was altered so
// that it can't be read. Without a limit, that raises 55000.
template <typename Body>
bool for_positions(const OpenStream& stream, Snapshot snapshot, int64 after, int64 upto, Body body,
                   std::size_t most = all_entries) {
  if (after >= upto) return true;
  if (stream.is_partitioned)
    return for_merged_rows(merge_by_position(stream, snapshot, after, upto, most), body);
  ScanKeyData keys[2] = {
      compares_bigint(position_column, BTGreaterStrategyNumber, F_INT8GT, after),
      compares_bigint(position_column, BTLessEqualStrategyNumber, F_INT8LE, upto)};
  return for_indexed_rows(stream, stream.position_index, snapshot, keys, 2, body,
                          ForwardScanDirection, most);
}

// For the functions below: runs `scan(take)`, which calls `take(row)` for one row, or not at all.
// Returns what `body(row)` returned, if anything, as an optional; if it returns nothing, whether
// there was a row.
template <typename Scan, typename Body>
auto take_one_row(Scan scan, Body body) {
  using Returned = std::invoke_result_t<Body, const StreamRow&>;
  if constexpr (std::is_void_v<Returned>) {
    bool found = false;
    scan([&](const StreamRow& row) {
      body(row);
      found = true;
    });
    return found;
  } else {
    static_assert(std::is_trivially_destructible_v<Returned>);  // an error jumps over it
    std::optional<Returned> returned;
    scan([&](const StreamRow& row) { returned = body(row); });
    return returned;
  }
}

// Runs `body(row)` for the row at this position. Returns what it returned, if anything, as an
// optional; if it returns nothing, whether there is such a row.
template <typename Body>
auto with_position(const OpenStream& stream, Snapshot snapshot, int64 position, Body body) {
  const auto scan = [&](auto take) {
    const auto take_first = [&](const StreamRow& row) {
      take(row);
      return false;
    };
    if (stream.is_partitioned)
      for_merged_rows(find_by_position(stream, snapshot, position), take_first);
    else
      for_positions(stream, snapshot, position - 1, position, take_first);
  };
  return take_one_row(scan, body);
}

// The same for the event with this id.
template <typename Body>
auto with_event(const OpenStream& stream, Snapshot snapshot, std::string_view id, Body body) {
  const auto scan = [&](auto take) {
    const auto take_it = [&](const StreamRow& row) {
      if (row.id() != id) return true;
      take(row);
      return false;
    };
    if (stream.is_partitioned) {
      for_merged_rows(find_by_id(stream, snapshot, id), take_it);
      return;
    }
    const ScanKeyData key = equals_text(id_column, id);
    for_indexed_rows(stream, index_on(stream.table, id_column), snapshot, &key, 1, take_it);
  };
  return take_one_row(scan, body);
}

// Runs `body(row)` for the rows with lower <= id < upper, or with lower <= id if `upper` is null,
// in the order of their ids, until it returns false.
template <typename Body>
void for_ids(const OpenStream& stream, Snapshot snapshot, const char* lower, const char* upper,
             Body body) {
  if (stream.is_partitioned) {
    for_merged_rows(merge_by_id(stream, snapshot, lower, upper, ForwardScanDirection, all_entries),
                    body);
    return;
  }
  ScanKeyData keys[2];
  int count = 0;
  keys[count++] = compares_text(id_column, BTGreaterEqualStrategyNumber, F_TEXT_GE, lower);
  if (upper) keys[count++] = compares_text(id_column, BTLessStrategyNumber, F_TEXT_LT, upper);
  for_indexed_rows(stream, index_on(stream.table, id_column), snapshot, keys, count, body);
}

// Runs `search` with a snapshot that sees what is not committed, over the ids of all events. While
// it runs, rows may move from the default partition into a new one, where it did not look. Then it
// runs again.
template <typename Search>
void search_until_partitions_stay(const OpenStream& stream, Search search) {
  if (!stream.is_partitioned) return search();
  for (;;) {
    const PartitionTables before = newest_partitions(stream);
    search();
    if (is_same(before, newest_partitions(stream))) return;
    CHECK_FOR_INTERRUPTS();
  }
}

// As with_position(), for the row with the greatest id. There is none if the index on the ids is
// gone, or if none of its last `most` entries has a row that the snapshot sees.
template <typename Body>
auto with_greatest_id(const OpenStream& stream, Snapshot snapshot, std::size_t most, Body body) {
  const auto scan = [&](auto take) {
    const auto take_first = [&](const StreamRow& row) {
      take(row);
      return false;
    };
    if (stream.is_partitioned) {
      for_merged_rows(merge_by_id(stream, snapshot, nullptr, nullptr, BackwardScanDirection, most),
                      take_first);
      return;
    }
    const Oid index = find_index_on(stream.table, id_column);
    if (!OidIsValid(index)) return;
    for_indexed_rows(stream, index, snapshot, nullptr, 0, take_first, BackwardScanDirection, most);
  };
  return take_one_row(scan, body);
}

}  // namespace kanthorq
