// The steps of maintenance that concern partitions (maintain.hpp says how they are called). Each
// returns at once if the stream is not partitioned, except for the first one.
#pragma once

#include "retention/maintain.hpp"

namespace kanthorq {

// guards.cpp: puts back what a partition lacks: triggers, and its row of kanthorq_partition.
StepResult mend_guards(const MaintainedStream& stream);

// making.cpp: makes the partitions that the next events need, and those for events that are in the
// default partition.
StepResult make_partitions_ahead(const MaintainedStream& stream);
StepResult empty_default(const MaintainedStream& stream);

// closing.cpp: closes partitions to which, as a rule, nothing comes any more.
StepResult close_partitions(const MaintainedStream& stream);

// dropping.cpp: drops partitions that were retired.
StepResult drop_retired_partitions(const MaintainedStream& stream);

}  // namespace kanthorq
