// Waiting for something to consume.
//
// Waits are measured by a clock that nobody sets (steady_ms()). Only what is due at a stored time
// is compared with the wall clock. That is done anew at least once a second, so setting the clock
// delays nobody by more than that.
#pragma once

#include "server/pg.hpp"
#include "server/shared.hpp"

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

// Whom a session waits with.
enum class Company {
  line,  // with others that want the same: one of them looks when there is something (line.hpp)
  alone  // it holds what the others would have to wait for, and so must look itself
};

// Sleeps between looks at the stream, up to a deadline (steady_ms()). It obeys cancel, timeouts and
// shutdown, and checks once a second that the client is still connected, or every few seconds if
// hundreds of sessions wait for the same. With shared memory (shared.hpp) a sleep ends when a
// commit publishes to the stream and wakes this session of its line. Somebody looks each second.
// Without shared memory, sleeps grow from 5 to 100 ms.
class Waiting {
 public:
  // `consumer` is the oid of the consumer's table.
  Waiting(std::string_view stream, Oid consumer, Company company, int64 deadline);

  bool is_over() const;

  // Call before each look: a commit that comes too late for the look ends the sleep after it.
  void listen();

  // Call after a look that found nothing. Sleeps until there may be something, until `due` at the
  // latest (in milliseconds of the wall clock), and for at most `at_most_ms`. Somebody of the line
  // looks every `longest_ms`.
  void sleep(int64 due, int64 at_most_ms = PG_INT64_MAX);
  static constexpr int64 longest_ms = 1000;

  // May this session wait for a lock before it looks (promise_look())? Not if another one does
  // already: then it should sleep. After a second of that it may, because it may hold what the
  // others wait for, and the server can only see the deadlock if it waits, too.
  bool may_wait_for_turn();

  // Sleeps without listening. An early return does no harm.
  static void nap(int64 ms);

  // Call at the end. After an error the end of the transaction does it. `has_found`: the look has
  // found something to take, and whoever takes it wakes the next one (wake.hpp).
  void end(bool has_found);

 private:
  void sleep_in_line(int64 ms, int64 until);
  void sleep_alone(int64 ms);

  // A pause after a wake-up that brought nothing. Pauses grow, so that a worker whose filter skips
  // all of a busy stream does not run for each of its commits.
  void pause(int64 ms) const;

  static constexpr int64 longest_pause_ms = 32;

  bool in_line_ = false;
  ConditionVariable* alone_ = nullptr;
  int64 deadline_;
  int64 step_ms_ = 5;
  int64 pause_ms_ = 1;
  bool has_slept_ = false;
  int64 refused_from_ = 0;  // since when may_wait_for_turn() has said no
  int64 refused_at_ = 0;    // when it did so last
  bool woken_ = false;      // by a commit, since the last look
};

}  // namespace kanthorq
