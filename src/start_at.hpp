// Where a consumer starts.
#pragma once

#include "core/cursor.hpp"
#include "stream_table.hpp"

namespace kanthorq {

// 'first'; 'new': positions handed out from now on; an event id: from that event on; a timestamp:
// from the first id at or behind it, or as 'new' where there is none. Raises 22023 for anything
// else and 42704 for an event that does not exist.
Cursor start_cursor(const OpenStream& stream, Oid schema, std::string_view start_at);

}  // namespace kanthorq
