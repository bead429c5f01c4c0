// The stress test: publishers and workers do everything that is allowed, all at once and at random,
// against a running server; then an oracle compares what each of them saw.
//
//   stress [--seed N] [--seconds N] [--publishers N] --conninfo "host=... dbname=..."
//
// With --seconds 0 it goes on until a line comes in on its standard input, and says "# running"
// when it begins. Meanwhile backends may be killed, and the server may crash and start again:
// clients whose connection is lost connect again, and write down that they don't know what became
// of their last transaction.
//
// The server has the extension installed, max_prepared_transactions for every publisher, and runs
// on this machine, as leases are compared with this clock. The seed decides what each client tries;
// how they meet is the scheduler's, so run a failing seed more than once.
//
// Publishers publish one by one, in batches, by INSERT, by COPY, by cursors and in PL/pgSQL loops,
// to two streams, in transactions of each isolation level, with pauses, savepoints, statements and
// FETCHes that fail, rollbacks, and PREPARE TRANSACTION, which any session may commit or roll back
// later. One of the streams is partitioned, with an even seed the one with more consumers; a
// maintainer makes and closes partitions, and late events open these again. Workers of four
// consumers (all events, some subjects, in strict order, the other stream) pull, acknowledge all or
// some, refuse, extend, come late, let leases run out, cancel and resume, alone or in transactions
// that they may roll back. When the time is over everything is resolved and drained, and the oracle
// looks:
//   - world.hpp    what the clients write down
//   - story.hpp    each event's story with each consumer: is there an order of what was done to it
//                  in which every step was allowed
//   - order.cpp    the order of first deliveries; what acks answered
//   - forgotten.cpp  pulls that a crash may have forgotten
//   - oracle.cpp   lost, phantom and altered events; the tables and views in the end
//   - founder.cpp  streams and consumers that were created and dropped meanwhile
//   - maintainer.cpp  what became of the partitions
// Prints TAP, a test for each check, and exits with 1 if one of them fails.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <thread>

#include "oracle.hpp"

namespace stress {

namespace {

struct Options {
  std::string conninfo;
  std::uint64_t seed = static_cast<std::uint64_t>(now());
  int seconds = 30;
  int publishers = 16;
};

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string word = words[i];
    if (word == "--seed")
      options.seed = std::stoull(words[i + 1]);
    else if (word == "--seconds")
      options.seconds = std::stoi(words[i + 1]);
    else if (word == "--publishers")
      options.publishers = std::stoi(words[i + 1]);
    else if (word == "--conninfo")
      options.conninfo = words[i + 1];
    else
      throw std::runtime_error("unknown option " + word);
  }
  return options;
}

constexpr const char* clean_run = "no client met an error that nobody expected";
constexpr const char* busy = "there was something of everything";
constexpr const char* connected = "no connection is lost where nobody ends any";
constexpr const char* drained = "every consumer comes to an end";

template <typename Body>
void run_guarded(World& world, Body body) {
  try {
    body();
  } catch (const std::exception& error) {
    world.tally.surprise(std::string("a client ended: ") + error.what());
  }
}

void wait_for_line(World& world) {
  std::puts("# running");
  std::fflush(stdout);
  for (int c = 0; c != EOF && c != '\n';) c = std::getchar();
  world.until = now();
}

void run_clients(World& world, int seconds) {
  world.until = now() + (seconds > 0 ? seconds : 1'000'000) * Micros{1'000'000};
  std::deque<std::thread> threads;
  threads.emplace_back([&world] { run_guarded(world, [&] { found(world); }); });
  threads.emplace_back([&world] { run_guarded(world, [&] { maintain(world); }); });
  for (int i = 0; i < static_cast<int>(world.publishers.size()); i++)
    threads.emplace_back([&world, i] { run_guarded(world, [&] { publish(world, i); }); });
  for (int i = 0; i < static_cast<int>(world.workers.size()); i++)
    threads.emplace_back(
        [&world, i] { run_guarded(world, [&] { work(world, world.workers[i], i); }); });
  if (seconds == 0) wait_for_line(world);
  for (std::thread& thread : threads) thread.join();
}

void add_workers(World& world) {
  for (int consumer = 0; consumer < consumer_count; consumer++)
    for (int i = 0; i < plans[consumer].workers; i++)
      world.workers.emplace_back().consumer = consumer;
}

void drain_all(World& world, Report& report) {
  report.check(drained);
  const int first = static_cast<int>(world.workers.size());
  for (int consumer = 0; consumer < consumer_count; consumer++) {
    world.workers.emplace_back().consumer = consumer;
    bool finished = false;
    run_guarded(world, [&] { finished = drain(world, world.workers.back(), first + consumer); });
    if (!finished) report.fail(drained, world.consumer_names[consumer]);
  }
}

