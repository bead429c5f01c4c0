// A consumer's place in its stream: its row in kanthorq_delivery_state. It is read and written
// under lock_consumer(). Whoever only wants to know whether there is anything to do reads it
// without.
#pragma once

#include "consumer/definition.hpp"
#include "core/cursor.hpp"
#include "server/pg.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

struct Place {
  Cursor cursor;
  LateWriter* late;  // the late list
  std::size_t late_count;
  int64 last_lease;  // the number of the last lease
};

// A copy in the current memory context.
Place copy_of(const Place& place);

// Moves the cursor, and notes what a pull reads before anything else: the ceiling, which is the
// last position handed out, and the writers that were open then. Ended writers in the late list
// stay as they are.
void move_cursor(Place& place, const Move& move, int64 ceiling, const OpenWriters& writers);

// Is the event still to be delivered for the first time?
inline bool is_ahead(const Place& place, int64 position, std::uint64_t txid) {
  return position > place.cursor.position || is_owed(place.late, place.late_count, txid, position);
}

bool is_same(const Place& a, const Place& b);

Place read_place(const Consumer& consumer);

// Writes `place` if it differs from `stored`, which was read under the lock. Returns whether it
// does.
bool write_place(const Consumer& consumer, const Place& stored, const Place& place);

// How many events were removed from the stream, since the consumer was created, that it had not
// finished (retention/retention.cpp). Adding to it needs lock_consumer(), as moving the cursor
// does.
int64 skipped_events(const Consumer& consumer);
void add_skipped_events(const Consumer& consumer, int64 count);

// For whoever creates or drops the consumer.
void create_place(Oid schema, std::string_view consumer, const Place& place);
void delete_place(Oid schema, std::string_view consumer);

}  // namespace kanthorq
