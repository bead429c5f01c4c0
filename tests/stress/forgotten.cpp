// Pulls that a crash may have forgotten. The commit of a transaction that did nothing but pull does
// not wait for the disk.
//
// The next commit that waits takes it there. So a pull is safe as soon as somebody has the answer
// to a commit that he sent after the pull was answered, and it was in danger only if a connection
// was lost before that: whoever committed after a crash had lost his connection to it.
#include <algorithm>
#include <climits>

#include "world.hpp"

namespace stress {

namespace {

// A commit that waited for the disk.
struct Flush {
  Micros sent, done;
};

void add_publisher(const PublisherLog& log, std::vector<Flush>& flushes) {
  int last = -1;
  for (const Event& event : log.events) {
    const Transaction& transaction = log.transactions[event.transaction];
    if (!event.kept || event.transaction == last || transaction.outcome != Outcome::committed)
      continue;
    last = event.transaction;
    flushes.push_back({transaction.commit_sent, transaction.done});
  }
}

void add_worker(const WorkerLog& log, std::vector<Flush>& flushes) {
  for (const Settlement& settlement : log.settlements)
    if (settlement.has_written()) flushes.push_back({settlement.sent, settlement.done});
  for (const Change& change : log.changes)
    if (!change.lost && !change.changed.empty()) flushes.push_back({change.sent, change.done});
}

// All of them by `sent`, each with the first `done` of those that were sent as late or later.
std::vector<Flush> flushes_of(const World& world) {
  std::vector<Flush> flushes;
  for (const PublisherLog& log : world.publishers) add_publisher(log, flushes);
  for (const WorkerLog& log : world.workers) add_worker(log, flushes);
  std::sort(flushes.begin(), flushes.end(),
            [](const Flush& a, const Flush& b) { return a.sent < b.sent; });
  for (std::size_t i = flushes.size(); i-- > 1;)
    flushes[i - 1].done = std::min(flushes[i - 1].done, flushes[i].done);
  return flushes;
}

}  // namespace

void find_forgotten(World& world) {
  const std::vector<Flush> flushes = flushes_of(world);
  std::vector<Micros>& losses = world.tally.losses;
  std::sort(losses.begin(), losses.end());
  const auto safe_from = [&](Micros done) {
    const auto next = std::partition_point(flushes.begin(), flushes.end(),
                                           [&](const Flush& flush) { return flush.sent < done; });
    return next == flushes.end() ? LLONG_MAX : next->done;
  };
  for (WorkerLog& log : world.workers)
    for (Pull& pull : log.pulls) {
      if (!pull.committed || pull.waited) continue;
      const auto loss = std::lower_bound(losses.begin(), losses.end(), pull.done);
      if (loss == losses.end() || *loss > safe_from(pull.done)) continue;
      pull.may_be_forgotten = true;
      pull.lost = ++world.lost;
    }
}

}  // namespace stress
