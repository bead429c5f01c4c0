#include "rows.hpp"

#include "known.hpp"

namespace kanthorq {

Oid own_table(Oid schema, const char* name) {
  const Oid table = get_relname_relid(name, schema);
  if (!OidIsValid(table)) elog(ERROR, "table \"%s\" is missing", name);
  return table;
}

// Is it in the order of the column's type: ascending, nulls last, by the default operators and the
// column's own collation?
static bool is_in_natural_order(Relation index, Form_pg_attribute column) {
  const Oid operators = GetDefaultOpClass(column->atttypid, BTREE_AM_OID);
  return index->rd_indoption[0] == 0 && index->rd_indcollation[0] == column->attcollation &&
         index->rd_opfamily[0] == get_opclass_family(operators);
}

namespace {

constexpr AttrNumber known_columns = 9;  // no table of ours has an index on a later one

struct KnownIndexes {
  Known known;
  Oid on[known_columns];
  bool unique[known_columns];
};

constinit Knowledge<KnownIndexes> known_indexes;

bool is_ordinary(Relation index) {
  return is_on_columns(index) && index->rd_index->indisvalid &&
         index->rd_rel->relam == BTREE_AM_OID;
}

bool keeps_unique(Form_pg_index index) {
  return index->indisunique && index->indimmediate && index->indnkeyatts == 1;
}

void find_indexes(KnownIndexes& found, Relation table) {
  std::fill_n(found.on, known_columns, InvalidOid);
  std::fill_n(found.unique, known_columns, false);
  List* indexes = RelationGetIndexList(table);
  ListCell* cell;
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    const AttrNumber first = index->rd_index->indkey.values[0];
    if (first >= 1 && first <= known_columns && is_ordinary(index) &&
        is_in_natural_order(index, TupleDescAttr(RelationGetDescr(table), first - 1))) {
      Oid& on = found.on[first - 1];
      if (!OidIsValid(on)) on = RelationGetRelid(index);
      if (keeps_unique(index->rd_index)) found.unique[first - 1] = true;
    }
    index_close(index, AccessShareLock);
  }
  list_free(indexes);
}

}  // namespace

bool is_on_columns(Relation index) {
  const auto is_null = [&](int column) {
    return heap_attisnull(index->rd_indextuple, column, nullptr);
  };
  return is_null(Anum_pg_index_indexprs) && is_null(Anum_pg_index_indpred);
}

static const KnownIndexes& indexes_of(Relation table) {
  return known_indexes.about(
      table, [](const KnownIndexes&) { return true; },
      [&](KnownIndexes& found) {
        find_indexes(found, table);
        return true;
      });
}

Oid find_index_on(Relation table, AttrNumber column) { return indexes_of(table).on[column - 1]; }

bool is_unique(Relation table, AttrNumber column) { return indexes_of(table).unique[column - 1]; }

Oid index_on(Relation table, AttrNumber column) {
  const Oid index = find_index_on(table, column);
  if (!OidIsValid(index))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("table \"%s\" has no index on \"%s\"", RelationGetRelationName(table),
                           NameStr(TupleDescAttr(RelationGetDescr(table), column - 1)->attname)),
                    errdetail("The index that it was created with was dropped, or is not valid.")));
  return index;
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

bool is_held_by_other(HeapTuple row) {
  const HeapTupleHeader header = row->t_data;
  if (header->t_infomask & HEAP_XMAX_INVALID) return false;
  const TransactionId holder = HeapTupleHeaderGetRawXmax(header);
  return header->t_infomask & HEAP_XMAX_IS_MULTI ? has_member_elsewhere(holder)
                                                 : runs_elsewhere(holder);
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
  index_rescan(rows.scan, keys, count, nullptr, 0);
  HeapTuple found = nullptr;
  if (index_getnext_slot(rows.scan, BackwardScanDirection, rows.slot))
    found = ExecCopySlotHeapTuple(rows.slot);
  end_newest_first(rows);
  return found;
}

}  // namespace kanthorq
