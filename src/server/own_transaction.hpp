// Procedures that commit.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Raises 25001 unless the procedure was called on its own: a commit of it would commit what else
// there is in the transaction. `procedure` is its name with "()", `reason` what it commits for,
// such as "to wait with no snapshot".
void require_own_transaction(FunctionCallInfo fcinfo, const char* procedure, const char* reason,
                             const char* hint);

}  // namespace kanthorq
