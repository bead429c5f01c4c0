// Waiting for something to consume.
#pragma once

#include "pg.hpp"

namespace kanthorq {

// Sleeps between looks, up to a deadline in milliseconds since the epoch. Obeys cancel, timeouts
// and shutdown. With shared memory (wake.hpp) a commit that publishes to the stream ends a sleep,
// and a second does at the latest; without, sleeps grow from 5 to 100 ms.
class Waiting {
 public:
  Waiting(std::string_view stream, int64 deadline);

  bool is_over() const;

  // Call before each look: a commit that the look does not see any more ends the sleep behind it.
  void listen();

  // After a look that found nothing: until there may be something, `due` at the latest.
  void sleep(int64 due);

  // Call at the end; after an error the server does what it does.
  void end();

 private:
  // A pause between two looks after a wake-up that brought nothing. It grows, so that a worker
  // whose filter passes over all of a busy stream does not run for each of its commits.
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
