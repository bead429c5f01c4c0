// Waiting for something to consume.
//
// Waits are measured by a clock that nobody sets (steady_ms()). Only what is due at a stored time
// is compared with the wall clock. That is done anew at least once a second, so setting the clock
// delays nobody by more than that.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// To be called before events are taken. If the call, which began at `started` (steady_ms()), has
// waited for anything, its client may have died meanwhile. Then this ends the session, whatever
// client_connection_check_interval is. A session without a client, such as a background worker's,
// goes on.
void require_client_since(int64 started);

// How long to wait: `wait_ms`, or less if the server's `timeout` (a TimeoutId) would end the wait.
// It ends a second before that, or after half of a timeout of less than two seconds. So there is
// time to use what the wait brought.
int64 wait_before_timeout(int timeout, int64 wait_ms);

// Sleeps between looks at the stream, up to a deadline (steady_ms()). It obeys cancel, timeouts and
// shutdown, and checks before each sleep that the client is still connected. With shared memory
// (wake.hpp) a sleep ends when a commit publishes to the stream, and after a second at the latest.
// Without it, sleeps grow from 5 to 100 ms.
class Waiting {
 public:
  Waiting(std::string_view stream, int64 deadline);

  bool is_over() const;

  // Call before each look: a commit that comes too late for the look ends the sleep after it.
  void listen();

  // Call after a look that found nothing. Sleeps until there may be something, until `due` at the
  // latest (in milliseconds of the wall clock), and for at most `longest_ms`.
  void sleep(int64 due);
  static constexpr int64 longest_ms = 1000;

  // Call at the end. After an error the server does the same.
  void end();

 private:
  // A pause after a wake-up that brought nothing. It grows, so that a worker whose filter skips
  // all of a busy stream does not run for each of its commits.
  void pause();

  // Sleeps without listening. An early return does no harm.
  static void nap(int64 ms);

  ConditionVariable* variable_ = nullptr;
  int64 deadline_;
  int64 step_ms_ = 5;
  int64 pause_ms_ = 1;
  bool woken_ = false;
};

}  // namespace kanthorq
