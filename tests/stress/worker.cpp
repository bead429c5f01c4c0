// What workers do with their leases: everything that is allowed, and much that is not wise.
#include "worker.hpp"

#include <algorithm>

namespace stress {

namespace {

constexpr int sizes[] = {1, 3, 10, 30, 100, 500};
constexpr int visibilities_ms[] = {10, 40, 120, 500, 500, 2000, 2000};
constexpr int retries_ms[] = {0, 0, 1, 30, 200};

}  // namespace

Worker::Worker(World& world, WorkerLog& log, int number)
    : world_(world),
      log_(log),
      consumer_(log.consumer),
      name_(world.consumer_names[log.consumer]),
      client_(world.conninfo),
      chance_(world.seed, 1000 + number) {}

void Worker::run() {
  while (!world_.is_over()) {
    if (chance_.percent(3)) cancel_some();
    if (chance_.percent(4)) resume_some();
    if (!aside_.empty() && chance_.percent(35)) settle_late();
    if (chance_.percent(25))
      pull_and_settle_at_once();
    else
      pull_then_settle();
  }
}

void Worker::linger() {
  if (chance_.percent(30)) pause_for(chance_.between(0, 3'000));
  if (chance_.percent(5)) pause_for(chance_.between(5'000, 60'000));
}

void Worker::pull_then_settle() {
  Held held;
  attempt([&] {
    held =
        pull(chance_.one_of(sizes), chance_.one_of(visibilities_ms), chance_.percent(30) ? 30 : 0);
  });
  if (!held.any()) return;
  if (chance_.percent(4)) return;  // the lease is left to run out
  if (chance_.percent(8)) return aside_.push_back(held);
  linger();
  if (chance_.percent(10))
    attempt([&] { settle(Action::extend, held, nullptr, chance_.between(1, 1000)); });
  if (chance_.percent(15)) return settle_and_pull_on(held);
  if (chance_.percent(20))
    in_transaction([&] { ack_with_effect(held); });
  else
    settle_somehow(held);
}

// Exactly once: pull, work and ack in one transaction.
void Worker::pull_and_settle_at_once() {
  in_transaction([&] {
    Held held = pull(chance_.one_of(sizes), chance_.one_of(visibilities_ms), 0);
    if (!held.any()) return;
    if (chance_.percent(20)) pause_for(chance_.between(0, 2'000));
    if (chance_.percent(70)) return ack_with_effect(held);
    const std::vector<int> some = some_of(held, 50);
    settle(Action::ack, held, &some, 0);
    if (chance_.percent(50)) settle(Action::nack, held, nullptr, chance_.one_of(retries_ms));
  });
}

// The ack of one batch and the pull of the next in one transaction.
void Worker::settle_and_pull_on(Held& held) {
  Held next;
  const bool committed = in_transaction([&] {
    ack_with_effect(held);
    next = pull(chance_.one_of(sizes), chance_.one_of(visibilities_ms), 0);
  });
  if (committed && next.any()) settle_somehow(next);
}

// In statements of their own: all acked or refused, or some, and what is then left, perhaps.
void Worker::settle_somehow(Held& held) {
  if (chance_.percent(45)) {
    attempt([&] { settle(Action::ack, held, nullptr, 0); });
    return;
  }
  if (chance_.percent(15)) {
    attempt([&] { settle(Action::nack, held, nullptr, chance_.one_of(retries_ms)); });
    return;
  }
  for (int step = 0; step < 3 && held.any(); step++) {
    const std::vector<int> some = some_of(held, 60);
    const Action action = chance_.percent(75) ? Action::ack : Action::nack;
    if (!attempt([&] { settle(action, held, &some, chance_.one_of(retries_ms)); })) return;
    linger();
  }
  if (held.any() && chance_.percent(80)) attempt([&] { settle(Action::ack, held, nullptr, 0); });
}

// A worker that was slow: its lease may have run out, and may have been given on.
void Worker::settle_late() {
  Held held = aside_.front();
  aside_.pop_front();
  if (chance_.percent(10))
    attempt([&] { settle(Action::extend, held, nullptr, chance_.between(100, 1000)); });
  if (chance_.percent(20))
    in_transaction([&] { ack_with_effect(held); });
  else
    settle_somehow(held);
}

void Worker::cancel_some() {
  std::vector<std::string> ids;
  for (int left = chance_.between(1, 4); left > 0; left--) ids.push_back(world_.recent(chance_));
  if (!log_.pulls.empty() && !log_.pulls.back().events.empty())
    ids.push_back(chance_.one_of(log_.pulls.back().events).id);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  const std::vector<std::string> cancelled = change("kanthorq_cancel", ids);
  const std::lock_guard lock(world_.mutex);
  for (const std::string& id : cancelled) world_.cancelled_ids[consumer_].push_back(id);
}

void Worker::resume_some() {
  std::vector<std::string> ids;
  {
    const std::lock_guard lock(world_.mutex);
    auto& cancelled = world_.cancelled_ids[consumer_];
    for (int left = chance_.between(0, 4); left > 0 && cancelled.size() > 5; left--) {
      ids.push_back(cancelled.front());
      cancelled.pop_front();
    }
  }
  attempt([&] {
    const Result discarded =
        client_.run("SELECT event_id FROM kanthorq_tasks($1, 'discarded', 10)", {name_});
    for (int i = 0; i < discarded.rows(); i++) ids.push_back(discarded.text(i, 0));
  });
  if (!ids.empty()) change("kanthorq_resume", ids);
}

void work(World& world, WorkerLog& log, int number) { Worker(world, log, number).run(); }

}  // namespace stress
