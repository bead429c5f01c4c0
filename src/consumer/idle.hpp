// When a consumer may have something to do.
#pragma once

#include "consumer/definition.hpp"
#include "consumer/place.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// When a pull that starts at `place` may have something to do, in milliseconds since the epoch: the
// past if it may have something at once, PG_INT64_MAX if somebody else has to commit first. While
// it waits for a prepared transaction, that is a moment from now, because nobody is woken when that
// one commits.
// Takes no lock and writes nothing, so the answer may be out of date in either direction.
int64 due_at(const Consumer& consumer, const OpenStream& stream, const Place& place);

// The same after a pull that read all of the stream while these were writing.
int64 due_after(const Consumer& consumer, const OpenWriters& writers);

}  // namespace kanthorq
