// Direct insertion: rows into the heap with the server's multi-insert, then index by index.
//
// It bypasses what the executor would do, so publish_events() takes it only for tables on which the
// executor would do nothing else, and it checks the privilege itself. Two duties make every
// committed event deliverable later, and both are met here as INSERT and COPY meet them:
//   - the table's RowExclusiveLock is taken before the first position and kept to the end of the
//     transaction (open_stream() and its callers);
//   - the transaction has an id before it takes a position (write(), below).

#include "publish/insert.hpp"

#include "server/privileges.hpp"
#include "server/rows.hpp"
#include "server/test_point.hpp"
#include "server/wake.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

namespace {

// A chunk is written, then indexed; it bounds memory and the time between interrupt checks. COPY
// flushes after as many rows.
constexpr int max_chunk_events = 1000;
constexpr Size max_chunk_bytes = 1024 * 1024;

bool can_be_filled_directly(Relation index, const IndexInfo* info) {
  return info->ii_Expressions == NIL && info->ii_Predicate == NIL &&
         info->ii_ExclusionOps == nullptr && index->rd_index->indimmediate;
}

bool can_fill_indexes_directly(const ResultRelInfo* target) {
  for (int i = 0; i < target->ri_NumIndices; i++)
    if (!can_be_filled_directly(target->ri_IndexRelationDescs[i], target->ri_IndexRelationInfo[i]))
      return false;
  return true;
}

// What stays the same for all rows of a batch.
struct Writer {
  ResultRelInfo* target;
  TupleDesc descriptor;  // a copy that nobody counts: pinning the table's for each slot costs
  Oid position_sequence;
  Datum txid;
  CommandId command;

  Relation table() const { return target->ri_RelationDesc; }
};

TupleTableSlot* new_slot(const Writer& writer) {
  return MakeSingleTupleTableSlot(writer.descriptor, &TTSOpsVirtual);
}

void fill(TupleTableSlot* slot, const Writer& writer, const Event& event) {
  ExecClearTuple(slot);
  std::copy_n(event.values, event_columns, slot->tts_values);
  slot->tts_values[txid_column - 1] = writer.txid;
  memset(slot->tts_isnull, 0, stream_columns * sizeof(bool));
  ExecStoreVirtualTuple(slot);
}

void take_position(TupleTableSlot* slot, const Writer& writer) {
  slot->tts_values[position_column - 1] =
      Int64GetDatum(nextval_internal(writer.position_sequence, false));
  KANTHORQ_TEST_POINT("publish_position");
}

void index_rows(const Writer& writer, int number, TupleTableSlot** slots, int count) {
  Relation index = writer.target->ri_IndexRelationDescs[number];
  IndexInfo* info = writer.target->ri_IndexRelationInfo[number];
  if (!info->ii_ReadyForInserts) return;
  const IndexUniqueCheck unique = index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO;
  for (int i = 0; i < count; i++) {
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    FormIndexDatum(info, slots[i], nullptr, values, nulls);
    index_insert(index, values, nulls, &slots[i]->tts_tid, writer.table(), unique, false, info);
  }
}

void insert_rows(const Writer& writer, TupleTableSlot** slots, int count) {
  if (count == 1)
    table_tuple_insert(writer.table(), slots[0], writer.command, 0, nullptr);
  else
    table_multi_insert(writer.table(), slots, count, writer.command, 0, nullptr);
  KANTHORQ_TEST_POINT("publish_heap");
  for (int number = 0; number < writer.target->ri_NumIndices; number++) {
    index_rows(writer, number, slots, count);
    KANTHORQ_TEST_POINT("publish_index");
  }
}

int chunk_length(const Event* events, int left) {
  Size bytes = 0;
  int length = 0;
  for (; length < Min(left, max_chunk_events) && (length == 0 || bytes < max_chunk_bytes); length++)
    bytes += content_bytes(events[length]);
  return length;
}

void insert_all(const Writer& writer, const EventBatch& batch) {
  TupleTableSlot* slots[max_chunk_events];
  int ready = 0;
  MemoryContext per_chunk =
      AllocSetContextCreate(CurrentMemoryContext, "KanthorQ insert chunk", ALLOCSET_DEFAULT_SIZES);
  for (int start = 0; start < batch.count;) {
    const int length = chunk_length(batch.events + start, batch.count - start);
    while (ready < length) slots[ready++] = new_slot(writer);
    MemoryContext caller = MemoryContextSwitchTo(per_chunk);
    for (int i = 0; i < length; i++) {
      fill(slots[i], writer, batch.events[start + i]);
      take_position(slots[i], writer);
    }
    insert_rows(writer, slots, length);
    MemoryContextSwitchTo(caller);
    MemoryContextReset(per_chunk);
    start += length;
    CHECK_FOR_INTERRUPTS();
  }
  MemoryContextDelete(per_chunk);
  while (ready > 0) ExecDropSingleTupleTableSlot(slots[--ready]);
}

// The indexes that on_duplicate => 'skip' asks: the unique ones on the id alone, which may be
// several while one is rebuilt.
List* id_indexes(const ResultRelInfo* target) {
  List* indexes = NIL;
  for (int i = 0; i < target->ri_NumIndices; i++) {
    Relation index = target->ri_IndexRelationDescs[i];
    if (index->rd_index->indisunique && index->rd_index->indnkeyatts == 1 &&
        index->rd_index->indkey.values[0] == id_column &&
        target->ri_IndexRelationInfo[i]->ii_ReadyForInserts)
      indexes = lappend_oid(indexes, RelationGetRelid(index));
  }
  if (indexes == NIL)
    elog(ERROR, "stream table \"%s\" has no unique index on \"id\"",
         RelationGetRelationName(target->ri_RelationDesc));
  return indexes;
}

// In REPEATABLE READ and SERIALIZABLE an event that this transaction can't see must not decide what
// it does: the same rule, and the same error, as that of INSERT ... ON CONFLICT DO NOTHING.
void require_visible(const Writer& writer, ItemPointer at) {
  if (!IsolationUsesXactSnapshot()) return;
  TupleTableSlot* found = table_slot_create(writer.table(), nullptr);
  if (!table_tuple_fetch_row_version(writer.table(), at, SnapshotAny, found))
    elog(ERROR, "could not fetch the event that conflicts");
  bool is_null;
  const TransactionId author =
      DatumGetTransactionId(slot_getsysattr(found, MinTransactionIdAttributeNumber, &is_null));
  if (!TransactionIdIsCurrentTransactionId(author) &&
      !table_tuple_satisfies_snapshot(writer.table(), found, GetActiveSnapshot()))
    ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                    errmsg("could not serialize access due to concurrent update")));
  ExecDropSingleTupleTableSlot(found);
}

