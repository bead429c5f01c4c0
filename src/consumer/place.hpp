// A consumer's place in its stream: the row of kanthorq_delivery_state. Read and written under
// lock_consumer(), or read without it to see whether there is anything to do.
#pragma once

#include "consumer/definition.hpp"
#include "core/cursor.hpp"
#include "server/pg.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

struct Place {
  Cursor cursor;
  LateWriter* late;
  std::size_t late_count;
  int64 last_lease;
};

Place copy_of(const Place& place);

// Moves the cursor, and notes what was read before anything else: the last position handed out and
// the writers that were open then. Ended writers in the late list stay as they are.
void move_cursor(Place& place, int64 cursor, int64 ceiling, const OpenWriters& writers);

bool is_same(const Place& a, const Place& b);

Place read_place(const Consumer& consumer);

// Writes `place` where it differs from `stored`, which was read under the lock; false, with nothing
// written, where it does not.
bool write_place(const Consumer& consumer, const Place& stored, const Place& place);

void create_place(Oid schema, std::string_view consumer, const Place& place);
void delete_place(Oid schema, std::string_view consumer);

}  // namespace kanthorq
