// The error of a lease that is no longer held.
#pragma once

#include "consumer/definition.hpp"
#include "consumer/lease.hpp"
#include "server/pg.hpp"

namespace kanthorq {

// Notes that this transaction has settled all of the lease, for the words of the error below.
void remember_settled(const Consumer& consumer, const Lease& lease);

// Raises KQ001.
[[noreturn]] void raise_lease_lost(const Consumer& consumer, int64 number);

}  // namespace kanthorq
