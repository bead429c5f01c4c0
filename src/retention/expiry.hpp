// How events leave that are older than their stream keeps them (kanthorq_stream_retention()).
#pragma once

#include "retention/maintain.hpp"

namespace kanthorq {

// A step of maintenance. Of a partitioned stream, it retires closed partitions whose time is over,
// the oldest first: from then on no pull reads them, and another step drops them. Of a plain
// stream, and of the default partition, it removes old events row by row, a batch in each
// transaction.
StepResult expire_events(const MaintainedStream& stream);

}  // namespace kanthorq
