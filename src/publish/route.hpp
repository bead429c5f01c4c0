// Which partitions the events of a batch belong to.
#pragma once

#include "publish/event.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// The partitions that a batch goes to, each once, in the order of their bounds, the default one
// last.
struct Route {
  Oid* partitions;
  int count;
  const int* of_event;  // for each event, which of them; null if there is one only
};

// Finds the partitions of the events, and locks them for inserting, to the end of the transaction.
// The route is that of the partitions as they are under these locks: while it waited, a partition
// may have come for ids that the default one held. Raises 23514 if an id belongs to none. The
// caller holds the lock of a writer on the stream's table, and has checked the privileges.
Route lock_partitions(const OpenStream& stream, const EventBatch& batch);

}  // namespace kanthorq
