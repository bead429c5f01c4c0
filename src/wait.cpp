// kanthorq_wait: waiting without holding anything back.
#include "wait.hpp"

#include "datum.hpp"
#include "fault.hpp"
#include "idle.hpp"
#include "place.hpp"
#include "scope.hpp"
#include "time.hpp"
#include "wake.hpp"
#include "worker.hpp"

namespace kanthorq {

namespace {

// Takes two system calls, or four if something else has set the latch.
void require_client() {
  if (!MyProcPort || !WaitEventSetCanReportClosed() || pq_check_connection()) return;
  // As the server does when its own check finds this out.
  ClientConnectionLost = true;
  InterruptPending = true;
  CHECK_FOR_INTERRUPTS();
}

}  // namespace

// A call that did not wait is quicker than this, and saves the system calls.
void require_client_since(int64 started) {
  constexpr int64 moment_ms = 1;
  if (steady_ms() - started > moment_ms) require_client();
}

int64 end_before(int timeout, int64 wait_ms) {
  if (timeout == no_timeout || !get_timeout_active(static_cast<TimeoutId>(timeout))) return wait_ms;
  const TimestampTz start = get_timeout_start_time(static_cast<TimeoutId>(timeout));
  const TimestampTz finish = get_timeout_finish_time(static_cast<TimeoutId>(timeout));
  const int64 rest = Min((finish - start) / 2, USECS_PER_SEC);
  const int64 left_ms = (finish - rest - GetCurrentTimestamp()) / 1000;
  return Max(Min(wait_ms, left_ms), 0);
}

Waiting::Waiting(std::string_view stream, int64 deadline) : deadline_(deadline) {
  if (!is_over()) variable_ = wake_variable(stream);
}

bool Waiting::is_over() const { return steady_ms() >= deadline_; }

void Waiting::listen() {
  if (variable_) ConditionVariablePrepareToSleep(variable_);
}

void Waiting::sleep(int64 due) {
  constexpr int64 longest_step_ms = 100;
  require_client();
  CHECK_FOR_INTERRUPTS();
  const int64 left = Min(Min(deadline_ - steady_ms(), due - now_ms()), longest_ms);
  if (left <= 0) return;
  if (!variable_) {
    nap(Min(step_ms_, left));
    step_ms_ = Min(2 * step_ms_, longest_step_ms);
  } else if (woken_) {
    woken_ = false;
    pause();
  } else {
    // It waits for the latch before it sees that it was signalled, and a lock that the look waited
    // for may have taken the latch.
    SetLatch(MyLatch);
    woken_ = !ConditionVariableTimedSleep(variable_, left, wait_event());
  }
}

void Waiting::end() {
  if (variable_) ConditionVariableCancelSleep();
}

void Waiting::pause() {
  constexpr int64 longest_pause_ms = 32;
  ConditionVariableCancelSleep();
  // What was sent before the cancel must not cut the pause short.
  const int64 until = Min(steady_ms() + pause_ms_, deadline_);
  for (int64 now = steady_ms(); now < until; now = steady_ms()) nap(until - now);
  pause_ms_ = Min(2 * pause_ms_, longest_pause_ms);
}

void Waiting::nap(int64 ms) {
  (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, wait_event());
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

namespace {

struct Outlook {
  int64 due;  // when the consumer will have something to do
  text* stream;
};

// A look in a transaction of its own: the caller commits it.
Outlook look(Oid schema, std::string_view name) {
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
    with_context(looks, [&] { outlook = look(schema, name); });
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
