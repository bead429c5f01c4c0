// Where a consumer starts.
#pragma once

#include "consumer/place.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

struct Start {
  Place place;
  OpenWriters writers;  // that were open then
};

// 'first'; 'new': positions handed out from now on; an event id: from that event on; a timestamp:
// from the lowest position among the events whose id's time is at or after it, or as 'new' if there
// is none. Raises 22023 for anything else and 42704 for an event that does not exist. It is of now:
// every lock that the caller waits for was taken before.
Start start_at(const OpenStream& stream, std::string_view argument);

}  // namespace kanthorq
