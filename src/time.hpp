// Times as KanthorQ stores them, milliseconds since the epoch, and durations as people type them.
#pragma once

#include "datum.hpp"
#include "pg.hpp"

namespace kanthorq {

inline int64 now_ms() { return epoch_milliseconds(GetCurrentTimestamp()); }

// An interval argument in milliseconds, at least `least`; a month counts as 30 days. Raises 22023
// for less, and for more than 100 years.
int64 duration_argument(FunctionCallInfo fcinfo, int argument, const char* name, int64 least);

}  // namespace kanthorq
