// Whether a consumer has anything to do.
#pragma once

#include "consumer/definition.hpp"
#include "consumer/place.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// When a pull that starts at `place` may have something to do, in milliseconds since the epoch:
// the past where it may have at once, and the greatest number where that takes somebody else's
// commit. Takes no lock and writes nothing, so it may be out of date in either direction by the
// time it answers.
int64 due_at(const Consumer& consumer, const OpenStream& stream, const Place& place);

// The same without what others commit: the next deadline of a lease or retry.
int64 scheduled_at(const Consumer& consumer);

}  // namespace kanthorq
