#include "consumer/result_rows.hpp"

#include "server/rows.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

namespace {

// The bytes of the columns before the event's.
struct Head {
  int64 lease;
  int16 attempt;
  int64 position;
};
static_assert(sizeof(Head) == 24 && sizeof(Head) % MAXIMUM_ALIGNOF == 0);

constexpr Oid head_types[] = {INT8OID, INT2OID, INT8OID};
constexpr int result_columns = lengthof(head_types) + event_columns;

constexpr std::array<Oid, result_columns> result_types() {
  std::array<Oid, result_columns> types{};
  std::copy_n(head_types, lengthof(head_types), types.begin());
  for (const StreamColumn column : event_column_numbers)
    types[lengthof(head_types) + column - 1] = shown_type(column);
  return types;
}

constexpr Size head_at = MAXALIGN(SizeofMinimalTupleHeader);

// Does the tuple have bytes for each of the event's columns? A null has none, and neither does a
// column that was added with a default after the row was written.
bool has_whole_event(HeapTuple tuple) {
  if (HeapTupleHeaderGetNatts(tuple->t_data) < event_columns) return false;
  for (int i = 0; i < event_columns && HeapTupleHasNulls(tuple); i++)
    if (att_isnull(i, tuple->t_data->t_bits)) return false;
  return true;
}

// The bytes from the first of the event's columns to the end of the last one.
static_assert(created_at_column == event_columns && metadata_column + 1 == created_at_column);
std::string_view event_bytes(HeapTuple tuple, Datum metadata) {
  const char* begin = reinterpret_cast<const char*>(tuple->t_data) + tuple->t_data->t_hoff;
  const char* last = static_cast<const char*>(DatumGetPointer(metadata));
  const Size end = static_cast<Size>(last - begin) + VARSIZE_ANY(last);
  return {begin, TYPEALIGN(ALIGNOF_DOUBLE, end) + sizeof(int64)};
}

// A tuple that has bytes for each of the slot's columns.
HeapTuple whole_tuple(const StreamRow& row) {
  for (const StreamColumn column : event_column_numbers) (void)row.value(column);
  slot_getallattrs(row.slot);
  return heap_form_tuple(row.slot->tts_tupleDescriptor, row.slot->tts_values, row.slot->tts_isnull);
}

}  // namespace

// Another version may have declared the function with more columns or with fewer. The server takes
// those that a tuple lacks for null, and does not read those that are too many.
ResultRows::ResultRows(ReturnSetInfo* result)
    : store_(result->setResult),
      slot_(MakeSingleTupleTableSlot(result->setDesc, &TTSOpsMinimalTuple)),
      memory_(CurrentMemoryContext) {
  constexpr auto types = result_types();
  require_result_types(result->setDesc, types.data(), result_columns);
}

MinimalTuple ResultRows::room_for(Size bytes) {
  if (bytes > room_) {
    if (row_) pfree(row_);
    room_ = Max(bytes, Size{1024});
    row_ = static_cast<MinimalTuple>(MemoryContextAlloc(memory_, room_));
  }
  return row_;
}

void ResultRows::add(int64 lease, int attempt, const StreamRow& row) {
  bool should_free;
  HeapTuple tuple = ExecFetchSlotHeapTuple(row.slot, false, &should_free);
  Datum metadata = row.value(metadata_column);
  if (!has_whole_event(tuple)) {
    tuple = whole_tuple(row);
    bool is_null;
    metadata = heap_getattr(tuple, metadata_column, row.slot->tts_tupleDescriptor, &is_null);
  }
  const std::string_view event = event_bytes(tuple, metadata);
  const Size bytes = head_at + sizeof(Head) + event.size();
  MinimalTuple made = room_for(bytes);
  memset(made, 0, head_at + sizeof(Head));
  made->t_len = static_cast<uint32>(bytes);
  HeapTupleHeaderSetNatts(made, result_columns);
  made->t_infomask = tuple->t_data->t_infomask & (HEAP_HASVARWIDTH | HEAP_HASEXTERNAL);
  made->t_hoff = static_cast<uint8>(head_at + MINIMAL_TUPLE_OFFSET);
  auto* head = reinterpret_cast<Head*>(reinterpret_cast<char*>(made) + head_at);
  head->lease = lease;
  head->attempt = static_cast<int16>(attempt);
  head->position = row.position();
  memcpy(head + 1, event.data(), event.size());
  ExecStoreMinimalTuple(made, slot_, false);
  tuplestore_puttupleslot(store_, slot_);
}

}  // namespace kanthorq
