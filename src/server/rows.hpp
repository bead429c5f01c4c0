// Rows of the tables that only the library writes.
//
// They are read and written like rows of a system catalog: without a query, by the primary key or
// another index. They are read with the newest snapshot, whatever the isolation level of the caller
// is, because they say what is true now. A function that changes a row holds the lock that its file
// names. That keeps our own functions apart, but not the statement of a user who may write into the
// table. Rows that such a statement may change are locked first (lock_row), and read again.
//
// In the keys of a scan, a column is always the table's and not the index's.
//
// A session keeps the library that it has loaded while another session updates the extension. Then
// the tables may get columns that the old library does not know. So a row is formed with as many
// columns as its table has. If columns are missing or of other types, the library and the tables do
// not fit, and nothing is read or written (55000).
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

// Opens it. AccessShareLock, of readers, is given back when it is closed. Any other lock is kept,
// as lock.hpp says. Raises 55000 if it lacks a column of `table`, or if the column has another
// type.
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

// The values of a new row, or new values for a stored row. Columns that are not set, among them
// those of a later version, stay as they are in a stored row. In a new row they have what ALTER
// TABLE gave to stored rows when it added the column: the default if that is a constant, else null.
// Raises 55000 if such a column must not be null.
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
// it, and go on with the row as it is then. If that has deleted the row, delete_row() does nothing,
// and update_row() raises 40001.
HeapTuple insert_row(Relation table, const RowValues& values);
HeapTuple update_row(Relation table, HeapTuple row, const RowValues& values);
void delete_row(Relation table, HeapTuple row);

// Runs `body(row)` for each row that the keys find by `index`, in its order, until it returns
// false. Checks for interrupts, as for_newest_rows() does.
template <typename Body>
void for_rows(Relation table, Oid index, ScanKeyData* keys, int count, Body body) {
  Relation opened = index_open(index, AccessShareLock);
  // Without a snapshot of ours the server takes the newest one, as for catalogs; in parallel mode,
  // too.
  SysScanDesc scan = systable_beginscan_ordered(table, opened, nullptr, count, keys);
  for (;;) {
    HeapTuple row = systable_getnext_ordered(scan, ForwardScanDirection);
    if (!HeapTupleIsValid(row) || !body(row)) break;
    CHECK_FOR_INTERRUPTS();
  }
  systable_endscan_ordered(scan);
  index_close(opened, AccessShareLock);
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

// Starts the scan, or starts it again. Turns the table's columns in the keys into the index's, as
// the server wants them here.
void rescan(IndexScanDesc scan, const ScanKeyData* keys, int count);

// The second column of the index entry that the scan is at.
inline int32 second_column(IndexScanDesc scan) {
  bool is_null;
  return DatumGetInt32(index_getattr(scan->xs_itup, 2, scan->xs_itupdesc, &is_null));
}

// Rows that change all the time. Old versions of them are removed as new ones come, unless a
// transaction anywhere in the cluster, also in another database, might still see them. Then each
// change adds a version, and every fifty changes add an index entry. A walk through all of them
// would take longer each time. The newest version has the highest address, as a rule. So the search
// starts there, and skips older versions.

// A scan by `index` that starts at the highest address of the last key.
struct NewestFirst {
  Relation index;
  Snapshot snapshot;
  TupleTableSlot* slot;
  IndexScanDesc scan;
};
NewestFirst begin_newest_first(Relation table, Oid index, int count);
void end_newest_first(const NewestFirst& rows);

// A copy of the only row that the keys find by `index`, null if there is none.
HeapTuple only_row(Relation table, Oid index, ScanKeyData* keys, int count);

// `index` has two columns. Runs `body(row)` for each row that the key `owner` finds in the first
// one, in descending order of the second one, the integer column `second`, until it returns false.
template <typename Body>
void for_newest_rows(Relation table, Oid index, ScanKeyData owner, AttrNumber second, Body body) {
  constexpr int most_skipped = 64;  // a new search costs less than skipping more
  ScanKeyData keys[2] = {owner,
                         compares_integer(second, BTLessStrategyNumber, F_INT4LT, PG_INT32_MAX)};
  const NewestFirst rows = begin_newest_first(table, index, 2);
  rows.scan->xs_want_itup = true;
  rescan(rows.scan, keys, 2);
  int32 found = PG_INT32_MAX;
  int skipped = 0;
  while (index_getnext_tid(rows.scan, BackwardScanDirection)) {
    CHECK_FOR_INTERRUPTS();
    const int32 number = second_column(rows.scan);
    if (number == found) {
      if (++skipped < most_skipped) continue;
      keys[1].sk_argument = Int32GetDatum(found);
      rescan(rows.scan, keys, 2);
      skipped = 0;
    } else if (index_fetch_heap(rows.scan, rows.slot)) {
      found = number;
      skipped = 0;
      bool should_free;
      if (!body(ExecFetchSlotHeapTuple(rows.slot, false, &should_free))) break;
    }
  }
  end_newest_first(rows);
}

// Rows of a table that somebody else owns, which is locked against writers.

// How many rows the keys find by `index`, `most` at most. Rows count that other open transactions
// have added or are removing: such a transaction may have lost its lock with a cursor (lock.hpp).
struct RowCount {
  int64 count = 0;
  bool is_changing = false;  // by such a transaction
};
RowCount count_rows(Relation table, Oid index, const ScanKeyData* keys, int count, int64 most);

// The first and the last value in an index on a bigint column. All entries count, also those of
// rows that are not committed, were rolled back, or were removed. False if there are none.
struct ValueRange {
  int64 first;
  int64 last;
};
bool find_value_range(Relation table, Oid index, ValueRange& range);

// What to do about a row that another transaction holds.
enum class IfLocked {
  wait,
  skip,
  skip_changed,  // skip it also if it was changed since it was read
};

// Locks the newest version of a row that was read, to the end of the transaction, and returns a
// copy of it. Null if the row is gone, or if it was skipped.
HeapTuple lock_row(Relation table, HeapTuple row, IfLocked if_locked = IfLocked::wait);

// Is a row that was read locked or being changed by another transaction that is still open?
bool is_held_by_other(Relation table, HeapTuple row);

}  // namespace kanthorq
