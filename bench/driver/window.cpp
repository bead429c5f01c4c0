// Publishers at full speed, a worker that follows them and a worker that drains a backlog, for a
// while, and what each had done second by second.
#include <cstdio>

#include "crew.hpp"
#include "events.hpp"
#include "modes.hpp"

namespace bench {

namespace {

struct Counts {
  std::atomic<long> published = 0, followed = 0, drained = 0;
  std::mutex guard;  // of the next three
  double lag_sum = 0, lag_max = 0;
  long lags = 0;
  Crew crew;  // ends before what its threads use
};

void publish(Counts& counts, const std::string& stream) {
  Session session;
  session.prepare("publish", "SELECT kanthorq_publish(" + literal(stream) + ", " +
                                 literal(subject) + ", $1, $2)");
  const std::vector<std::string> event = {body, metadata};
  for (; !counts.crew.stop; counts.published++) session.execute("publish", event);
}

// The lag is the age of the oldest event of a batch when its pull returns, in milliseconds.
void follow(Counts& counts, const std::string& consumer) {
  Session session;
  session.prepare("pull", "SELECT count(*), max(lease), min(created_at) FROM kanthorq_pull(" +
                              literal(consumer) + ", 1000, wait => '1 s')");
  session.prepare("ack", "SELECT kanthorq_ack(" + literal(consumer) + ", $1)");
  while (!counts.crew.stop) {
    const Result batch = session.execute("pull");
    const std::int64_t now = epoch_ms();
    if (batch.number(0, 0) == 0) continue;
    const double lag = static_cast<double>(now - batch.number(0, 2));
    session.execute("ack", {batch.text(0, 1)});
    counts.followed += batch.number(0, 0);
    const std::lock_guard lock(counts.guard);
    counts.lag_sum += lag;
    counts.lag_max = std::max(counts.lag_max, lag);
    counts.lags++;
  }
}

void drain_again(Counts& counts, const std::string& consumer) {
  Worker worker(consumer, 100, "0");
  while (!counts.crew.stop) {
    const Batch batch = worker.pull();
    if (batch.events == 0) {
      worker.session().run("SELECT kanthorq_consumer_seek(" + literal(consumer) + ", 'first', " +
                           literal(consumer) + ")");
      continue;
    }
    worker.ack(batch);
    counts.drained += batch.events;
  }
}

// The counts of the second that has passed.
void report(Counts& counts, double seconds) {
  const std::lock_guard lock(counts.guard);
  std::printf("second %.1f %.1f %.1f %.3f %.0f\n", counts.published.exchange(0) / seconds,
              counts.followed.exchange(0) / seconds, counts.drained.exchange(0) / seconds,
              counts.lags > 0 ? counts.lag_sum / counts.lags : seconds * 1000, counts.lag_max);
  counts.lag_sum = counts.lag_max = 0;
  counts.lags = 0;
  std::fflush(stdout);  // it may be ended before its time
}

}  // namespace

void window(const Options& options) {
  Counts counts;
  const auto start = [&](auto work, const std::string& name) {
    counts.crew.start([&counts, work, name] { work(counts, name); });
  };
  for (long i = 0; i < options.number("sessions"); i++) start(publish, options.text("stream"));
  start(follow, options.text("follower"));
  start(drain_again, options.text("backlog"));
  Clock::time_point last = Clock::now();
  for (long second = 0; second < options.number("seconds") && !counts.crew.stop; second++) {
    std::this_thread::sleep_until(last + std::chrono::seconds(1));
    report(counts, seconds_since(last));
    last = Clock::now();
  }
  counts.crew.stop = true;
  counts.crew.finish();
}

}  // namespace bench
