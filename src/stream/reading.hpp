// Reading a stream: whether its rows can and may be read directly, and the rows one by one, in the
// order of their positions or by their ids. All who read rows without a query read them here.
#pragma once

#include "server/datum.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// Raises 42501 without SELECT on the stream's table, or where row security is in force there for
// the current user: rows are read directly, and it must not be bypassed.
void require_readable(const OpenStream& stream);

// Could delivery be exact, or was the column position altered?
bool is_consumable(const OpenStream& stream);

// Raises 55000 where it was altered.
void require_consumable(const OpenStream& stream);

// A row as it stands in a slot; valid until the next one is read.
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
  std::string_view subject() const { return view_of(DatumGetTextPP(value(subject_column))); }
};

// For the functions below: the rows that the keys find by this index, in its order or against it.
template <typename Body>
void for_indexed_rows(const OpenStream& stream, Oid index, Snapshot snapshot,
                      const ScanKeyData* keys, int count, Body body,
                      ScanDirection direction = ForwardScanDirection) {
  Relation by = index_open(index, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(stream.table, nullptr);
  IndexScanDesc scan = begin_index_scan(stream.table, by, snapshot, count);
  rescan(scan, keys, count);
  while (index_getnext_slot(scan, direction, slot))
    if (!body(StreamRow{slot})) break;
  index_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  index_close(by, AccessShareLock);
}

// Runs `body(row)` for the rows with after < position <= upto until it returns false.
template <typename Body>
void for_positions(const OpenStream& stream, Snapshot snapshot, int64 after, int64 upto,
                   Body body) {
  if (after >= upto) return;
  ScanKeyData keys[2] = {
      compares_bigint(position_column, BTGreaterStrategyNumber, F_INT8GT, after),
      compares_bigint(position_column, BTLessEqualStrategyNumber, F_INT8LE, upto)};
  for_indexed_rows(stream, stream.position_index, snapshot, keys, 2, body);
}

// Runs `body(row)` for the row at this position; false where there is none.
template <typename Body>
bool with_position(const OpenStream& stream, Snapshot snapshot, int64 position, Body body) {
  bool found = false;
  for_positions(stream, snapshot, position - 1, position, [&](const StreamRow& row) {
    found = true;
    body(row);
    return false;
  });
  return found;
}

// Runs `body(row)` for the event with this id; false if there is none.
template <typename Body>
bool with_event(const OpenStream& stream, Snapshot snapshot, std::string_view id, Body body) {
  bool found = false;
  const ScanKeyData key = equals_text(id_column, id);
  for_indexed_rows(stream, index_on(stream.table, id_column), snapshot, &key, 1,
                   [&](const StreamRow& row) {
                     if (row.id() != id) return true;
                     found = true;
                     body(row);
                     return false;
                   });
  return found;
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

// Runs `body(row)` for the row with the greatest id; not at all if there is none, or if the index
// on the ids is gone.
template <typename Body>
void with_greatest_id(const OpenStream& stream, Snapshot snapshot, Body body) {
  const Oid index = find_index_on(stream.table, id_column);
  if (!OidIsValid(index)) return;
  for_indexed_rows(
      stream, index, snapshot, nullptr, 0,
      [&](const StreamRow& row) {
        body(row);
        return false;
      },
      BackwardScanDirection);
}

}  // namespace kanthorq
