// What differs between PostgreSQL 15 and 19. The only place that looks at PG_VERSION_NUM; included
// by pg.hpp, after the server's headers.
#pragma once

#if PG_VERSION_NUM < 150000
#error "KanthorQ needs PostgreSQL 15 or later"
#endif

namespace kanthorq {

// 16: one family of checks for every kind of object.
inline bool owns_relation(Oid relation, Oid role) {
#if PG_VERSION_NUM >= 160000
  return object_ownercheck(RelationRelationId, relation, role);
#else
  return pg_class_ownercheck(relation, role);
#endif
}

inline AclResult check_schema_privilege(Oid schema, Oid role, AclMode mode) {
#if PG_VERSION_NUM >= 160000
  return object_aclcheck(NamespaceRelationId, schema, role, mode);
#else
  return pg_namespace_aclcheck(schema, role, mode);
#endif
}

// 16: ExecInsertIndexTuples learned about summarizing indexes; 19: its choices became flags.
inline List* insert_index_tuples(ResultRelInfo* target, TupleTableSlot* slot, EState* estate,
                                 bool* conflict, List* arbiters) {
#if PG_VERSION_NUM >= 190000
  return ExecInsertIndexTuples(target, estate, EIIT_NO_DUPE_ERROR, slot, arbiters, conflict);
#elif PG_VERSION_NUM >= 160000
  return ExecInsertIndexTuples(target, slot, estate, false, true, conflict, arbiters, false);
#else
  return ExecInsertIndexTuples(target, slot, estate, false, true, conflict, arbiters);
#endif
}

// 18: the conflict check can leave out a tuple of its own; the primary key may be deferrable.
inline bool has_no_conflict(ResultRelInfo* target, TupleTableSlot* slot, EState* estate,
                            ItemPointer conflict, List* arbiters) {
#if PG_VERSION_NUM >= 180000
  ItemPointerData none;
  ItemPointerSetInvalid(&none);
  return ExecCheckIndexConstraints(target, slot, estate, conflict, &none, arbiters);
#else
  return ExecCheckIndexConstraints(target, slot, estate, conflict, arbiters);
#endif
}

inline Oid primary_key_index(Relation relation) {
#if PG_VERSION_NUM >= 180000
  return RelationGetPrimaryKeyIndex(relation, false);
#else
  return RelationGetPrimaryKeyIndex(relation);
#endif
}

// 18: a column may be declared NOT NULL for new rows only.
inline bool is_never_null(TupleDesc descriptor, int index) {
#if PG_VERSION_NUM >= 180000
  return TupleDescCompactAttr(descriptor, index)->attnullability == ATTNULLABLE_VALID;
#else
  return TupleDescAttr(descriptor, index)->attnotnull;
#endif
}

// 17: the identity sequence is looked up by relation.
inline Oid identity_sequence(Relation relation, AttrNumber column) {
#if PG_VERSION_NUM >= 170000
  return getIdentitySequence(relation, column, true);
#else
  return getIdentitySequence(RelationGetRelid(relation), column, true);
#endif
}

// 17: the local transaction id moved. It differs for every transaction of this backend.
inline LocalTransactionId local_transaction_id() {
#if PG_VERSION_NUM >= 170000
  return MyProc->vxid.lxid;
#else
  return MyProc->lxid;
#endif
}

// 17: virtual transaction ids name a process by its number. Returns the id of the transaction that
// the process runs now; invalid if it runs none, or if the transaction has no id yet.
inline TransactionId running_transaction_of(const VirtualTransactionId& virtual_id) {
  TransactionId xid = InvalidTransactionId;
  TransactionId xmin = InvalidTransactionId;
#if PG_VERSION_NUM >= 170000
  int subtransactions = 0;
  bool overflowed = false;
  ProcNumberGetTransactionIds(virtual_id.procNumber, &xid, &xmin, &subtransactions, &overflowed);
#elif PG_VERSION_NUM >= 160000
  int subtransactions = 0;
  bool overflowed = false;
  BackendIdGetTransactionIds(virtual_id.backendId, &xid, &xmin, &subtransactions, &overflowed);
#else
  BackendIdGetTransactionIds(virtual_id.backendId, &xid, &xmin);
#endif
  return xid;
}

// Is the backend still in this very transaction?
inline bool is_running(const VirtualTransactionId& virtual_id) {
#if PG_VERSION_NUM >= 170000
  PGPROC* process = ProcNumberGetProc(virtual_id.procNumber);
  return process && process->vxid.lxid == virtual_id.localTransactionId;
#else
  PGPROC* process = BackendIdGetProc(virtual_id.backendId);
  return process && process->lxid == virtual_id.localTransactionId;
#endif
}

// 18: index scans can be instrumented; 19: they pass flags on to the table.
inline IndexScanDesc begin_index_scan(Relation table, Relation index, Snapshot snapshot, int keys) {
#if PG_VERSION_NUM >= 190000
  return index_beginscan(table, index, snapshot, nullptr, keys, 0, SO_NONE);
#elif PG_VERSION_NUM >= 180000
  return index_beginscan(table, index, snapshot, nullptr, keys, 0);
#else
  return index_beginscan(table, index, snapshot, keys, 0);
#endif
}

// 19: the options of a delete come first, and are none here.
inline TM_Result delete_tuple(Relation table, ItemPointer tid, TM_FailureData* failure) {
#if PG_VERSION_NUM >= 190000
  return table_tuple_delete(table, tid, GetCurrentCommandId(true), 0, InvalidSnapshot,
                            InvalidSnapshot, true, failure);
#else
  return table_tuple_delete(table, tid, GetCurrentCommandId(true), InvalidSnapshot, InvalidSnapshot,
                            true, failure, false);
#endif
}

// 19: the state in which a JSON value is built keeps the value, too. Initialize one with {};
// push_json returns the whole value once it is complete.
#if PG_VERSION_NUM >= 190000
using JsonState = JsonbInState;
inline JsonbValue* push_json(JsonState* state, JsonbIteratorToken token, JsonbValue* value) {
  pushJsonbValue(state, token, value);
  return state->result;
}
#else
using JsonState = JsonbParseState*;
inline JsonbValue* push_json(JsonState* state, JsonbIteratorToken token, JsonbValue* value) {
  return pushJsonbValue(state, token, value);
}
#endif

// 17: memory that is shared without preloading; null before. 19: what initializes it is handed an
// argument.
inline void* named_memory(const char* name, std::size_t size, void (*initialize)(void* memory)) {
#if PG_VERSION_NUM >= 190000
  bool found = false;
  return GetNamedDSMSegment(
      name, size,
      [](void* memory, void* function) { reinterpret_cast<void (*)(void*)>(function)(memory); },
      &found, reinterpret_cast<void*>(initialize));
#elif PG_VERSION_NUM >= 170000
  bool found = false;
  return GetNamedDSMSegment(name, size, initialize, &found);
#else
  (void)name, (void)size, (void)initialize;
  return nullptr;
#endif
}

// 17: the question gained an argument.
inline bool holds_lock(const LOCKTAG& tag, LOCKMODE mode) {
#if PG_VERSION_NUM >= 170000
  return LockHeldByMe(&tag, mode, false);
#else
  return LockHeldByMe(&tag, mode);
#endif
}

// 19: a background worker can be ended for a DROP DATABASE, as autovacuum's are.
#if PG_VERSION_NUM >= 190000
inline constexpr int worker_flags =
    BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION | BGWORKER_INTERRUPTIBLE;
#else
inline constexpr int worker_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
#endif

// 17: transactions have a timeout. Before, no timeout is theirs.
inline constexpr int no_timeout = -1;
#if PG_VERSION_NUM >= 170000
inline constexpr int transaction_timeout = TRANSACTION_TIMEOUT;
#else
inline constexpr int transaction_timeout = no_timeout;
#endif

// 17: wait events of extensions have names.
inline uint32 wait_event() {
#if PG_VERSION_NUM >= 170000
  static uint32 event;
  if (event == 0) event = WaitEventExtensionNew("KanthorqWait");
  return event;
#else
  return PG_WAIT_EXTENSION;
#endif
}

// 17: the server restricts the path itself, to the end of the level of settings that is open.
inline void restrict_search_path() {
#if PG_VERSION_NUM >= 170000
  RestrictSearchPath();
#else
  set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
                    GUC_ACTION_SAVE, true, 0, false);
#endif
}

}  // namespace kanthorq
