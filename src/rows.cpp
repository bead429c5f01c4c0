#include "rows.hpp"

namespace kanthorq {

Oid own_table(Oid schema, const char* name) {
  const Oid table = get_relname_relid(name, schema);
  if (!OidIsValid(table)) elog(ERROR, "table \"%s\" is missing", name);
  return table;
}

HeapTuple lock_row(Relation table, HeapTuple row) {
  TupleTableSlot* slot = table_slot_create(table, nullptr);
  TM_FailureData failure;
  const TM_Result result = table_tuple_lock(
      table, &row->t_self, SnapshotSelf, slot, GetCurrentCommandId(false), LockTupleExclusive,
      LockWaitBlock, TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
  HeapTuple locked = result == TM_Ok ? ExecCopySlotHeapTuple(slot) : nullptr;
  if (locked) locked->t_self = slot->tts_tid;
  ExecDropSingleTupleTableSlot(slot);
  return locked;
}

}  // namespace kanthorq
