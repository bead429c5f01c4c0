// The end: what is left is consumed, by one worker for each consumer.
#include "worker.hpp"

namespace stress {

bool Worker::drain() {
  Micros last_progress = now();
  while (now() - last_progress < 30'000'000) {
    Held held;
    attempt([&] { held = pull(1000, 60'000, 100); });
    if (held.any()) {
      attempt([&] { settle(Action::ack, held, nullptr, 0); });
      last_progress = now();
      continue;
    }
    const Result clean = client_.run(
        "SELECT c.lag = 0 AND c.running = 0 AND c.retryable = 0 AND s.late = '{}'"
        " FROM kanthorq_consumers c JOIN kanthorq_delivery_state s ON s.consumer = c.name"
        " WHERE c.name = $1",
        {name_});
    if (clean.text(0, 0) == std::string("t")) return true;
  }
  return false;
}

bool drain(World& world, WorkerLog& log, int number) { return Worker(world, log, number).drain(); }

}  // namespace stress
