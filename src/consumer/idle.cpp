#include "consumer/idle.hpp"

#include "consumer/lease.hpp"
#include "consumer/task_table.hpp"
#include "server/indexes.hpp"
#include "server/rows.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

namespace {

constexpr int64 at_once = 0;

bool owes_ended_writer(const Place& place, const OpenWriters& writers) {
  for (std::size_t i = 0; i < place.late_count; i++)
    if (!contains(writers.txids, writers.count, place.late[i].txid)) return true;
  return false;
}

// Are there positions that a pull would look at? An ordered consumer waits for open writers, but
// has to see each new ceiling: what a later writer can't have taken is told by it, and with an old
// one publishers that overlap would hold it up for ever.
bool has_ahead(const Consumer& consumer, const OpenStream& stream, const Place& place) {
  const int64 last = last_position(stream);
  if (last < place.cursor.ceiling) return true;  // set back, which a pull tells
  const bool behind = last > place.cursor.position;
  if (behind && (!consumer.ordered || last > place.cursor.ceiling)) return true;
  if (!behind && place.late_count == 0) return false;
  const OpenWriters writers = open_writers(stream);
  return owes_ended_writer(place, writers) ||
         (behind &&
          ordered_ceiling(last, writers.txids, writers.count, place.late, place.late_count,
                          place.cursor.ceiling) > place.cursor.position);
}

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
  if (has_ahead(consumer, stream, place)) return at_once;
  return scheduled_at(consumer);
}

int64 scheduled_at(const Consumer& consumer) {
  return Min(next_deadline(consumer), next_retry(consumer));
}

}  // namespace kanthorq
