// The list of a stream's partitions, kept by the session for as long as it reads with one snapshot.
// Settling a lease looks up a hundred events, each with the same snapshot.
#pragma once

#include "stream/partitions.hpp"

namespace kanthorq {

struct PartitionList {
  Partitions partitions;
  Oid last_found;  // where an event was found last
};

// The partitions that may hold positions after `after`, as the snapshot sees them; maybe others,
// too. It is valid until the next call. If the snapshot sees what is not committed, the list is the
// newest one of all.
PartitionList& listed_partitions(const OpenStream& stream, Snapshot snapshot, int64 after);

}  // namespace kanthorq
