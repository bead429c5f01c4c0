// Producers that publish one event a transaction and one consumer, by KanthorQ or by PgQ, and how
// long their calls take, slice by slice.
#include <cstdio>

#include "crew.hpp"
#include "events.hpp"
#include "modes.hpp"

namespace bench {

namespace {

// Calls of one kind since the last slice.
class Calls {
 public:
  void add(Clock::time_point start, long events) {
    const double took = seconds_since(start);
    const std::lock_guard lock(guard_);
    calls_++;
    events_ += events;
    seconds_ += took;
  }
  // Events a second and milliseconds a call; a slice in which no call ended was all one call.
  void print(double seconds) {
    const std::lock_guard lock(guard_);
    std::printf(" %.1f %.4f", static_cast<double>(events_) / seconds,
                calls_ > 0 ? seconds_ * 1000 / static_cast<double>(calls_) : seconds * 1000);
    forget();
  }
  void start_over() {
    const std::lock_guard lock(guard_);
    forget();
  }

 private:
  void forget() {
    calls_ = events_ = 0;
    seconds_ = 0;
  }
  std::mutex guard_;
  long calls_ = 0, events_ = 0;
  double seconds_ = 0;
};

void produce(const std::string& sql, Calls& calls, const std::atomic<bool>& stop) {
  Session session;
  session.prepare("publish", sql);
  const std::vector<std::string> event = {body, metadata};
  while (!stop) {
    const Clock::time_point start = Clock::now();
    session.execute("publish", event);
    calls.add(start, 1);
  }
}

// A batch that has events is one call: all that it takes to have it and to be done with it.
void consume(const std::string& consumer, Calls& calls, const std::atomic<bool>& stop) {
  Worker worker(consumer, 1000, "0", true);
  while (!stop) {
    const Clock::time_point start = Clock::now();
    const Batch batch = worker.pull();
    if (batch.events == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    worker.ack(batch);
    calls.add(start, batch.events);
  }
}

void consume_from_queue(const std::string& queue, Calls& calls, const std::atomic<bool>& stop) {
  Session session;
  session.prepare("next", "SELECT pgq.next_batch(" + literal(queue) + ", 'reader')");
  session.prepare("events", "SELECT ev_id, ev_type, ev_data FROM pgq.get_batch_events($1)");
  session.prepare("finish", "SELECT pgq.finish_batch($1)");
  while (!stop) {
    const Clock::time_point start = Clock::now();
    const Result next = session.execute("next");
    const std::string batch = next.text(0, 0);
    if (batch.empty()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    const long events = session.execute("events", {batch}).rows();
    session.execute("finish", {batch});
    calls.add(start, events);
  }
}

void tick(const std::string& queue, const std::atomic<bool>& stop) {
  Session session;
  while (!stop) {
    session.run("SELECT pgq.ticker(" + literal(queue) + ")");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

void held(const Options& options) {
  const std::string name = options.text("name");
  const bool queue = options.text("way") == "pgq";
  const std::string event = literal(name) + ", " + literal(subject);
  const std::string publish = queue ? "SELECT pgq.insert_event(" + event + ", $1::text || $2::text)"
                                    : "SELECT kanthorq_publish(" + event + ", $1, $2)";
  const long slice = options.number("slice");
  Calls published, consumed;
  Crew crew;
  for (long i = 0; i < options.number("producers"); i++)
    crew.start([&] { produce(publish, published, crew.stop); });
  if (queue) {
    crew.start([&] { tick(name, crew.stop); });
    crew.start([&] { consume_from_queue(name, consumed, crew.stop); });
  } else {
    crew.start([&] { consume(name, consumed, crew.stop); });
  }
  // What starting takes is in no slice.
  std::this_thread::sleep_for(std::chrono::seconds(1));
  published.start_over();
  consumed.start_over();
  Clock::time_point last = Clock::now();
  for (long done = 0; done < options.number("seconds") && !crew.stop; done += slice) {
    std::this_thread::sleep_until(last + std::chrono::seconds(slice));
    const double seconds = seconds_since(last);
    last = Clock::now();
    std::printf("slice");
    published.print(seconds);
    consumed.print(seconds);
    std::printf("\n");
  }
  crew.stop = true;
  crew.finish();
}

}  // namespace bench
