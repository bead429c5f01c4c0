// One worker that empties a stream.
#include <cstdio>
#include <functional>

#include "modes.hpp"

namespace bench {

namespace {

// How the next batch is pulled and the one before it acknowledged.
using Next = std::function<Batch(const Batch& last)>;

Next next_of(Worker& worker, const std::string& together) {
  if (together == "statements") return [&](const Batch& last) { return worker.ack_and_pull(last); };
  if (together == "pipeline")
    return [&](const Batch& last) { return worker.ack_and_pull_at_once(last); };
  return [&](const Batch& last) {
    worker.ack(last);
    return worker.pull();
  };
}

}  // namespace

void drain(const Options& options) {
  const long until = options.number("until");
  Worker worker(options.text("consumer"), options.number("size"), "0",
                options.text("rows", "no") == "yes");
  const Next next = next_of(worker, options.text("together", "no"));
  long events = 0, empty = 0, pulls = 1;
  const Clock::time_point start = Clock::now();
  Batch batch = worker.pull();
  while ((events += batch.events) < until) {
    pulls++;
    if (batch.events > 0) {
      batch = next(batch);
      continue;
    }
    // A pull looks at a bounded number of events, so an empty one need not be the end.
    if (++empty > 100'000) throw std::runtime_error("the stream ended early");
    batch = worker.pull();
  }
  worker.ack(batch);
  std::printf("seconds %.6f\nevents %ld\npulls %ld\n", seconds_since(start), events, pulls);
}

}  // namespace bench
