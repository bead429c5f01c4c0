// Direct insertion: rows into the heap with the server's multi-insert, then index by index.
//
// It bypasses the executor. So it is only for tables on which the executor would do nothing else,
// and the caller has checked the privilege (publish_events.cpp). Exact delivery rests on two duties
// of a publisher, which an INSERT or COPY leaves to a trigger (stream/txid.cpp):
//   - The RowExclusiveLock on the stream's table is taken before the first position and kept to the
//     end of the transaction (open_stream()).
//   - The transaction has an id before it takes a position (insert_rows_directly(), below).

#include "publish/insert.hpp"

#include "server/datum.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

namespace {

// A chunk is written, then indexed. Its size bounds memory and the time between two checks for
// interrupts. COPY flushes after as many rows.
constexpr int max_chunk_events = 1000;
constexpr Size max_chunk_bytes = 1024 * 1024;

// What stays the same for all rows of a batch.
struct Writer {
  TupleDesc descriptor;  // a copy without a reference count: each slot would pin the table's own
  Oid position_sequence;
  Datum txid;
  CommandId command;
};

// Those events of a batch that go into one table, in their order.
struct Rows {
  const Event* events;     // of the batch
  const int64* positions;  // of the batch; null: each row takes the next one as it is written
  const int* numbers;      // which events of the batch these are; null: all
  int count;

  int number(int row) const { return numbers ? numbers[row] : row; }
  const Event& event(int row) const { return events[number(row)]; }
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

void index_rows(const ResultRelInfo* table, int number, TupleTableSlot** slots, int count) {
  Relation index = table->ri_IndexRelationDescs[number];
  IndexInfo* info = table->ri_IndexRelationInfo[number];
  if (!info->ii_ReadyForInserts) return;
  const IndexUniqueCheck unique = index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO;
  for (int i = 0; i < count; i++) {
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    FormIndexDatum(info, slots[i], nullptr, values, nulls);
    index_insert(index, values, nulls, &slots[i]->tts_tid, table->ri_RelationDesc, unique, false,
                 info);
  }
}

void insert_rows(const Writer& writer, const ResultRelInfo* table, TupleTableSlot** slots,
                 int count) {
  if (count == 1)
    table_tuple_insert(table->ri_RelationDesc, slots[0], writer.command, 0, nullptr);
  else
    table_multi_insert(table->ri_RelationDesc, slots, count, writer.command, 0, nullptr);
  KANTHORQ_TEST_POINT("publish_heap");
  for (int number = 0; number < table->ri_NumIndices; number++) {
    index_rows(table, number, slots, count);
    KANTHORQ_TEST_POINT("publish_index");
  }
}

int chunk_length(const Rows& rows, int start) {
  const int most = Min(rows.count - start, max_chunk_events);
  Size bytes = 0;
  int length = 0;
  for (; length < most && (length == 0 || bytes < max_chunk_bytes); length++)
    bytes += content_bytes(rows.event(start + length));
  return length;
}

void insert_chunk(const Writer& writer, const ResultRelInfo* table, TupleTableSlot** slots,
                  const Rows& rows, int start, int count) {
  for (int i = 0; i < count; i++) {
    fill_slot(slots[i], writer, rows.event(start + i));
    if (rows.positions)
      slots[i]->tts_values[position_column - 1] =
          Int64GetDatum(rows.positions[rows.number(start + i)]);
    else
      take_position(slots[i], writer);
  }
  insert_rows(writer, table, slots, count);
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

// What serves one chunk after the other, also of different tables.
struct Chunks {
  MemoryContext memory;
  int slot_count;
  TupleTableSlot* slots[max_chunk_events];
};

void insert_into_table(const Writer& writer, const ResultRelInfo* table, const Rows& rows,
                       Chunks& chunks) {
  for (int start = 0; start < rows.count;) {
    const int length = chunk_length(rows, start);
    while (chunks.slot_count < length) chunks.slots[chunks.slot_count++] = new_slot(writer);
    with_context(chunks.memory,
                 [&] { insert_chunk(writer, table, chunks.slots, rows, start, length); });
    MemoryContextReset(chunks.memory);
    start += length;
    CHECK_FOR_INTERRUPTS();
  }
}

int64* take_positions(const Writer& writer, int count) {
  int64* positions = palloc_array_of<int64>(count);
  for (int i = 0; i < count; i++) {
    positions[i] = nextval_internal(writer.position_sequence, false);
    KANTHORQ_TEST_POINT("publish_position");
    CHECK_FOR_INTERRUPTS();
  }
  return positions;
}

// The numbers of the events, table by table, in their order within each. Sets the place after the
// last one of each table.
int* numbers_by_table(const Destination& destination, int count, int* ends) {
  memset(ends, 0, destination.count * sizeof(int));
  for (int i = 0; i < count; i++) ends[destination.of_event[i]]++;
  int start = 0;
  for (int table = 0; table < destination.count; table++) {
    const int size = ends[table];
    ends[table] = start;
    start += size;
  }
  int* numbers = palloc_array_of<int>(count);
  for (int i = 0; i < count; i++) numbers[ends[destination.of_event[i]]++] = i;
  return numbers;
}

void insert_table_by_table(const Writer& writer, const Destination& destination,
                           const EventBatch& batch, Chunks& chunks) {
  int64* positions = take_positions(writer, batch.count);
  int* ends = palloc_array_of<int>(destination.count);
  int* numbers = numbers_by_table(destination, batch.count, ends);
  int start = 0;
  for (int table = 0; table < destination.count; table++) {
    const Rows rows{batch.events, positions, numbers + start, ends[table] - start};
    insert_into_table(writer, destination.tables[table], rows, chunks);
    start = ends[table];
  }
  pfree(numbers);
  pfree(ends);
  pfree(positions);
}

void insert_all(const Writer& writer, const Destination& destination, const EventBatch& batch) {
  Chunks chunks;
  chunks.memory = create_chunk_memory(batch.count);
  chunks.slot_count = 0;
  if (destination.count == 1)
    insert_into_table(writer, destination.tables[0], {batch.events, nullptr, nullptr, batch.count},
                      chunks);
  else
    insert_table_by_table(writer, destination, batch, chunks);
  MemoryContextDelete(chunks.memory);
  while (chunks.slot_count > 0) ExecDropSingleTupleTableSlot(chunks.slots[--chunks.slot_count]);
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
void require_visible(Relation table, ItemPointer at) {
  if (!IsolationUsesXactSnapshot()) return;
  TupleTableSlot* slot = table_slot_create(table, nullptr);
  if (!table_tuple_fetch_row_version(table, at, SnapshotAny, slot))
    elog(ERROR, "could not fetch the event that conflicts");
  bool is_null;
  const TransactionId author =
      DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &is_null));
  if (!TransactionIdIsCurrentTransactionId(author) &&
      !table_tuple_satisfies_snapshot(table, slot, GetActiveSnapshot()))
    ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                    errmsg("could not serialize access due to concurrent update")));
  ExecDropSingleTupleTableSlot(slot);
}

