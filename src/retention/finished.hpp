// Has a consumer finished the events at these positions? The answer comes from positions only: its
// cursor, what late writers owe it, its leases and its tasks. No event is read for it, so it costs
// the same for ten events and for ten million.
//
// It may be wrong in one direction only. A consumer is never said to have finished an event that it
// has not. But events that it does not select count as unfinished until its cursor is after them.
// The two functions at the end are exact, and read the events for it.
#pragma once

#include "consumer/definition.hpp"
#include "consumer/lease.hpp"
#include "consumer/place.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// From the first one to the last one, both included. There is none if first > last.
struct PositionRange {
  int64 first;
  int64 last;

  bool is_empty() const { return first > last; }
};

// What a consumer has not finished in a range of positions. Discarded and cancelled events are
// finished.
struct Unfinished {
  Place place;        // what is after its cursor is still to come, and what late writers owe it
  Positions waiting;  // in a lease, or to be tried again: ascending, each once

  // Is one of these positions unfinished, or may it be?
  bool has_some_of(PositionRange range) const;

  // How many of them are, at most.
  int64 count_in(PositionRange range) const;
};

// Reads it, in the order in which events move on: from ahead of the cursor into a lease, and from
// there to a task. So none is missed while workers go on. Whoever holds the consumer's turn keeps
// events from coming into leases meanwhile.
Unfinished read_unfinished(const Consumer& consumer, PositionRange range);

// In the next two, `table` is the stream's table or one of its partitions, and its events are those
// that `snapshot` sees. `unfinished` was read for a range that holds all the positions.

// How many of the table's events in this range the consumer has not finished: those that it has in
// leases or will try again, and those that it selects and did not get yet.
int64 count_unfinished(const Consumer& consumer, const OpenStream& table, Snapshot snapshot,
                       const Unfinished& unfinished, PositionRange range);

// Those of these positions, which are of the table's events, that the consumer has not finished.
// They are ascending.
Positions unfinished_among(const Consumer& consumer, const OpenStream& table, Snapshot snapshot,
                           const Unfinished& unfinished, Positions positions);

// Opens each consumer of the stream and runs `body(consumer)`. It takes RowExclusiveLock on the
// consumer's table, which is kept to the end of the transaction: pulls go on, and no seek makes
// events of the consumer's past unfinished again. Raises 42704 if a consumer has no table, and
// 55000 if its table was altered.
void for_open_consumers(Oid schema, std::string_view stream, void* state,
                        void (*body)(void* state, const Consumer& consumer));

template <typename Body>
void for_open_consumers(Oid schema, std::string_view stream, Body body) {
  for_open_consumers(schema, stream, &body, [](void* state, const Consumer& consumer) {
    (*static_cast<Body*>(state))(consumer);
  });
}

}  // namespace kanthorq
