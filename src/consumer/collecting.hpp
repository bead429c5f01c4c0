// What a pull delivers again, before it reads the stream.
#pragma once

#include "consumer/running_pull.hpp"

namespace kanthorq {

// Collects leases that ran out, as long as the batch has room: each attempt has failed, and its
// events go into the batch, wait for the next pull, or are discarded.
void deliver_expired(RunningPull& pull);

// Delivers the retries that are due, as long as the batch has room.
void deliver_due(RunningPull& pull);

}  // namespace kanthorq