// Inserts the row unless its id is stored already. It does so by speculative insertion, like ON
// CONFLICT: it looks, inserts tentatively, and if another transaction has inserted the same id
// meanwhile, takes its row back and looks again.
void insert_unless_stored(const Writer& writer, ResultRelInfo* target, EState* state,
                          List* arbiters, TupleTableSlot* slot) {
  Relation table = target->ri_RelationDesc;
  for (;;) {
    ItemPointerData stored;
    if (!has_no_conflict(target, slot, state, &stored, arbiters))
      return require_visible(table, &stored);
    take_position(slot, writer);
    const TransactionId xid = GetCurrentTransactionId();
    const uint32 token = SpeculativeInsertionLockAcquire(xid);
    table_tuple_insert_speculative(table, slot, writer.command, 0, nullptr, token);
    KANTHORQ_TEST_POINT("publish_tentative_heap");
    bool conflict = false;
    insert_index_tuples(target, slot, state, &conflict, arbiters);
    KANTHORQ_TEST_POINT("publish_tentative_index");
    table_tuple_complete_speculative(table, slot, token, !conflict);
    SpeculativeInsertionLockRelease(xid);
    KANTHORQ_TEST_POINT("publish_confirmed");
    if (!conflict) return;
    CHECK_FOR_INTERRUPTS();
  }
}

// One after the other, so that an event that is skipped takes no position.
void insert_all_not_stored(const Writer& writer, const Destination& destination,
                           const EventBatch& batch) {
  EState* state = CreateExecutorState();
  // In SERIALIZABLE the server reads the event that conflicts by this snapshot, so that the skip
  // counts as a read. Older minor versions don't; 19 crashes without a snapshot.
  state->es_snapshot = GetActiveSnapshot();
  List** arbiters = palloc_array_of<List*>(destination.count);
  for (int table = 0; table < destination.count; table++)
    arbiters[table] = id_indexes(destination.tables[table]);
  TupleTableSlot* slot = new_slot(writer);
  for (int i = 0; i < batch.count; i++) {
    const int table = destination.number_of(i);
    fill_slot(slot, writer, batch.events[i]);
    with_context(GetPerTupleMemoryContext(state), [&] {
      insert_unless_stored(writer, destination.tables[table], state, arbiters[table], slot);
    });
    ResetPerTupleExprContext(state);
    CHECK_FOR_INTERRUPTS();
  }
  ExecDropSingleTupleTableSlot(slot);
  pfree(arbiters);
  FreeExecutorState(state);
}

}  // namespace

void insert_rows_directly(const OpenStream& stream, const Destination& destination,
                          const EventBatch& batch) {
  const Writer writer = {
      .descriptor = CreateTupleDescCopy(RelationGetDescr(stream.table)),
      .position_sequence = stream.position_sequence,
      .txid = FullTransactionIdGetDatum(GetTopFullTransactionId()),  // before any position
      .command = GetCurrentCommandId(true),
  };
  KANTHORQ_TEST_POINT("publish_txid");
  if (batch.on_duplicate == OnDuplicate::skip)
    insert_all_not_stored(writer, destination, batch);
  else
    insert_all(writer, destination, batch);
  FreeTupleDesc(writer.descriptor);
  CommandCounterIncrement();
}

}  // namespace kanthorq
