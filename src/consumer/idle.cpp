#include "consumer/idle.hpp"

#include "consumer/lease.hpp"
#include "consumer/task_table.hpp"
#include "server/indexes.hpp"
#include "server/rows.hpp"
#include "server/time.hpp"
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

// Nobody is woken when a prepared transaction ends. So a session that waits for one looks again
// soon.
int64 next_look_at(const OpenWriters& writers) {
  constexpr int64 soon_ms = 25;
  return writers.has_prepared ? now_ms() + soon_ms : PG_INT64_MAX;
}

// When a pull may find positions to look at in the stream, as due_at() says it. An ordered consumer
// waits for open writers, but it has to see each new ceiling. From the ceiling follows what a later
// writer can't have taken, and with an old one publishers that overlap would hold the consumer up
// for ever.
int64 stream_due_at(const Consumer& consumer, const OpenStream& stream, const Place& place) {
  const int64 last = last_position(stream);
  if (last < place.cursor.ceiling) return at_once;  // set back: a pull raises an error
  const bool has_new = last > place.cursor.position;
  if (has_new && (!consumer.ordered || last > place.cursor.ceiling)) return at_once;
  if (!has_new && place.late_count == 0) return PG_INT64_MAX;
  const OpenWriters writers = open_writers(stream);
  const bool has_work = has_ended_writer(place, writers) ||
                        (has_new && ordered_limit(place, writers, last) > place.cursor.position);
  return has_work ? at_once : next_look_at(writers);
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

// The next deadline of a lease or the next retry.
int64 scheduled_at(const Consumer& consumer) {
  return Min(next_deadline(consumer), next_retry(consumer));
}

}  // namespace

int64 due_at(const Consumer& consumer, const OpenStream& stream, const Place& place) {
  const int64 due = stream_due_at(consumer, stream, place);
  return due == at_once ? due : Min(due, scheduled_at(consumer));
}

int64 due_after(const Consumer& consumer, const OpenWriters& writers) {
  return Min(next_look_at(writers), scheduled_at(consumer));
}

}  // namespace kanthorq
