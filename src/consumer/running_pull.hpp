// A pull that is under way: what it reads first, and how an event gets into its batch.
#pragma once

#include "consumer/delivery.hpp"
#include "consumer/lease.hpp"
#include "consumer/place.hpp"
#include "consumer/result_rows.hpp"
#include "server/pg.hpp"
#include "server/scope.hpp"
#include "stream/open_stream.hpp"
#include "stream/reading.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

// A pull reads so many rows at most and leaves the rest to the next one: a filter that selects one
// event in a million must not keep a consumer locked for minutes.
inline constexpr std::size_t max_rows_read = 100'000;

struct RunningPull {
  const Consumer& consumer;
  const OpenStream& stream;
  const Batch& batch;
  ResultRows rows;
  RowMemory memory;

  int64 now;  // milliseconds since the epoch
  Place place;
  int64 ceiling;
  OpenWriters writers;
  Snapshot snapshot;
  int64 lease;      // its number, whether the pull opens one or not
  Positions fresh;  // delivered for the first time, in the order of delivery
  Positions again;  // the others
  std::size_t rows_read;
  Size bytes;            // of the events in the batch
  Size bytes_with_next;  // and of the one for which has_room_for() was asked last
  bool is_closed;        // an event did not fit, so the batch gets no other one
  bool must_be_kept;     // it changed rows, or skipped an event that may be resumed

  std::size_t delivered() const { return fresh.count + again.count; }
  bool is_full() const { return is_closed || delivered() >= batch.size; }
  std::size_t room() const { return batch.size - delivered(); }  // for so many events at most
  bool has_read_enough() const { return rows_read >= max_rows_read; }

  // Whether the event still fits. The first one always does, or it would never come. If one
  // doesn't, the batch is closed: a smaller event after it must not overtake it.
  bool has_room_for(const StreamRow& row) {
    if (is_full()) return false;
    bytes_with_next = bytes + row.content_bytes();
    const bool fits = delivered() == 0 || bytes_with_next <= batch.max_bytes;
    is_closed = !fits;
    return fits;
  }
};

// Puts an event for which has_room_for() has said yes into the batch, for the first time.
inline void deliver_fresh(RunningPull& pull, const StreamRow& row) {
  pull.rows.add(pull.lease, 1, row);
  pull.bytes = pull.bytes_with_next;
  pull.fresh.values[pull.fresh.count++] = row.position();
}

// The same for an event that has a task row, as attempt number `attempt`.
inline void deliver_again(RunningPull& pull, const StreamRow& row, int attempt) {
  pull.rows.add(pull.lease, attempt, row);
  pull.bytes = pull.bytes_with_next;
  pull.again.values[pull.again.count++] = row.position();
}

}  // namespace kanthorq
