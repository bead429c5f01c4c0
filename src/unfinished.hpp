// What a consumer has not finished yet.
#pragma once

#include "consumer_table.hpp"
#include "stream_table.hpp"

namespace kanthorq {

// Is there an event that `snapshot` sees, with an id before this one, that the consumer is still to
// get, has in a lease or will try again? Discarded and cancelled ones are finished.
bool has_unfinished(const Consumer& consumer, const OpenStream& stream, Snapshot snapshot,
                    std::string_view before_id);

}  // namespace kanthorq
