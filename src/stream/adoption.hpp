// A table that exists already becomes a stream's, such as after DROP EXTENSION ... CASCADE.
#pragma once

#include "server/pg.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

// Makes the table with the name of the stream's table the stream's. It exists, and is not
// registered. Raises 42710 if its columns are not a stream's, or if it names another stream. Raises
// 42501 unless the caller owns it; for a superuser, too. Defaults, checks and triggers, which DROP
// EXTENSION ... CASCADE takes away, are created anew, on its partitions as well. All of these are
// open then. Raises 42710 if it is partitioned and `shape` is not, or the other way round.
void adopt_stream_table(Oid schema, std::string_view name, const StreamShape& shape);

}  // namespace kanthorq
