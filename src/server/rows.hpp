// Rows of the tables that only the library writes.
//
// They are read and written like rows of a system catalog: without a query, by the primary key or
// another index, always with the newest snapshot, whatever the isolation level of the caller, since
// they say what is so now. Whoever changes a row holds the lock that its file names. That keeps our
// own functions apart, and not a statement of somebody who may write into the table: rows that such
// a statement may meet are locked first (lock_row), and what is to be done is decided after that.
//
// In the keys of a scan, a column is always the table's and not the index's.
//
// A session keeps the library that it has loaded while another updates the extension, and the
// tables get columns that the old library does not know. So a row is formed with as many columns as
// its table has. If columns are missing or of other types, the library and the tables do not fit,
// and nothing is read or written (55000).
#pragma once

#include "server/datum.hpp"
#include "server/pg.hpp"
#include "server/scope.hpp"

namespace kanthorq {

// A table of the extension: the types of the columns that this library knows, in their order.
struct OwnTable {
  const char* name;
  const Oid* types;
  int columns;
};

// Its oid. Raises 55000 if there is no such table.
Oid own_table_oid(Oid schema, const OwnTable& table);

// Opens it. AccessShareLock, of readers, is given back when it is closed; any other lock is kept as
// lock.hpp says. Raises 55000 if it lacks a known column, or the column has another type.
Relation open_own_table(Oid schema, const OwnTable& table, LOCKMODE lock);

// Runs `body(table)` with the open table.
template <typename Body>
auto with_own_table(Oid schema, const OwnTable& table, LOCKMODE lock, Body body) {
  Relation opened = open_own_table(schema, table, lock);
  return run_and_close(
      [&] { return body(opened); },
      [&] { table_close(opened, lock == AccessShareLock ? AccessShareLock : NoLock); });
}

// Raises 55000 if the columns of a function's result are not of these types. There may be more of
// them, or fewer.
void require_result_types(TupleDesc result, const Oid* types, int count);

// The values of a new row, or the new values of one that is there. Columns that are not set, among
// them those of a later version, stay as they are in a row that is there. A new row has in them
// what ALTER TABLE gave to the rows that were there when it added the column: the default if that
// is a constant, else null. Raises 55000 if such a column must not be null.
class RowValues {
 public:
  explicit RowValues(Relation table);

  void set(AttrNumber column, NullableDatum value);
  void set(AttrNumber column, Datum value) { set(column, NullableDatum{value, false}); }

  HeapTuple new_row() const;
  HeapTuple changed_row(HeapTuple row) const;

 private:
  Relation table_;
  Datum* values_;
  bool* nulls_;
  bool* is_set_;
};

// Insert, change and delete a row, and make that visible to what this transaction does next. The
// first two return the row as it is now. If another transaction is changing the row, they wait for
// it, and go on with what is there then. If the row is gone then, nothing is deleted, and a change
// raises 40001.
HeapTuple insert_row(Relation table, const RowValues& values);
HeapTuple update_row(Relation table, HeapTuple row, const RowValues& values);
void delete_row(Relation table, HeapTuple row);

// Runs `body(row)` for each row that the keys find by `index`, in its order, until it returns
// false. Checks for interrupts, as for_newest_rows() does.
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

inline ScanKeyData compares_text(AttrNumber column, StrategyNumber strategy, RegProcedure by,
                                 std::string_view value) {
  ScanKeyData key;
  ScanKeyInit(&key, column, strategy, by, text_datum(value));
  return key;
}

inline ScanKeyData compares_bigint(AttrNumber column, StrategyNumber strategy, RegProcedure by,
                                   int64 value) {
  ScanKeyData key;
  ScanKeyInit(&key, column, strategy, by, Int64GetDatum(value));
  return key;
}

inline ScanKeyData compares_integer(AttrNumber column, StrategyNumber strategy, RegProcedure by,
                                    int32 value) {
  ScanKeyData key;
  ScanKeyInit(&key, column, strategy, by, Int32GetDatum(value));
  return key;
}

// Starts the scan, or starts it again. The server wants the index's columns in the keys there.
void rescan(IndexScanDesc scan, const ScanKeyData* keys, int count);

// The second column of the index entry that the scan is at.
inline int32 second_column(IndexScanDesc scan) {
  bool is_null;
  return DatumGetInt32(index_getattr(scan->xs_itup, 2, scan->xs_itupdesc, &is_null));
}

// Rows that change all the time. Old versions of them are removed as new ones come, unless a
// transaction anywhere in the cluster, in another database, too, might still see them. Then there
// are a version more for each change and an index entry more for every fifty, and a walk through
// all of them would be longer each time. The newest has the highest address, as a rule, so it is
// looked for from there, and older versions are passed.

// A scan by `index` that starts at the highest address of the last key.
struct NewestFirst {
  Relation index;
  Snapshot snapshot;
  TupleTableSlot* slot;
  IndexScanDesc scan;
};
NewestFirst begin_newest_first(Relation table, Oid index, int count);
void end_newest_first(const NewestFirst& rows);

// A copy of the only row that the keys find by `index`, null where there is none.
HeapTuple only_row(Relation table, Oid index, ScanKeyData* keys, int count);

// Runs `body(row)` for each row with this `owner` in the first column of `index`, whose second and
// last one is the integer column `second`; the greatest first, until it returns false.
template <typename Body>
void for_newest_rows(Relation table, Oid index, ScanKeyData owner, AttrNumber second, Body body) {
  constexpr int most_passed = 64;  // then a search costs less
  ScanKeyData keys[2] = {owner,
                         compares_integer(second, BTLessStrategyNumber, F_INT4LT, PG_INT32_MAX)};
  const NewestFirst rows = begin_newest_first(table, index, 2);
  rows.scan->xs_want_itup = true;
  rescan(rows.scan, keys, 2);
  int32 found = PG_INT32_MAX;
  int passed = 0;
  while (index_getnext_tid(rows.scan, BackwardScanDirection)) {
    CHECK_FOR_INTERRUPTS();
    const int32 number = second_column(rows.scan);
    if (number == found) {
      if (++passed < most_passed) continue;
      keys[1].sk_argument = Int32GetDatum(found);
      rescan(rows.scan, keys, 2);
      passed = 0;
    } else if (index_fetch_heap(rows.scan, rows.slot)) {
      found = number;
      passed = 0;
      bool should_free;
      if (!body(ExecFetchSlotHeapTuple(rows.slot, false, &should_free))) break;
    }
  }
  end_newest_first(rows);
}

// Locks the newest version of a row that was read, to the end of the transaction, and returns a
// copy of it; null where it is gone, or, with `skip`, where another transaction holds it. With
// `skip_changed` the row is left alone, too, where it was changed since it was read.
enum class IfLocked { wait, skip, skip_changed };
HeapTuple lock_row(Relation table, HeapTuple row, IfLocked if_locked = IfLocked::wait);

// Is a row that was read locked or being changed by another transaction that is still open?
bool is_held_by_other(Relation table, HeapTuple row);

}  // namespace kanthorq