void summarize(const World& world, const Register& events, int seconds, Report& report) {
  std::size_t transactions = 0, committed = 0, pulls = 0, empty = 0, deliveries = 0, in_vain = 0;
  std::size_t again = 0, settled = 0, refused = 0, undone = 0, cancelled = 0, resumed = 0;
  std::size_t forgotten = 0;
  for (const PublisherLog& log : world.publishers) transactions += log.transactions.size();
  for (const Register::Entry& entry : events.events) committed += entry.committed;
  for (const WorkerLog& log : world.workers) {
    empty += log.empty_pulls;
    for (const Pull& pull : log.pulls) {
      pulls++;
      deliveries += pull.events.size();
      if (!pull.committed) in_vain += pull.events.size();
      forgotten += pull.may_be_forgotten;
      for (const Delivered& event : pull.events) again += event.attempt > 1;
    }
    for (const Settlement& settlement : log.settlements)
      (settlement.answer == Answer::settled   ? settled
       : settlement.answer == Answer::refused ? refused
                                              : undone)++;
    for (const Change& change : log.changes)
      (change.cancel ? cancelled : resumed) += change.changed.size();
  }
  std::printf(
      "# in %d s: %zu transactions (%d prepared, %d FETCHes failed) tried %zu events and committed"
      " %zu;\n"
      "# %zu pulls, %zu of them empty, delivered %zu events, %zu of them again, %zu in vain;\n"
      "# %zu acks, refusals and extensions settled, %zu came too late, %zu were rolled back;\n"
      "# %zu events cancelled, %zu resumed; %d deadlocks, %d serialization failures;\n"
      "# %d connections lost, %d with the outcome of what a worker did; %zu pulls that a crash may"
      " have forgotten;\n"
      "# partitions of %s were closed %d times, reopened %d times; %d statements failed because"
      " their partition was made meanwhile\n",
      seconds, transactions, world.tally.prepared, world.tally.failed_fetches, events.events.size(),
      committed, pulls + empty, empty, deliveries, again, in_vain, settled, refused, undone,
      cancelled, resumed, world.tally.deadlocks, world.tally.serialization_failures,
      world.tally.lost, world.lost.load() - static_cast<int>(forgotten), forgotten,
      world.stream_names[world.partitioned].c_str(), world.tally.closed, world.tally.reopened,
      world.tally.moved);
  report.check(busy);
  const std::size_t least = std::min({committed, deliveries, again, settled, cancelled, resumed,
                                      static_cast<std::size_t>(world.tally.prepared),
                                      static_cast<std::size_t>(world.tally.closed),
                                      static_cast<std::size_t>(world.tally.reopened),
                                      static_cast<std::size_t>(world.tally.failed_fetches)});
  if (least == 0) report.fail(busy, "something was never done, see above");
}

bool run(const Options& options) {
  std::printf("# seed %llu, %d s, %d publishers\n", static_cast<unsigned long long>(options.seed),
              options.seconds, options.publishers);
  std::fflush(stdout);
  World world(options.conninfo, options.seed, options.publishers);
  Report report;
  set_up(world);
  add_workers(world);
  const Micros began = now();
  run_clients(world, options.seconds);
  const int seconds = static_cast<int>((now() - began) / 1'000'000);

  Client client(options.conninfo);
  Chance chance(options.seed, -1);
  resolve_prepared(world, client, chance, true);
  find_forgotten(world);
  const Register events = read_tables(world, client, report);
  for (int consumer = 0; consumer < consumer_count; consumer++) {
    Report not_yet;
    const Stories stories = collect_stories(world, events, consumer, not_yet);
    check_counts(world, events, stories, consumer, count(world, client, consumer), report);
  }
  drain_all(world, report);
  for (int consumer = 0; consumer < consumer_count; consumer++) {
    const Stories stories = collect_stories(world, events, consumer, report);
    check_stories(world, client, events, stories, consumer, report);
    check_order(world, events, stories, consumer, report);
    check_answers(world, events, stories, consumer, report);
  }
  check_effects(world, client, report);
  check_founded(world, client, report);
  report.check(clean_run);
  for (const std::string& surprise : world.tally.surprises) report.fail(clean_run, surprise);
  if (options.seconds > 0) {
    report.check(connected);
    if (world.tally.lost > 0) report.fail(connected, std::to_string(world.tally.lost));
  }
  summarize(world, events, seconds, report);
  return report.print();
}

}  // namespace

}  // namespace stress

int main(int count, char** words) {
  try {
    return stress::run(stress::parse(count, words)) ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "stress: %s\n", error.what());
    return 2;
  }
}
