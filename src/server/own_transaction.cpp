#include "server/own_transaction.hpp"

namespace kanthorq {

// Would a commit of ours commit anything else? The server knows the answer for transaction blocks
// and functions. A procedure and a DO block may commit, but it is theirs to commit what they have
// done. The same is true of the statements before this one in a pipeline.
static bool has_other_work(FunctionCallInfo fcinfo) {
  const bool atomic = !fcinfo->context || !IsA(fcinfo->context, CallContext) ||
                      castNode(CallContext, fcinfo->context)->atomic;
  return atomic || SPI_inside_nonatomic_context() || (MyXactFlags & XACT_FLAGS_PIPELINING) != 0;
}

void require_own_transaction(FunctionCallInfo fcinfo, const char* procedure, const char* reason,
                             const char* hint) {
  if (!has_other_work(fcinfo)) return;
  ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                  errmsg("%s must be called on its own", procedure),
                  errdetail("It commits, %s, so it can't run in a transaction block, a function, a "
                            "procedure, a DO block or a pipeline.",
                            reason),
                  errhint("%s", hint)));
}

}  // namespace kanthorq
