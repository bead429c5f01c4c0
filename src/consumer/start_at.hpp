// Where a consumer starts.
#pragma once

#include "consumer/place.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

struct Start {
  Place place;
  OpenWriters writers;  // the writers that were open when it was decided
};

// Where a consumer starts now. `argument` is one of these:
//   - first: at the first event;
//   - new: with the positions that are handed out from now on;
//   - an event id: with that event;
//   - a timestamp: with the lowest position among the events whose id's time is at or after it; if
//     there is none, as new.
// Raises 22023 for anything else, and 42704 for an event that does not exist. The caller has taken
// every lock that it may have to wait for.
Start start_at(const OpenStream& stream, std::string_view argument);

}  // namespace kanthorq
