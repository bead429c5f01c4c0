// Publishing in batches.
#include <cstdio>
#include <functional>

#include "events.hpp"
#include "modes.hpp"

namespace bench {

namespace {

// What happens before each batch off the clock, and on it.
struct Way {
  std::function<void()> before;
  std::function<void()> send;
};

// The rate of a way: for so many transactions, or for so long.
double rate(const Way& way, long rows, long transactions, double seconds) {
  double busy = 0;
  long sent = 0;
  while (transactions > 0 ? sent < transactions : busy < seconds) {
    way.before();
    const Clock::time_point start = Clock::now();
    way.send();
    busy += seconds_since(start);
    sent++;
  }
  return static_cast<double>(sent * rows) / busy;
}

}  // namespace

void batch(const Options& options) {
  const std::string way = options.text("way"), sql = options.text("sql");
  const long rows = options.number("rows");
  const long transactions = options.number("transactions", 0);
  const double seconds = std::stod(options.text("seconds", "1"));
  Session session;
  const auto run = [&](auto before, auto send) {
    std::printf("rate %.1f\n", rate({before, send}, rows, transactions, seconds));
  };
  if (way == "copy") {
    CopyData data(rows, options.number("rare", 0));
    run([&] { data.renew_ids(); }, [&] { session.copy_in(sql, data.bytes()); });
    return;
  }
  session.prepare("batch", sql);
  if (way == "plain") {
    run([] {}, [&] { session.execute("batch"); });
    return;
  }
  Arrays arrays(rows, way == "arrays_ids");
  run([&] { arrays.renew_ids(); }, [&] { session.execute_binary("batch", arrays.parameters()); });
}

}  // namespace bench
