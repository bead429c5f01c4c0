// Times as KanthorQ stores them, milliseconds since the epoch, the two clocks, and durations as
// people type them.
#pragma once

#include "server/datum.hpp"
#include "server/pg.hpp"

namespace kanthorq {

// The wall clock, for times that are stored or compared with stored ones. It may be set, and jump.
inline int64 now_ms() { return epoch_milliseconds(GetCurrentTimestamp()); }

// A clock that nobody sets, for how long something takes: milliseconds since a moment of its own.
inline int64 steady_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

// An interval argument in milliseconds. A month counts as 30 days. Raises 22023 for less than
// `least` milliseconds, and for more than 100 years.
int64 duration_argument(FunctionCallInfo fcinfo, int argument, const char* name, int64 least);

}  // namespace kanthorq
