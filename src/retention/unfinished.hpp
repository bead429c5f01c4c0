// What a consumer has not finished yet.
#pragma once

#include "consumer/definition.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// The events that are to be removed: those that `snapshot` sees, with an id before this one.
//
// Only what lies between their positions matters to a consumer. Finding that range takes a look at
// each of them, as removing them does. So it is done once for all consumers, and only for one that
// has too much to look through otherwise.
struct Removal {
  const OpenStream& stream;
  Snapshot snapshot;
  std::string_view before_id;

  bool has_range = false;  // was it found?
  int64 first = PG_INT64_MIN + 1;
  int64 last = PG_INT64_MAX;  // less than `first` if there are no such events
};

// Is one of these events still to come to the consumer, in a lease, or to be tried again? Discarded
// and cancelled ones are finished.
bool has_unfinished(const Consumer& consumer, Removal& removal);

}  // namespace kanthorq
