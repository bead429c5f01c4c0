#include "server/waiting.hpp"

#include "server/line.hpp"
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

Waiting::Waiting(std::string_view stream, Oid consumer, Company company, int64 deadline)
    : deadline_(deadline) {
  if (is_over() || !shared_memory()) return;
  follow_transactions();
  in_line_ = company == Company::line && enter_line(stream, consumer);
  if (!in_line_) alone_ = &shared_memory()->buckets[bucket_of(stream)].alone;
}

bool Waiting::is_over() const { return steady_ms() >= deadline_; }

void Waiting::listen() {
  if (in_line_)
    woken_ = begin_look() == WokenBy::commit && has_slept_;
  else if (alone_)
    ConditionVariablePrepareToSleep(alone_);
}

void Waiting::sleep(int64 due, int64 at_most_ms) {
  constexpr int64 longest_step_ms = 100;
  require_client();
  CHECK_FOR_INTERRUPTS();
  const int64 now = steady_ms();
  const int64 most = Min(deadline_ - now, at_most_ms);
  const int64 left = Min(Min(most, due - now_ms()), longest_ms);
  if (left <= 0) return;
  if (in_line_) {
    sleep_in_line(left, now + most);
  } else if (alone_) {
    sleep_alone(left);
  } else {
    nap(Min(step_ms_, left));
    step_ms_ = Min(2 * step_ms_, longest_step_ms);
  }
  has_slept_ = true;
}

void Waiting::sleep_in_line(int64 ms, int64 until) {
  const int64 pause_ms = woken_ ? begin_pause(longest_pause_ms) : 0;
  if (pause_ms > 0) return pause(pause_ms);
  while (!sleep_until_woken(ms)) {
    const int64 missed_in = until_look_is_missed();
    if (missed_in <= 0) return;
    ms = Min(Max(missed_in, until_next_check()), until - steady_ms());
    if (ms <= 0) return;
    require_client();
    CHECK_FOR_INTERRUPTS();
  }
}

void Waiting::sleep_alone(int64 ms) {
  if (woken_) {
    woken_ = false;
    ConditionVariableCancelSleep();
    pause(pause_ms_);
    pause_ms_ = Min(2 * pause_ms_, longest_pause_ms);
    return;
  }
  woken_ = sleep_on(alone_, ms);
}

bool Waiting::may_wait_for_turn() {
  if (promise_look()) return true;
  const int64 now = steady_ms();
  if (now - refused_at_ > 2 * longest_ms) refused_from_ = now;
  refused_at_ = now;
  return now - refused_from_ >= longest_ms;
}

void Waiting::end(bool has_found) {
  if (in_line_) leave_line(!has_found);
  if (alone_) ConditionVariableCancelSleep();
}

// A signal that was sent before the pause must not cut it short.
void Waiting::pause(int64 ms) const {
  const int64 until = Min(steady_ms() + ms, deadline_);
  for (int64 now = steady_ms(); now < until; now = steady_ms()) nap(until - now);
}

void Waiting::nap(int64 ms) {
  (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, wait_event());
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

}  // namespace kanthorq
