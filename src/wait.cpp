// kanthorq_wait: waiting without holding anything back.
#include "wait.hpp"

#include "delivery.hpp"
#include "fault.hpp"
#include "scope.hpp"
#include "time.hpp"
#include "worker.hpp"

namespace kanthorq {

bool Poll::sleep() {
  constexpr int64 longest_step_ms = 100;
  const int64 left = deadline_ - now_ms();
  CHECK_FOR_INTERRUPTS();
  if (left <= 0) return false;
  (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(step_ms_, left),
                  PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
  step_ms_ = Min(2 * step_ms_, longest_step_ms);
  return true;
}

namespace {

bool is_idle_now(Oid schema, std::string_view name) {
  bool idle = false;
  PushActiveSnapshot(GetTransactionSnapshot());
  with_worker(schema, name, AccessShareLock, ACL_UPDATE,
              [&](const Consumer& consumer, const OpenStream& stream) {
                idle = is_idle(consumer, stream);
              });
  PopActiveSnapshot();
  return idle;
}

void require_no_transaction_block(FunctionCallInfo fcinfo) {
  const bool atomic = !fcinfo->context || !IsA(fcinfo->context, CallContext) ||
                      castNode(CallContext, fcinfo->context)->atomic;
  if (atomic)
    ereport(ERROR,
            (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
             errmsg("kanthorq_wait() cannot run inside a transaction block"),
             errdetail("It waits with no snapshot, so that vacuum is not held back."),
             errhint("Call it on its own, or use the argument \"wait\" of kanthorq_pull().")));
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

// Each look is a transaction of its own: between two of them the session holds no snapshot, no lock
// and no transaction id.
KANTHORQ_FUNCTION(kanthorq_wait) {
  require_argument(fcinfo, 0, "consumer");
  require_argument(fcinfo, 1, "timeout");
  require_no_transaction_block(fcinfo);
  const Oid schema = own_schema(fcinfo);
  MemoryContext caller = CurrentMemoryContext;
  const std::string_view name = text_argument(fcinfo, 0);
  const int64 deadline = now_ms() + duration_argument(fcinfo, 1, "timeout", 0);
  if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
    elog(ERROR, "could not connect to the SPI");
  MemoryContext look =
      AllocSetContextCreate(CurrentMemoryContext, "KanthorQ look", ALLOCSET_DEFAULT_SIZES);
  Poll poll(deadline);
  do {
    bool idle = false;
    with_context(look, [&] { idle = is_idle_now(schema, name); });
    MemoryContextReset(look);
    SPI_commit();
    if (!idle) break;
  } while (poll.sleep());
  SPI_finish();
  MemoryContextSwitchTo(caller);
  PG_RETURN_VOID();
}
