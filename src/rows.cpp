#include "rows.hpp"

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

Oid find_index_on(Relation table, AttrNumber column) {
  Oid found = InvalidOid;
  List* indexes = RelationGetIndexList(table);
  ListCell* cell;
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    const bool ordinary = RelationGetIndexExpressions(index) == NIL &&
                          RelationGetIndexPredicate(index) == NIL && index->rd_index->indisvalid &&
                          index->rd_rel->relam == BTREE_AM_OID;
    if (!OidIsValid(found) && ordinary && index->rd_index->indkey.values[0] == column &&
        is_in_natural_order(index, TupleDescAttr(RelationGetDescr(table), column - 1)))
      found = RelationGetRelid(index);
    index_close(index, AccessShareLock);
  }
  list_free(indexes);
  return found;
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

}  // namespace kanthorq
