// What a consumer has not finished yet.
#pragma once

#include "consumer/definition.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// Is there an event that `snapshot` sees, with an id before this one, that the consumer is still to
// get, has in a lease or will try again? Discarded and cancelled ones are finished.
bool has_unfinished(const Consumer& consumer, const OpenStream& stream, Snapshot snapshot,
                    std::string_view before_id);

}  // namespace kanthorq
