#include "server/waiting.hpp"

#include "server/time.hpp"
#include "server/wake.hpp"

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

// A call that did not wait is quicker than a moment, and saves the system calls.
void require_client_since(int64 started) {
  constexpr int64 moment_ms = 1;
  if (steady_ms() - started > moment_ms) require_client();
}

int64 wait_before_timeout(int timeout, int64 wait_ms) {
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
    // The server's function waits for the latch before it sees that it was signalled. If the look
    // waited for a lock, that may have reset the latch.
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
  // A signal that was sent before the cancel must not cut the pause short.
  const int64 until = Min(steady_ms() + pause_ms_, deadline_);
  for (int64 now = steady_ms(); now < until; now = steady_ms()) nap(until - now);
  pause_ms_ = Min(2 * pause_ms_, longest_pause_ms);
}

void Waiting::nap(int64 ms) {
  (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, wait_event());
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

}  // namespace kanthorq
