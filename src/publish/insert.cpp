// Direct insertion: rows into the heap with the server's multi-insert, then index by index.
//
// It bypasses the executor. So publish_events() uses it only for tables on which the executor would
// do nothing else, and it checks the privilege itself. Exact delivery rests on two duties of a
// publisher, which an INSERT or COPY leaves to a trigger (stream/txid.cpp):
//   - The table's RowExclusiveLock is taken before the first position and kept to the end of the
//     transaction (open_stream()).
//   - The transaction has an id before it takes a position (insert_batch(), below).

#include "publish/insert.hpp"

#include "server/privileges.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/wake.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

namespace {

// A chunk is written, then indexed. Its size bounds memory and the time between two checks for
// interrupts. COPY flushes after as many rows.
constexpr int max_chunk_events = 1000;
constexpr Size max_chunk_bytes = 1024 * 1024;

bool can_fill_directly(Relation index, const IndexInfo* info) {
  return info->ii_Expressions == NIL && info->ii_Predicate == NIL &&
         info->ii_ExclusionOps == nullptr && index->rd_index->indimmediate;
}

bool can_fill_all_directly(const ResultRelInfo* target) {
  for (int i = 0; i < target->ri_NumIndices; i++)
    if (!can_fill_directly(target->ri_IndexRelationDescs[i], target->ri_IndexRelationInfo[i]))
      return false;
  return true;
}

// What stays the same for all rows of a batch.
struct Writer {
  ResultRelInfo* target;
  TupleDesc descriptor;  // a copy without a reference count: each slot would pin the table's own
  Oid position_sequence;
  Datum txid;
  CommandId command;

  Relation table() const { return target->ri_RelationDesc; }
};

TupleTableSlot* new_slot(const Writer& writer) {
  return MakeSingleTupleTableSlot(writer.descriptor, &TTSOpsVirtual);
}

void fill_slot(TupleTableSlot* slot, const Writer& writer, const Event& event) {
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

void insert_chunk(const Writer& writer, TupleTableSlot** slots, const Event* events, int count) {
  for (int i = 0; i < count; i++) {
    fill_slot(slots[i], writer, events[i]);
    take_position(slots[i], writer);
  }
  insert_rows(writer, slots, count);
}

// Memory for one chunk after the other, with a large first block. When a call's memory is freed,
// malloc keeps it for the next call only if it is less than two of the largest block that it has
// given out so far. With small blocks it was more, so each call took new pages from the system.
// Pages of the block that nobody writes to take no memory.
MemoryContext create_chunk_memory(int count) {
  constexpr Size bytes_of_event = 2048;  // with the caller's arrays
  constexpr Size smallest = 2 * 1024 * 1024;
  constexpr Size largest = 8 * 1024 * 1024;
  const Size first = count == 1 ? Size{ALLOCSET_DEFAULT_INITSIZE}
                                : std::clamp(count * bytes_of_event, smallest, largest);
  return AllocSetContextCreate(CurrentMemoryContext, "KanthorQ insert chunk", 0, first, largest);
}

void insert_all(const Writer& writer, const EventBatch& batch) {
  TupleTableSlot* slots[max_chunk_events];
  int slot_count = 0;
  MemoryContext per_chunk = create_chunk_memory(batch.count);
  for (int start = 0; start < batch.count;) {
    const Event* events = batch.events + start;
    const int length = chunk_length(events, batch.count - start);
    while (slot_count < length) slots[slot_count++] = new_slot(writer);
    with_context(per_chunk, [&] { insert_chunk(writer, slots, events, length); });
    MemoryContextReset(per_chunk);
    start += length;
    CHECK_FOR_INTERRUPTS();
  }
  MemoryContextDelete(per_chunk);
  while (slot_count > 0) ExecDropSingleTupleTableSlot(slots[--slot_count]);
}

// The indexes that decide whether an event is a duplicate: the unique ones on the id alone. There
// may be several while one is rebuilt.
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
// it does. INSERT ... ON CONFLICT DO NOTHING has the same rule, and raises the same error.
void require_visible(const Writer& writer, ItemPointer at) {
  if (!IsolationUsesXactSnapshot()) return;
  TupleTableSlot* slot = table_slot_create(writer.table(), nullptr);
  if (!table_tuple_fetch_row_version(writer.table(), at, SnapshotAny, slot))
    elog(ERROR, "could not fetch the event that conflicts");
  bool is_null;
  const TransactionId author =
      DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &is_null));
  if (!TransactionIdIsCurrentTransactionId(author) &&
      !table_tuple_satisfies_snapshot(writer.table(), slot, GetActiveSnapshot()))
    ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                    errmsg("could not serialize access due to concurrent update")));
  ExecDropSingleTupleTableSlot(slot);
}

// Inserts the row unless its id is stored already. It does so by speculative insertion, like ON
// CONFLICT: it looks, inserts tentatively, and if another transaction has inserted the same id
// meanwhile, takes its row back and looks again.
void insert_unless_stored(const Writer& writer, EState* state, List* arbiters,
                          TupleTableSlot* slot) {
  for (;;) {
    ItemPointerData stored;
    if (!has_no_conflict(writer.target, slot, state, &stored, arbiters))
      return require_visible(writer, &stored);
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

void insert_all_not_stored(const Writer& writer, const EventBatch& batch) {
  EState* state = CreateExecutorState();
  // In SERIALIZABLE the server reads the event that conflicts by this snapshot, so that the skip
  // counts as a read. Older minor versions don't; 19 crashes without a snapshot.
  state->es_snapshot = GetActiveSnapshot();
  List* arbiters = id_indexes(writer.target);
  TupleTableSlot* slot = new_slot(writer);
  for (int i = 0; i < batch.count; i++) {
    fill_slot(slot, writer, batch.events[i]);
    with_context(GetPerTupleMemoryContext(state),
                 [&] { insert_unless_stored(writer, state, arbiters, slot); });
    ResetPerTupleExprContext(state);
    CHECK_FOR_INTERRUPTS();
  }
  ExecDropSingleTupleTableSlot(slot);
  FreeExecutorState(state);
}

void insert_batch(ResultRelInfo* target, const OpenStream& stream, const EventBatch& batch) {
  const Writer writer = {
      .target = target,
      .descriptor = CreateTupleDescCopy(RelationGetDescr(stream.table)),
      .position_sequence = stream.position_sequence,
      .txid = FullTransactionIdGetDatum(GetTopFullTransactionId()),  // before any position
      .command = GetCurrentCommandId(true),
  };
  KANTHORQ_TEST_POINT("publish_txid");
  if (batch.on_duplicate == OnDuplicate::skip)
    insert_all_not_stored(writer, batch);
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
  const bool direct = can_fill_all_directly(target);
  if (direct) insert_batch(target, stream, batch);
  ExecCloseIndices(target);
  pfree(target);
  if (direct) CommandCounterIncrement();
  return direct;
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
