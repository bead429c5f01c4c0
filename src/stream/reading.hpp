// Reading a stream: whether its rows can and may be read directly, and the rows one by one, in the
// order of their positions or by their ids. Nobody else reads a stream's rows without a query.
#pragma once

#include "server/datum.hpp"
#include "server/indexes.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// Raises 42501 without SELECT on the stream's table, or if row security is in force there for the
// current user. Rows are read directly, and that must not bypass it.
void require_readable(const OpenStream& stream);

// Can delivery be exact? Not if the column position was altered.
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

// As many entries of an index as there are.
inline constexpr std::size_t all_entries = SIZE_MAX;

// For the functions below: the rows that the keys find by this index, in its order or against it.
// It looks at `most` entries of the index at most. An entry counts even if the snapshot does not
// see its row: there is one for each row that is not committed, and for each removed one until a
// VACUUM. Returns false if there were more. Checks for interrupts.
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

// Runs `body(row)` for the rows with after < position <= upto until it returns false. Looks at
// `most` positions at most, and returns false if there were more.
template <typename Body>
bool for_positions(const OpenStream& stream, Snapshot snapshot, int64 after, int64 upto, Body body,
                   std::size_t most = all_entries) {
  if (after >= upto) return true;
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
    for_positions(stream, snapshot, position - 1, position, [&](const StreamRow& row) {
      take(row);
      return false;
    });
  };
  return take_one_row(scan, body);
}

// The same for the event with this id.
template <typename Body>
auto with_event(const OpenStream& stream, Snapshot snapshot, std::string_view id, Body body) {
  const ScanKeyData key = equals_text(id_column, id);
  const auto scan = [&](auto take) {
    for_indexed_rows(stream, index_on(stream.table, id_column), snapshot, &key, 1,
                     [&](const StreamRow& row) {
                       if (row.id() != id) return true;
                       take(row);
                       return false;
                     });
  };
  return take_one_row(scan, body);
}

// Runs `body(row)` for the rows with lower <= id < upper, or with lower <= id if `upper` is null,
// in the order of their ids, until it returns false.
template <typename Body>
void for_ids(const OpenStream& stream, Snapshot snapshot, const char* lower, const char* upper,
             Body body) {
  ScanKeyData keys[2];
  int count = 0;
  keys[count++] = compares_text(id_column, BTGreaterEqualStrategyNumber, F_TEXT_GE, lower);
  if (upper) keys[count++] = compares_text(id_column, BTLessStrategyNumber, F_TEXT_LT, upper);
  for_indexed_rows(stream, index_on(stream.table, id_column), snapshot, keys, count, body);
}

// As with_position(), for the row with the greatest id. There is none if the index on the ids is
// gone, or if none of its last `most` entries has a row that the snapshot sees.
template <typename Body>
auto with_greatest_id(const OpenStream& stream, Snapshot snapshot, std::size_t most, Body body) {
  const auto scan = [&](auto take) {
    const Oid index = find_index_on(stream.table, id_column);
    if (!OidIsValid(index)) return;
    const auto take_first = [&](const StreamRow& row) {
      take(row);
      return false;
    };
    for_indexed_rows(stream, index, snapshot, nullptr, 0, take_first, BackwardScanDirection, most);
  };
  return take_one_row(scan, body);
}

}  // namespace kanthorq
