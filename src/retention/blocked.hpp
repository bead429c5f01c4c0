// Which consumers keep events that are older than their stream keeps them: the rows of
// kanthorq_retention_block. Maintenance writes them, one session for a stream at a time
// (maintain.hpp), and the view kanthorq_consumers shows them.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// How much a consumer keeps: whole partitions, and so many events at most in all.
struct Blocked {
  int64 partitions;
  int64 events;
};

// Adds it to what was noted since `run_started` (milliseconds since the epoch). What was noted
// before that is replaced, except for the time since when the consumer blocks.
void note_blocked(Oid schema, std::string_view stream, std::string_view consumer, int64 run_started,
                  Blocked blocked);

// Forgets the consumers of the stream that were not noted since then. Returns sentences about the
// others; null if there are none.
const char* end_blocked(Oid schema, std::string_view stream, int64 run_started);

// Forgets one consumer of the stream.
void forget_blocked(Oid schema, std::string_view stream, std::string_view consumer);

// Forgets all of the stream.
inline void forget_blocked(Oid schema, std::string_view stream) {
  (void)end_blocked(schema, stream, PG_INT64_MAX);
}

}  // namespace kanthorq
