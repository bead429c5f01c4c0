#include "result_rows.hpp"

namespace kanthorq {

namespace {

// What stands before the event's columns.
struct Head {
  int64 lease;
  int16 attempt;
  int64 position;
};
static_assert(sizeof(Head) == 24 && sizeof(Head) % MAXIMUM_ALIGNOF == 0);

constexpr int result_columns = 8;
constexpr Size head_at = MAXALIGN(SizeofMinimalTupleHeader);

// The bytes of a row's first five columns: up to the end of created_at, which follows metadata.
std::string_view event_bytes(HeapTuple tuple, const StreamRow& row) {
  const char* begin = reinterpret_cast<const char*>(tuple->t_data) + tuple->t_data->t_hoff;
  const char* metadata = DatumGetPointer(row.value(metadata_column));
  const Size end = static_cast<Size>(metadata - begin) + VARSIZE_ANY(metadata);
  return {begin, TYPEALIGN(ALIGNOF_DOUBLE, end) + sizeof(int64)};
}

}  // namespace

MinimalTuple ResultRows::room_for(Size bytes) {
  if (bytes > room_) {
    if (row_) pfree(row_);
    room_ = Max(bytes, Size{1024});
    row_ = static_cast<MinimalTuple>(palloc(room_));
  }
  return row_;
}

void ResultRows::add(int64 lease, int attempt, const StreamRow& row) {
  bool should_free;
  HeapTuple tuple = ExecFetchSlotHeapTuple(row.slot, false, &should_free);
  const std::string_view event = event_bytes(tuple, row);
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
