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
};

constinit Knowledge<KnownIndexes> known_indexes;

bool is_ordinary(Relation index) {
  return RelationGetIndexExpressions(index) == NIL && RelationGetIndexPredicate(index) == NIL &&
         index->rd_index->indisvalid && index->rd_rel->relam == BTREE_AM_OID;
}

void find_indexes(KnownIndexes& found, Relation table) {
  std::fill_n(found.on, known_columns, InvalidOid);
  List* indexes = RelationGetIndexList(table);
  ListCell* cell;
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    const AttrNumber first = index->rd_index->indkey.values[0];
    if (first >= 1 && first <= known_columns && !OidIsValid(found.on[first - 1]) &&
        is_ordinary(index) &&
        is_in_natural_order(index, TupleDescAttr(RelationGetDescr(table), first - 1)))
      found.on[first - 1] = RelationGetRelid(index);
    index_close(index, AccessShareLock);
  }
  list_free(indexes);
}

}  // namespace

Oid find_index_on(Relation table, AttrNumber column) {
  const KnownIndexes& indexes = known_indexes.about(
      table, [](const KnownIndexes&) { return true; },
      [&](KnownIndexes& found) {
        find_indexes(found, table);
        return true;
      });
  return indexes.on[column - 1];
}

Oid index_on(Relation table, AttrNumber column) {
  const Oid index = find_index_on(table, column);
  if (!OidIsValid(index))
    elog(ERROR, "table \"%s\" has no index on column %d", RelationGetRelationName(table), column);
  return index;
}

HeapTuple lock_row(Relation table, HeapTuple row, IfLocked if_locked) {
  TupleTableSlot* slot = table_slot_create(table, nullptr);
  TM_FailureData failure;
  const TM_Result result = table_tuple_lock(
      table, &row->t_self, SnapshotSelf, slot, GetCurrentCommandId(false), LockTupleExclusive,
      if_locked == IfLocked::skip ? LockWaitSkip : LockWaitBlock, TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
      &failure);
  HeapTuple locked = result == TM_Ok ? ExecCopySlotHeapTuple(slot) : nullptr;
  if (locked) locked->t_self = slot->tts_tid;
  ExecDropSingleTupleTableSlot(slot);
  return locked;
}

bool is_held_by_other(HeapTuple row) {
  const HeapTupleHeader header = row->t_data;
  if (header->t_infomask & HEAP_XMAX_INVALID) return false;
  const TransactionId holder = HeapTupleHeaderGetRawXmax(header);
  if (header->t_infomask & HEAP_XMAX_IS_MULTI) return MultiXactIdIsRunning(holder, false);
  return !TransactionIdIsCurrentTransactionId(holder) && TransactionIdIsInProgress(holder);
}

}  // namespace kanthorq
