// The pull: what a consumer gets next.
#pragma once

#include "consumer_table.hpp"
#include "stream_table.hpp"

namespace kanthorq {

// Is there nothing that a pull could deliver or that would move the consumer on? Takes no lock and
// writes nothing, so it may be out of date in either direction by the time it answers.
bool is_idle(const Consumer& consumer, const OpenStream& stream);

}  // namespace kanthorq
