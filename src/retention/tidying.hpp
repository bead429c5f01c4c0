// Steps of maintenance that look after consumers, also those that nobody pulls.
#pragma once

#include "retention/maintain.hpp"

namespace kanthorq {

// Collects leases that ran out, as a pull would: their events are to be tried again, or were tried
// often enough and are discarded.
StepResult collect_leases(const MaintainedStream& stream);

// Deletes the task rows of discarded and cancelled events that are no longer in the stream.
StepResult remove_history(const MaintainedStream& stream);

}  // namespace kanthorq
