// Waiting for something to consume.
#pragma once

#include "pg.hpp"

namespace kanthorq {

// Sleeps in steps that grow from 5 to 100 ms, up to a deadline in milliseconds since the epoch.
class Poll {
 public:
  explicit Poll(int64 deadline) : deadline_(deadline) {}

  // False where the deadline has passed. Obeys cancel, timeouts and shutdown.
  bool sleep();

 private:
  int64 deadline_;
  int64 step_ms_ = 5;
};

}  // namespace kanthorq