// Inserts the row unless its id is there, by speculative insertion as ON CONFLICT does it: look,
// insert provisionally, and if another transaction's row came between, take it back and look again.
void insert_new(const Writer& writer, EState* state, List* arbiters, TupleTableSlot* slot) {
  for (;;) {
    ItemPointerData existing;
    if (!has_no_conflict(writer.target, slot, state, &existing, arbiters))
      return require_visible(writer, &existing);
    take_position(slot, writer);
    const TransactionId xid = GetCurrentTransactionId();
    const uint32 token = SpeculativeInsertionLockAcquire(xid);
    table_tuple_insert_speculative(writer.table(), slot, writer.command, 0, nullptr, token);
    KANTHORQ_TEST_POINT("publish_tentative_heap");
    bool conflict = false;
    insert_index_tuples(writer.target, slot, state, &conflict, arbiters);
    KANTHORQ_TEST_POINT("publish_tentative_index");
    table_tuple_complete_speculative(writer.table(), slot, token, !conflict);
    SpeculativeInsertionLockRelease(xid);
    KANTHORQ_TEST_POINT("publish_confirmed");
    if (!conflict) return;
    CHECK_FOR_INTERRUPTS();
  }
}

void insert_all_new(const Writer& writer, const EventBatch& batch) {
  EState* state = CreateExecutorState();
  // In SERIALIZABLE the server reads the event that conflicts by this snapshot, so that the skip
  // counts as a read. Older minor versions don't; 19 crashes without a snapshot.
  state->es_snapshot = GetActiveSnapshot();
  List* arbiters = id_indexes(writer.target);
  TupleTableSlot* slot = new_slot(writer);
  for (int i = 0; i < batch.count; i++) {
    fill(slot, writer, batch.events[i]);
    MemoryContext caller = MemoryContextSwitchTo(GetPerTupleMemoryContext(state));
    insert_new(writer, state, arbiters, slot);
    MemoryContextSwitchTo(caller);
    ResetPerTupleExprContext(state);
    CHECK_FOR_INTERRUPTS();
  }
  ExecDropSingleTupleTableSlot(slot);
  FreeExecutorState(state);
}

void write(ResultRelInfo* target, const OpenStream& stream, const EventBatch& batch) {
  const Writer writer = {
      .target = target,
      .descriptor = CreateTupleDescCopy(RelationGetDescr(stream.table)),
      .position_sequence = stream.position_sequence,
      .txid = FullTransactionIdGetDatum(GetTopFullTransactionId()),  // before any position
      .command = GetCurrentCommandId(true),
  };
  KANTHORQ_TEST_POINT("publish_txid");
  if (batch.on_duplicate == OnDuplicate::skip)
    insert_all_new(writer, batch);
  else
    insert_all(writer, batch);
  FreeTupleDesc(writer.descriptor);
}

}  // namespace

bool insert_directly(const OpenStream& stream, const EventBatch& batch) {
  require_insert_privilege(stream.table, event_columns);
  ResultRelInfo* target = makeNode(ResultRelInfo);
  InitResultRelInfo(target, stream.table, 0, nullptr, 0);
  ExecOpenIndices(target, batch.on_duplicate == OnDuplicate::skip);
  const bool ordinary = can_fill_indexes_directly(target);
  if (ordinary) write(target, stream, batch);
  ExecCloseIndices(target);
  pfree(target);
  if (ordinary) CommandCounterIncrement();
  return ordinary;
}

void publish_events(Oid schema, std::string_view stream, const EventBatch& batch) {
  with_stream(schema, stream, RowExclusiveLock, [&](const OpenStream& open) {
    wake_at_commit(stream);
    KANTHORQ_TEST_POINT("publish_locked");
    if (!open.plain || has_row_security(open.table) || !insert_directly(open, batch))
      insert_by_executor(open.table, batch);
    KANTHORQ_TEST_POINT("publish_end");
  });
}

}  // namespace kanthorq
