// Making ids for events.
#pragma once

#include "core/sortable_id.hpp"
#include "server/pg.hpp"

namespace kanthorq {

// The next ULID of this session. It is greater than all before it, also if the clock steps back.
Bits128 next_ulid();

// The 26 characters of a ULID, as text.
Datum ulid_datum(Bits128 bits);

// The milliseconds from 1970 to `at`, for an id. Raises 22023 if an id can't carry the time: before
// 1970, after the year 10889, or infinite.
std::uint64_t require_id_milliseconds(TimestampTz at);

}  // namespace kanthorq
