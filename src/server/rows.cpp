#include "server/rows.hpp"

#include "server/lock.hpp"

namespace kanthorq {

[[noreturn]] static void raise_other_version(const char* what, const char* detail) {
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("%s is of another version than the library of KanthorQ", what),
           errdetail("%s", detail),
           errhint("Run ALTER EXTENSION kanthorq UPDATE if that was not done yet, then connect "
                   "again.")));
}

Oid own_table_oid(Oid schema, const OwnTable& table) {
  const Oid oid = get_relname_relid(table.name, schema);
  if (!OidIsValid(oid))
    raise_other_version("the extension", psprintf("Its table \"%s\" is missing.", table.name));
  return oid;
}

// The first column that is not of its type, -1 if each is. A column that was dropped has no type.
static int find_other_type(TupleDesc descriptor, const Oid* types, int count) {
  for (int i = 0; i < Min(count, descriptor->natts); i++)
    if (TupleDescAttr(descriptor, i)->atttypid != types[i]) return i;
  return -1;
}

[[noreturn]] static void raise_other_type(const char* what, const Oid* types, int other) {
  raise_other_version(what, psprintf("Its column %d is not of the type %s.", other + 1,
                                     format_type_be(types[other])));
}

void require_result_types(TupleDesc descriptor, const Oid* types, int count) {
  const int other = find_other_type(descriptor, types, count);
  if (other >= 0) raise_other_type("the result of the function", types, other);
}

Relation open_own_table(Oid schema, const OwnTable& table, LOCKMODE lock) {
  const Oid oid = own_table_oid(schema, table);
  const bool reads = lock == AccessShareLock;  // then the lock is given back at the end
  if (!reads) lock_relation(oid, lock);
  Relation opened = table_open(oid, reads ? lock : NoLock);
  TupleDesc descriptor = RelationGetDescr(opened);
  const int other = find_other_type(descriptor, table.types, table.columns);
  if (other >= 0) raise_other_type(psprintf("table \"%s\"", table.name), table.types, other);
  if (descriptor->natts < table.columns)
    raise_other_version(
        psprintf("table \"%s\"", table.name),
        psprintf("It has %d columns and the library knows %d.", descriptor->natts, table.columns));
  return opened;
}

RowValues::RowValues(Relation table) : table_(table) {
  const int columns = RelationGetNumberOfAttributes(table);
  values_ = static_cast<Datum*>(palloc0(columns * (sizeof(Datum) + 2 * sizeof(bool))));
  nulls_ = reinterpret_cast<bool*>(values_ + columns);
  is_set_ = nulls_ + columns;
}

void RowValues::set(AttrNumber column, NullableDatum value) {
  if (column < 1 || column > RelationGetNumberOfAttributes(table_))
    elog(ERROR, "table \"%s\" has no column %d", RelationGetRelationName(table_), column);
  values_[column - 1] = value.value;
  nulls_[column - 1] = value.isnull;
  is_set_[column - 1] = true;
}

// The value in a new row of a column that this library does not know. A default that is not a
// constant is not evaluated: it may be anybody's code.
static NullableDatum value_of_unknown_column(Relation table, int index) {
  Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), index);
  NullableDatum value{0, true};
  if (column->attisdropped) return value;
  value.value = getmissingattr(RelationGetDescr(table), index + 1, &value.isnull);
  if (value.isnull && column->attnotnull)
    raise_other_version(
        psprintf("table \"%s\"", RelationGetRelationName(table)),
        psprintf("The library does not know its column \"%s\", which must not be null.",
                 NameStr(column->attname)));
  return value;
}

HeapTuple RowValues::new_row() const {
  for (int i = 0; i < RelationGetNumberOfAttributes(table_); i++) {
    if (is_set_[i]) continue;
    const NullableDatum value = value_of_unknown_column(table_, i);
    values_[i] = value.value;
    nulls_[i] = value.isnull;
  }
  return heap_form_tuple(RelationGetDescr(table_), values_, nulls_);
}

HeapTuple RowValues::changed_row(HeapTuple row) const {
  return heap_modify_tuple(row, RelationGetDescr(table_), values_, nulls_, is_set_);
}

HeapTuple insert_row(Relation table, const RowValues& values) {
  HeapTuple row = values.new_row();
  CatalogTupleInsert(table, row);
  CommandCounterIncrement();
  return row;
}

[[noreturn]] static void raise_row_gone(Relation table) {
  ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                  errmsg("a row of table \"%s\" was deleted by another transaction",
                         RelationGetRelationName(table)),
                  errdetail("It was about to be changed."), errhint("Try again.")));
}

// The server's function for an update raises an internal error if it has to wait for somebody who
// changes the row.
HeapTuple update_row(Relation table, HeapTuple row, const RowValues& values) {
  if (is_held_by_other(table, row)) row = lock_row(table, row);
  if (!row) raise_row_gone(table);
  HeapTuple changed = values.changed_row(row);
  CatalogTupleUpdate(table, &row->t_self, changed);
  CommandCounterIncrement();
  return changed;
}

void delete_row(Relation table, HeapTuple row) {
  TM_FailureData failure;
  while (row && delete_tuple(table, &row->t_self, &failure) == TM_Updated)
    row = lock_row(table, row);
  CommandCounterIncrement();
}

