// What a consumer gets next.
#pragma once

#include "consumer/definition.hpp"
#include "consumer/place.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// What a pull asks for, and where its rows go.
struct Batch {
  std::size_t size;
  int64 visibility_ms;
  ReturnSetInfo* result;
};

struct Look {
  Place place;            // the consumer's, after it
  std::size_t looked_at;  // rows of the stream
  bool must_be_kept;      // it did something, and can't be taken for not having been
};

// Looks for events from `from` on and delivers them to the batch, under a lease if there are any.
// Everything is written but the place: where the look must not be kept, nothing was written at all,
// and another look may start at either place. The caller holds lock_consumer().
Look look_for_events(const Consumer& consumer, const OpenStream& stream, const Place& from,
                     const Batch& batch);

}  // namespace kanthorq
