// Waiting for something to consume.
//
// Waits are measured by a clock that nobody sets (steady_ms()). Only what is due at a stored time
// is compared with the wall clock. Each look does so anew, at least once a second, so a clock that
// is set delays nobody by more than that.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// For whoever is about to take something. If the call, which began at `started` (steady_ms()), has
// waited, for events, for its turn or for another lock, its client may have died meanwhile: then
// this ends the session, whatever client_connection_check_interval is. A session that never had a
// client, such as a background worker's, has none to lose.
void require_client_since(int64 started);

// `wait_ms`, or less if the server's timeout would end the wait: it ends a second before that, or
// after half of the timeout if that is less than two seconds. So there is time to use what it
// found.
int64 end_before(int timeout, int64 wait_ms);

// Sleeps between looks, up to a deadline of steady_ms(). Obeys cancel, timeouts and shutdown, and
// looks before each sleep whether the client is still there. With shared memory (wake.hpp) a commit
// that publishes to the stream ends a sleep, and a second does at the latest; without, sleeps grow
// from 5 to 100 ms.
class Waiting {
 public:
  Waiting(std::string_view stream, int64 deadline);

  bool is_over() const;

  // Call before each look: a commit that the look does not see any more ends the sleep after it.
  void listen();

  // After a look that found nothing: until there may be something, `due` at the latest, a time
  // of the wall clock, and for `longest_ms` at most.
  void sleep(int64 due);
  static constexpr int64 longest_ms = 1000;

  // Call at the end; after an error the server does what it does.
  void end();

 private:
  // A pause between two looks after a wake-up that brought nothing. It grows, so that a worker
  // whose filter skips all of a busy stream does not run for each of its commits.
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
