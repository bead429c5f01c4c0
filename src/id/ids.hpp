// Making ids for events.
#pragma once

#include "core/sortable_id.hpp"
#include "server/pg.hpp"

namespace kanthorq {

// The next ULID of this session: greater than all before it, also when the clock steps back.
Bits128 next_ulid();

// Its 26 characters, as text.
Datum ulid_datum(Bits128 bits);

// `milliseconds` since 1970 as an id's time, or an error 22023 where an id can't carry `at`: before
// 1970, behind the year 10889, infinite.
std::uint64_t require_id_milliseconds(TimestampTz at);

}  // namespace kanthorq