HeapTuple lock_row(Relation table, HeapTuple row, IfLocked if_locked) {
  TupleTableSlot* slot = table_slot_create(table, nullptr);
  TM_FailureData failure;
  const TM_Result result = table_tuple_lock(
      table, &row->t_self, SnapshotSelf, slot, GetCurrentCommandId(false), LockTupleExclusive,
      if_locked == IfLocked::wait ? LockWaitBlock : LockWaitSkip,
      if_locked == IfLocked::skip_changed ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
  HeapTuple locked = result == TM_Ok ? ExecCopySlotHeapTuple(slot) : nullptr;
  if (locked) locked->t_self = slot->tts_tid;
  ExecDropSingleTupleTableSlot(slot);
  return locked;
}

static bool runs_elsewhere(TransactionId holder) {
  return !TransactionIdIsCurrentTransactionId(holder) && TransactionIdIsInProgress(holder);
}

// Several holders may be subtransactions of this very transaction.
static bool has_member_elsewhere(MultiXactId holders) {
  MultiXactMember* members = nullptr;
  const int count = GetMultiXactIdMembers(holders, &members, false, false);
  bool found = false;
  for (int i = 0; i < count && !found; i++) found = runs_elsewhere(members[i].xid);
  if (count > 0) pfree(members);
  return found;
}

// Others write into the header of a row while it is read. So what belongs together is read under
// the buffer's lock.
bool is_held_by_other(Relation table, HeapTuple row) {
  Buffer buffer = ReadBuffer(table, ItemPointerGetBlockNumber(&row->t_self));
  LockBuffer(buffer, BUFFER_LOCK_SHARE);
  Page page = BufferGetPage(buffer);
  const OffsetNumber at = ItemPointerGetOffsetNumber(&row->t_self);
  uint16 marks = HEAP_XMAX_INVALID;
  TransactionId holder = InvalidTransactionId;
  if (at <= PageGetMaxOffsetNumber(page) && ItemIdIsNormal(PageGetItemId(page, at))) {
    auto* header = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, PageGetItemId(page, at)));
    marks = header->t_infomask;
    holder = HeapTupleHeaderGetRawXmax(header);
  }
  UnlockReleaseBuffer(buffer);
  if (marks & HEAP_XMAX_INVALID) return false;
  return marks & HEAP_XMAX_IS_MULTI ? has_member_elsewhere(holder) : runs_elsewhere(holder);
}

static AttrNumber index_column(Relation index, AttrNumber column) {
  for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
    if (index->rd_index->indkey.values[i] == column) return static_cast<AttrNumber>(i + 1);
  elog(ERROR, "column %d is not in index \"%s\"", column, RelationGetRelationName(index));
}

void rescan(IndexScanDesc scan, const ScanKeyData* keys, int count) {
  ScanKeyData of_index[INDEX_MAX_KEYS];
  for (int i = 0; i < count; i++) {
    of_index[i] = keys[i];
    of_index[i].sk_attno = index_column(scan->indexRelation, keys[i].sk_attno);
  }
  index_rescan(scan, of_index, count, nullptr, 0);
}

NewestFirst begin_newest_first(Relation table, Oid index, int count) {
  Relation by = index_open(index, AccessShareLock);
  // As for catalogs; it can be had in parallel mode, too.
  Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(RelationGetRelid(table)));
  return {by, snapshot, table_slot_create(table, nullptr),
          begin_index_scan(table, by, snapshot, count)};
}

void end_newest_first(const NewestFirst& rows) {
  index_endscan(rows.scan);
  ExecDropSingleTupleTableSlot(rows.slot);
  UnregisterSnapshot(rows.snapshot);
  index_close(rows.index, AccessShareLock);
}

HeapTuple only_row(Relation table, Oid index, ScanKeyData* keys, int count) {
  const NewestFirst rows = begin_newest_first(table, index, count);
  rescan(rows.scan, keys, count);
  HeapTuple found = nullptr;
  if (index_getnext_slot(rows.scan, BackwardScanDirection, rows.slot))
    found = ExecCopySlotHeapTuple(rows.slot);
  end_newest_first(rows);
  return found;
}

RowCount count_rows(Relation table, Oid index, const ScanKeyData* keys, int count, int64 most) {
  SnapshotData dirty{};
  InitDirtySnapshot(dirty);
  Relation by = index_open(index, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(table, nullptr);
  IndexScanDesc scan = begin_index_scan(table, by, &dirty, count);
  rescan(scan, keys, count);
  RowCount rows;
  while (rows.count < most && index_getnext_slot(scan, ForwardScanDirection, slot)) {
    rows.count++;
    if (TransactionIdIsValid(dirty.xmin) || TransactionIdIsValid(dirty.xmax))
      rows.is_changing = true;
    CHECK_FOR_INTERRUPTS();
  }
  index_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  index_close(by, AccessShareLock);
  return rows;
}

static bool find_outermost(Relation table, Relation index, ScanDirection direction, int64& value) {
  IndexScanDesc scan = begin_index_scan(table, index, SnapshotAny, 0);
  scan->xs_want_itup = true;
  index_rescan(scan, nullptr, 0, nullptr, 0);
  const bool found = index_getnext_tid(scan, direction) != nullptr;
  bool is_null = false;
  if (found) value = DatumGetInt64(index_getattr(scan->xs_itup, 1, scan->xs_itupdesc, &is_null));
  index_endscan(scan);
  return found && !is_null;
}

bool find_value_range(Relation table, Oid index, ValueRange& range) {
  Relation by = index_open(index, AccessShareLock);
  const bool found = find_outermost(table, by, ForwardScanDirection, range.first) &&
                     find_outermost(table, by, BackwardScanDirection, range.last);
  index_close(by, AccessShareLock);
  return found;
}

}  // namespace kanthorq
