// One worker that empties a stream.
#include <cstdio>

#include "modes.hpp"

namespace bench {

void drain(const Options& options) {
  const long until = options.number("until");
  Worker worker(options.text("consumer"), options.number("size"), "0",
                options.text("rows", "no") == "yes", options.text("quick", "no") == "yes");
  long events = 0, empty = 0, pulls = 0;
  const Clock::time_point start = Clock::now();
  while (events < until) {
    const Batch batch = worker.pull();
    pulls++;
    if (batch.events == 0) {
      // A pull looks at a bounded number of events, so an empty one need not be the end.
      if (++empty > 100'000) throw std::runtime_error("the stream ended early");
      continue;
    }
    worker.ack(batch);
    events += batch.events;
  }
  std::printf("seconds %.6f\nevents %ld\npulls %ld\n", seconds_since(start), events, pulls);
}

}  // namespace bench
