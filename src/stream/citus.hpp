// Citus beside us. It keeps the rows of a distributed table in shards, and what is published goes
// there, while positions, locks and consumers are those of the table here: some events would never
// be delivered, without an error.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Does Citus know the table, as distributed or otherwise? Such a table can't be a stream's.
bool is_known_to_citus(Oid table);

}  // namespace kanthorq
