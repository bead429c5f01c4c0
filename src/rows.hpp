// Rows of the tables that only the library writes.
//
// They are read and written like rows of a system catalog: without a query, by the primary key or
// another index, always with the newest snapshot, whatever the isolation level of the caller, since
// they say what is so now. Whoever changes a row holds the lock that its file names, so no update
// finds the row changed under its hands.
#pragma once

#include "datum.hpp"
#include "pg.hpp"

namespace kanthorq {

// A table of the extension, by its name.
Oid own_table(Oid schema, const char* name);

// Runs `body(row)` for each row that the keys find by `index`, in its order, until it returns
// false.
template <typename Body>
void for_rows(Relation table, Oid index, ScanKeyData* keys, int count, Body body) {
  Relation by = index_open(index, AccessShareLock);
  // Without a snapshot of ours the newest one is taken, as for catalogs; in parallel mode, too.
  SysScanDesc scan = systable_beginscan_ordered(table, by, nullptr, count, keys);
  for (;;) {
    HeapTuple row = systable_getnext_ordered(scan, ForwardScanDirection);
    if (!HeapTupleIsValid(row) || !body(row)) break;
    CHECK_FOR_INTERRUPTS();
  }
  systable_endscan_ordered(scan);
  index_close(by, AccessShareLock);
}

// A copy of the first such row, null where there is none.
inline HeapTuple first_row(Relation table, Oid index, ScanKeyData* keys, int count) {
  HeapTuple found = nullptr;
  for_rows(table, index, keys, count, [&](HeapTuple row) {
    found = heap_copytuple(row);
    return false;
  });
  return found;
}

// Locks the newest version of a row that was read, to the end of the transaction, and returns a
// copy of it; null where it is gone, or, with `skip`, where another transaction holds it.
enum class IfLocked { wait, skip };
HeapTuple lock_row(Relation table, HeapTuple row, IfLocked if_locked = IfLocked::wait);

// Is a row that was read locked or being changed by another transaction that is still open?
bool is_held_by_other(HeapTuple row);

// The ordinary index of `table` whose first column is `column`, one of the first nine, in the order
// of its type; invalid, or for index_on() an internal error, where there is none.
Oid find_index_on(Relation table, AttrNumber column);
Oid index_on(Relation table, AttrNumber column);

inline Datum row_value(Relation table, HeapTuple row, AttrNumber column) {
  bool is_null;
  const Datum value = heap_getattr(row, column, RelationGetDescr(table), &is_null);
  if (is_null)
    elog(ERROR, "null in column %d of table \"%s\"", column, RelationGetRelationName(table));
  return value;
}

inline NullableDatum nullable_row_value(Relation table, HeapTuple row, AttrNumber column) {
  NullableDatum value;
  value.value = heap_getattr(row, column, RelationGetDescr(table), &value.isnull);
  return value;
}

inline ScanKeyData equals_text(AttrNumber column, std::string_view value) {
  ScanKeyData key;
  ScanKeyInit(&key, column, BTEqualStrategyNumber, F_TEXTEQ, text_datum(value));
  return key;
}

inline ScanKeyData compares_bigint(AttrNumber column, StrategyNumber strategy, RegProcedure by,
                                   int64 value) {
  ScanKeyData key;
  ScanKeyInit(&key, column, strategy, by, Int64GetDatum(value));
  return key;
}

}  // namespace kanthorq
