// What a consumer gets next.
#pragma once

#include "consumer/definition.hpp"
#include "consumer/place.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// What a pull asks for, and where its rows go.
struct Batch {
  std::size_t size;     // from 1 to max_pull_size
  Size max_bytes;       // of bodies and metadata, at least 1
  int64 visibility_ms;  // from the pull to the lease's deadline
  ReturnSetInfo* result;
};

struct Delivery {
  Place place;            // the consumer's, after the delivery
  OpenWriters writers;    // those that were open
  std::size_t rows_read;  // rows of the stream
  bool must_be_kept;      // it wrote something, or skipped an event that may be resumed
};

// Looks for events from the place `from` on and delivers them to the batch, under a lease if there
// are any. Writes everything but the place. If the delivery need not be kept, nothing was written
// at all, and the next one may start at the old place or at the new one. The caller holds
// lock_consumer(). Raises 55000 if the stream's positions were set back or altered.
Delivery deliver_events(const Consumer& consumer, const OpenStream& stream, const Place& from,
                        const Batch& batch);

}  // namespace kanthorq
