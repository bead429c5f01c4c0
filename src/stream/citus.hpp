// Citus beside us. It keeps the rows of a distributed table in shards, and published events go
// there. Positions, locks and consumers are those of the table here. So some events would never be
// delivered, without an error.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Does Citus manage the table, distributed or otherwise? Such a table can't be a stream's.
bool is_managed_by_citus(Oid table);

}  // namespace kanthorq
