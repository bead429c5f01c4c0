// How long a waiting worker takes to have an event. Two threads, two sessions, one clock.
#include <cstdio>
#include <unordered_map>

#include "crew.hpp"
#include "events.hpp"
#include "modes.hpp"

namespace bench {

namespace {

struct Published {
  Clock::time_point sent, committed;
};

struct Pulled {
  std::string id;
  Clock::time_point returned;
};

std::unordered_map<std::string, Published> publish(const Options& options,
                                                   const std::atomic<bool>& stop) {
  const long rate = options.number("rate"), events = rate * options.number("seconds");
  Session session;
  session.prepare("publish", "SELECT kanthorq_publish(" + literal(options.text("stream")) + ", " +
                                 literal(subject) + ", $1, $2)");
  const std::vector<std::string> event = {body, metadata};
  std::unordered_map<std::string, Published> published;
  const Clock::time_point start = Clock::now();
  for (long i = 0; i < events && !stop; i++) {
    std::this_thread::sleep_until(start + i * std::chrono::nanoseconds(1'000'000'000 / rate));
    const Clock::time_point sent = Clock::now();
    const Result id = session.execute("publish", event);
    published[id.text(0, 0)] = {sent, Clock::now()};
  }
  std::printf("rate %.1f\n", static_cast<double>(events) / seconds_since(start));
  return published;
}

// Pulls until it has had all events, or nobody publishes any more.
std::vector<Pulled> consume(const Options& options, const std::atomic<bool>& stop) {
  const std::string consumer = literal(options.text("consumer"));
  const auto events = static_cast<std::size_t>(options.number("rate") * options.number("seconds"));
  Session session;
  session.prepare("pull", "SELECT lease, id" + from_pull(options.text("consumer"), 100, "10 s"));
  session.prepare("ack", "SELECT kanthorq_ack(" + consumer + ", $1)");
  std::vector<Pulled> pulled;
  while (pulled.size() < events && !stop) {
    const Result batch = session.execute("pull");
    const Clock::time_point returned = Clock::now();
    for (int row = 0; row < batch.rows(); row++) pulled.push_back({batch.text(row, 1), returned});
    if (batch.rows() > 0) session.execute("ack", {batch.text(0, 0)});
  }
  return pulled;
}

long microseconds(Clock::duration time) {
  return static_cast<long>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

}  // namespace

void wake(const Options& options) {
  std::vector<Pulled> pulled;
  std::unordered_map<std::string, Published> published;
  Crew crew;
  crew.start([&] { pulled = consume(options, crew.stop); });
  crew.start([&] { published = publish(options, crew.stop); });
  crew.finish();
  for (const Pulled& event : pulled) {
    const Published& its = published.at(event.id);
    std::printf("latency %ld %ld\n", microseconds(event.returned - its.committed),
                microseconds(event.returned - its.sent));
  }
}

}  // namespace bench
