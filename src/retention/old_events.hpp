// Events that are removed row by row: found in batches in the order of their ids, and deleted.
#pragma once

#include "consumer/lease.hpp"
#include "core/event_id.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// How many events maintenance removes in one transaction.
inline constexpr std::size_t batch_of_events = 10'000;

// Which events are old: those with an id that sorts before this one, or if that is empty, those
// with an earlier time in their ids, whatever form they have.
struct Old {
  std::string_view before_id;
  std::uint64_t before_ms = 0;  // since the epoch
};

// Where the search for the next batch begins: at the first id that is not less.
struct IdPlace {
  char id[max_event_id_bytes + 2]{};
};

struct OldBatch {
  std::size_t count;
  ItemPointerData* rows;
  int64* positions;  // of the rows, in the order of their ids
  bool is_last;      // there is no further old event
  IdPlace next;      // where to go on

  // The positions in their own order.
  Positions in_order() const;
};

// Reads the old events of `table`, which is a stream's table or a partition, from this place on. It
// looks at `most` rows at most. `snapshot` is the newest.
OldBatch read_batch(const OpenStream& table, Snapshot snapshot, const Old& old, const IdPlace& from,
                    std::size_t most);

// Deletes the events of the batch, except those at the positions in `kept`. Returns the positions
// of those that are gone, ascending: the owner's triggers and policies may have kept some.
Positions remove_batch(const OpenStream& table, Snapshot snapshot, const OldBatch& batch,
                       Positions kept);

}  // namespace kanthorq
