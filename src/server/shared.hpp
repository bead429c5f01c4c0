// What all sessions of the server share: who waits for which stream.
//
// A stream has a bucket by the hash of its name. Two streams that have the same one wake each
// other's waiters, which costs those a look and does no harm. The sessions that wait for one
// consumer stand in a line (line.hpp), and the bucket knows its lines. Sessions that have no line
// wait for the bucket itself.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

inline constexpr std::size_t bucket_count = 1024;
inline constexpr std::size_t line_count = 512;

// The sessions that wait for one consumer. A line is free if nobody stands in it.
struct Line {
  slock_t mutex;  // of the next four
  Oid database;
  Oid consumer;  // its table
  int sessions;
  std::size_t bucket;  // of the consumer's stream

  ConditionVariable wakes;      // each session sleeps here until it is woken
  pg_atomic_uint32 woken_by;    // a WokenBy: who has woken a session that has not looked since
  pg_atomic_uint32 promised;    // a session that does not sleep will look: nobody need be woken
  pg_atomic_uint32 pause_ms;    // the next pause after a commit that brought nothing
  pg_atomic_uint32 timekeeper;  // the pid of the session that looked last, and so knows what is due
  pg_atomic_uint64 looked_at;   // when it did (steady_ms())
};

struct Bucket {
  ConditionVariable alone;                     // sessions without a line sleep here
  pg_atomic_uint64 has_line[line_count / 64];  // a bit for each line of its streams
};

struct Shared {
  Bucket buckets[bucket_count];
  Line lines[line_count];
};

// For _PG_init(): reserves the memory if the library is preloaded. If it is not, PostgreSQL 17 and
// later give some when it is first used, and earlier versions give none.
void reserve_shared_memory();

// Null if there is none.
Shared* shared_memory();

// Sleeps until the variable is signalled, or for `ms`. Returns whether it was signalled, since
// ConditionVariablePrepareToSleep().
bool sleep_on(ConditionVariable* variable, int64 ms);

// Signals the process that began to sleep last, and not the one that sleeps longest, as the
// server's function does. Of many that wait, always the same few run then, and their caches are
// warm.
void signal_last(ConditionVariable* variable);

// The bucket of a stream of this database.
std::size_t bucket_of(std::string_view stream);

}  // namespace kanthorq
