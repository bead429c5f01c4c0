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
  std::string_view subject() const { return view_of(DatumGetTextPP(value(subject_column))); }
};

// For the functions below: the rows that the keys find by this index, in its order or against it.
template <typename Body>
void for_indexed_rows(const OpenStream& stream, Oid index, Snapshot snapshot,
                      const ScanKeyData* keys, int count, Body body,
                      ScanDirection direction = ForwardScanDirection) {
  Relation opened = index_open(index, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(stream.table, nullptr);
  IndexScanDesc scan = begin_index_scan(stream.table, opened, snapshot, count);
  rescan(scan, keys, count);
  while (index_getnext_slot(scan, direction, slot))
    if (!body(StreamRow{slot})) break;
  index_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  index_close(opened, AccessShareLock);
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

// What `body(row)` returns for one row; false or nothing if there was no row.
template <typename Body>
class OneRow {
 public:
  explicit OneRow(Body body) : body_(body) {}

  // For the row, if there is one.
  void take(const StreamRow& row) {
    if constexpr (returns_nothing) {
      body_(row);
      result_ = true;
    } else {
      result_ = body_(row);
    }
  }

  auto result() const { return result_; }

 private:
  using Returned = decltype(std::declval<Body>()(std::declval<const StreamRow&>()));
  static constexpr bool returns_nothing = std::is_void_v<Returned>;
  using Result =
      std::conditional_t<returns_nothing, bool,
                         std::optional<std::conditional_t<returns_nothing, bool, Returned>>>;

  Body body_;
  Result result_{};
};

// Runs `body(row)` for the row at this position. Returns what it returned, if anything, as an
// optional; if it returns nothing, whether there is such a row.
template <typename Body>
auto with_position(const OpenStream& stream, Snapshot snapshot, int64 position, Body body) {
  OneRow<Body> one(body);
  for_positions(stream, snapshot, position - 1, position, [&](const StreamRow& row) {
    one.take(row);
    return false;
  });
  return one.result();
}

// The same for the event with this id.
template <typename Body>
auto with_event(const OpenStream& stream, Snapshot snapshot, std::string_view id, Body body) {
  OneRow<Body> one(body);
  const ScanKeyData key = equals_text(id_column, id);
  for_indexed_rows(stream, index_on(stream.table, id_column), snapshot, &key, 1,
                   [&](const StreamRow& row) {
                     if (row.id() != id) return true;
                     one.take(row);
                     return false;
                   });
  return one.result();
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

// The same for the row with the greatest id. There is none if the index on the ids is gone.
template <typename Body>
auto with_greatest_id(const OpenStream& stream, Snapshot snapshot, Body body) {
  OneRow<Body> one(body);
  const auto take = [&](const StreamRow& row) {
    one.take(row);
    return false;
  };
  const Oid index = find_index_on(stream.table, id_column);
  if (OidIsValid(index))
    for_indexed_rows(stream, index, snapshot, nullptr, 0, take, BackwardScanDirection);
  return one.result();
}

}  // namespace kanthorq
