// kanthorq_wait: waiting without holding anything back.
#include "consumer/definition.hpp"
#include "consumer/idle.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/scope.hpp"
#include "server/time.hpp"
#include "server/waiting.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

namespace {

struct Outlook {
  int64 due;  // when the consumer will have something to do
  text* stream;
};

// A look in a transaction of its own: the caller commits it.
Outlook read_outlook(Oid schema, std::string_view name) {
  Outlook outlook{};
  PushActiveSnapshot(GetTransactionSnapshot());
  with_worker(
      schema, name, AccessShareLock, ACL_UPDATE,
      [&](const Consumer& consumer, const OpenStream& stream) {
        outlook = {due_at(consumer, stream, read_place(consumer)), text_of(consumer.stream)};
      });
  PopActiveSnapshot();
  return outlook;
}

// Is there anything in the transaction that a commit of ours would commit? The server knows it of
// transaction blocks and functions. A procedure and a DO block may commit, but what they have done
// is theirs to commit, as are the statements before this one in a pipeline.
bool has_other_work(FunctionCallInfo fcinfo) {
  const bool atomic = !fcinfo->context || !IsA(fcinfo->context, CallContext) ||
                      castNode(CallContext, fcinfo->context)->atomic;
  return atomic || SPI_inside_nonatomic_context() || (MyXactFlags & XACT_FLAGS_PIPELINING) != 0;
}

void require_own_transaction(FunctionCallInfo fcinfo) {
  if (has_other_work(fcinfo))
    ereport(ERROR,
            (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
             errmsg("kanthorq_wait() must be called on its own"),
             errdetail("It commits, to wait with no snapshot, so it can't run in a transaction "
                       "block, a function, a procedure, a DO block or a pipeline."),
             errhint("Call it with autocommit, or use the argument \"wait\" of kanthorq_pull().")));
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

// Each look is a transaction of its own: between two of them the session holds no snapshot, no lock
// and no transaction id.
KANTHORQ_FUNCTION(kanthorq_wait) {
  require_argument(fcinfo, 0, "consumer");
  require_argument(fcinfo, 1, "timeout");
  PreventCommandDuringRecovery("kanthorq_wait()");  // there is nothing to pull on a standby
  require_own_transaction(fcinfo);
  const Oid schema = own_schema(fcinfo);
  MemoryContext caller = CurrentMemoryContext;
  const std::string_view name = text_argument(fcinfo, 0);
  const int64 deadline =
      steady_ms() + end_before(STATEMENT_TIMEOUT, duration_argument(fcinfo, 1, "timeout", 0));
  if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
    elog(ERROR, "could not connect to the SPI");
  MemoryContext looks =
      AllocSetContextCreate(CurrentMemoryContext, "KanthorQ look", ALLOCSET_DEFAULT_SIZES);
  Outlook outlook{};
  const auto is_due = [&] {
    MemoryContextReset(looks);
    with_context(looks, [&] { outlook = read_outlook(schema, name); });
    SPI_commit();
    return outlook.due <= now_ms();
  };
  if (!is_due()) {
    Waiting waiting(view_of(outlook.stream), deadline);
    while (!waiting.is_over()) {
      waiting.listen();
      if (is_due()) break;
      // The next look is in a transaction of its own, which has a timeout of its own.
      waiting.sleep(
          Min(outlook.due, now_ms() + end_before(transaction_timeout, Waiting::longest_ms)));
    }
    waiting.end();
  }
  SPI_finish();
  MemoryContextSwitchTo(caller);
  PG_RETURN_VOID();
}
