// Reading the rows of a stream's table, one by one, in the order of their positions or by their id.
#pragma once

#include "pg.hpp"
#include "rows.hpp"
#include "shape.hpp"
#include "stream_table.hpp"

namespace kanthorq {

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

template <typename Body>
void for_stream_rows(Relation table, Oid index, Snapshot snapshot, ScanKeyData* keys, int count,
                     Body body) {
  Relation by = index_open(index, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(table, nullptr);
  IndexScanDesc scan = begin_index_scan(table, by, snapshot, count);
  rescan(scan, keys, count);
  while (index_getnext_slot(scan, ForwardScanDirection, slot))
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
  for_stream_rows(stream.relation, stream.position_index, snapshot, keys, 2, body);
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

// Runs `body(row)` for the event with this id; false where there is none.
template <typename Body>
bool with_event(const OpenStream& stream, Snapshot snapshot, std::string_view id, Body body) {
  bool found = false;
  ScanKeyData key = equals_text(id_column, id);
  for_stream_rows(stream.relation, index_on(stream.relation, id_column), snapshot, &key, 1,
                  [&](const StreamRow& row) {
                    if (row.id() != id) return true;
                    found = true;
                    body(row);
                    return false;
                  });
  return found;
}

}  // namespace kanthorq
