// What a pull delivers again, before it reads the stream. And what becomes of leases that ran out
// if nobody pulls.
#pragma once

#include "consumer/running_pull.hpp"

namespace kanthorq {

// Collects leases that ran out, as long as the batch has room: each attempt has failed, and its
// events go into the batch, wait for the next pull, or are discarded.
void deliver_expired(RunningPull& pull);

// Delivers the retries that are due, as long as the batch has room.
void deliver_due(RunningPull& pull);

// Collects leases that ran out at `by` or before, those that ran out first, and delivers nothing:
// their events wait for the next pull or are discarded. Stops after the lease with which it has
// `most` events. Returns how many it has. The caller holds lock_consumer().
std::size_t collect_expired(const Consumer& consumer, const OpenStream& stream, Snapshot snapshot,
                            int64 by, std::size_t most);

}  // namespace kanthorq
