#include "consumer/idle.hpp"

#include "consumer/lease.hpp"
#include "consumer/task_table.hpp"
#include "server/indexes.hpp"
#include "server/rows.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

namespace {

constexpr int64 at_once = 0;

// Has a writer in the late list ended? Then a pull may deliver what it owes.
bool has_ended_writer(const Place& place, const OpenWriters& writers) {
  for (std::size_t i = 0; i < place.late_count; i++)
    if (!contains(writers.txids, writers.count, place.late[i].txid)) return true;
  return false;
}

// How far an ordered consumer may read now.
int64 ordered_limit(const Place& place, const OpenWriters& writers, int64 last) {
  return ordered_ceiling(last, writers.txids, writers.count, place.late, place.late_count,
                         place.cursor.ceiling);
}

// Are there positions that a pull would look at? An ordered consumer waits for open writers, but it
// has to see each new ceiling. From the ceiling follows what a later writer can't have taken, and
// with an old one publishers that overlap would hold the consumer up for ever.
bool has_work_in_stream(const Consumer& consumer, const OpenStream& stream, const Place& place) {
  const int64 last = last_position(stream);
  if (last < place.cursor.ceiling) return true;  // set back: a pull raises an error
  const bool has_new = last > place.cursor.position;
  if (has_new && (!consumer.ordered || last > place.cursor.ceiling)) return true;
  if (!has_new && place.late_count == 0) return false;
  const OpenWriters writers = open_writers(stream);
  return has_ended_writer(place, writers) ||
         (has_new && ordered_limit(place, writers, last) > place.cursor.position);
}

// When the next retry is due, PG_INT64_MAX if there is none.
int64 next_retry(const Consumer& consumer) {
  ScanKeyData key;
  ScanKeyEntryInitialize(&key, SK_ISNULL | SK_SEARCHNOTNULL, task_schedule_at_column,
                         InvalidStrategy, InvalidOid, InvalidOid, InvalidOid, Datum{0});
  int64 next = PG_INT64_MAX;
  for_rows(consumer.table, index_on(consumer.table, task_schedule_at_column), &key, 1,
           [&](HeapTuple row) {
             next = DatumGetInt64(row_value(consumer.table, row, task_schedule_at_column));
             return false;
           });
  return next;
}

}  // namespace

int64 due_at(const Consumer& consumer, const OpenStream& stream, const Place& place) {
  return has_work_in_stream(consumer, stream, place) ? at_once : scheduled_at(consumer);
}

int64 scheduled_at(const Consumer& consumer) {
  return Min(next_deadline(consumer), next_retry(consumer));
}

}  // namespace kanthorq
