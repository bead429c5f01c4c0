// A stream's table that is there already, such as after DROP EXTENSION ... CASCADE.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Makes the table of this name, which exists but is not registered as the stream's, the stream's:
// its columns must be a stream's, no other stream's name may stand in it (42710), and the caller
// must be its owner, a superuser too (42501). Defaults, checks and triggers, which DROP EXTENSION
// ... CASCADE takes away, are put (back) in place.
void adopt_stream_table(Oid schema, std::string_view name, bool subject_index);

}  // namespace kanthorq
