// The order of first deliveries, and the answers to acks, refusals and extensions.
#include <algorithm>
#include <climits>

#include "oracle.hpp"

namespace stress {

namespace {

constexpr const char* one_pull_at_a_time = "pulls of a consumer come one after another";
constexpr const char* in_transaction_order = "events of one transaction keep their order";
constexpr const char* commit_order = "what was published after a commit comes after its events";
constexpr const char* strict_order = "an ordered consumer gets events by position";
constexpr const char* counts = "acks and refusals count what they settle";
constexpr const char* refusals = "a lease that is held is not refused";

// Lease numbers rise with each pull, so they tell the order of pulls.
std::vector<const Pull*> pulls_in_order(const World& world, int consumer, Report& report) {
  std::vector<const Pull*> pulls;
  for (const WorkerLog& log : world.workers)
    for (const Pull& pull : log.pulls)
      if (log.consumer == consumer && pull.committed) pulls.push_back(&pull);
  std::sort(pulls.begin(), pulls.end(),
            [](const Pull* a, const Pull* b) { return a->lease < b->lease; });
  Micros latest_sent = 0;
  for (std::size_t i = 0; i < pulls.size(); i++) {
    if ((i > 0 && pulls[i]->lease == pulls[i - 1]->lease) || pulls[i]->done < latest_sent)
      report.fail(one_pull_at_a_time, "lease " + std::to_string(pulls[i]->lease));
    latest_sent = std::max(latest_sent, pulls[i]->sent);
  }
  return pulls;
}

bool was_cancelled(const std::vector<Step>& story) {
  return std::any_of(story.begin(), story.end(),
                     [](const Step& step) { return step.did == Did::cancel; });
}

// The events in the order in which they were delivered for the first time. One that was ever
// cancelled has left the line, and one whose first delivery nobody saw was never in it.
std::vector<int> first_deliveries(const World& world, const Register& events,
                                  const Stories& stories, int consumer, Report& report) {
  std::vector<int> line;
  std::vector<bool> seen(events.events.size(), false);
  for (const Pull* pull : pulls_in_order(world, consumer, report))
    for (const Delivered& delivered : pull->events) {
      const int number = events.find(delivered.body);
      if (number < 0 || seen[number]) continue;
      seen[number] = true;
      if (delivered.attempt == 1 && !was_cancelled(stories[number])) line.push_back(number);
    }
  return line;
}

struct Commit {
  Micros done;
  int last;         // the place in line of its last event
  int last_number;  // that event
};

// For each transaction that is in the line, by the time at which its commit was answered.
std::vector<Commit> commits_in(const std::vector<int>& line, const Register& events) {
  std::unordered_map<const Transaction*, Commit> commits;
  for (int place = 0; place < static_cast<int>(line.size()); place++) {
    const Transaction* transaction = events.events[line[place]].transaction;
    commits[transaction] = {transaction->done, place, line[place]};
  }
  std::vector<Commit> sorted;
  for (const auto& [transaction, commit] : commits)
    if (commit.done > 0) sorted.push_back(commit);
  std::sort(sorted.begin(), sorted.end(),
            [](const Commit& a, const Commit& b) { return a.done < b.done; });
  return sorted;
}

void check_commit_order(const std::vector<int>& line, const Register& events, Report& report) {
  std::vector<Commit> commits = commits_in(line, events);
  for (std::size_t i = 1; i < commits.size(); i++)  // the last place of any that committed so far
    if (commits[i - 1].last > commits[i].last) {
      commits[i].last = commits[i - 1].last;
      commits[i].last_number = commits[i - 1].last_number;
    }
  for (int place = 0; place < static_cast<int>(line.size()); place++) {
    const Micros sent = events.events[line[place]].event->sent;
    auto later = std::partition_point(commits.begin(), commits.end(),
                                      [&](const Commit& commit) { return commit.done < sent; });
    if (later != commits.begin() && (--later)->last > place)
      report.fail(commit_order, name_in_log(events, line[place]) + " came before " +
                                    name_in_log(events, later->last_number));
  }
}

}  // namespace

void check_order(const World& world, const Register& events, const Stories& stories, int consumer,
                 Report& report) {
  for (const char* name : {one_pull_at_a_time, in_transaction_order, commit_order, strict_order})
    report.check(name);
  const std::vector<int> line = first_deliveries(world, events, stories, consumer, report);
  check_commit_order(line, events, report);
  std::unordered_map<const Transaction*, int> last;
  std::int64_t position = 0;
  for (int number : line) {
    const auto found = last.find(events.events[number].transaction);
    if (found != last.end() && found->second > number)
      report.fail(in_transaction_order, name_in_log(events, number));
    last[events.events[number].transaction] = number;
    if (consumer == in_order && events.events[number].position < position)
      report.fail(strict_order, name_in_log(events, number));
    position = events.events[number].position;
  }
}

namespace {

// What a worker may believe of its lease, step by step.
struct Belief {
  const World& world;
  const Register& events;
  const Stories& stories;
  const Pull& pull;
  std::vector<bool> left;
  std::int64_t deadline_ms;

  bool may_be_cancelled(int i, Micros until) const {
    const int number = events.find(pull.events[i].body);
    if (number < 0) return true;
    for (const Step& step : stories[number])
      if (step.did == Did::cancel && step.done >= pull.sent && step.sent <= until) return true;
    return false;
  }

  bool is_held(const Settlement& settlement) const {
    if (pull.committed && to_ms(settlement.done) >= deadline_ms) return false;
    for (std::size_t i = 0; i < left.size(); i++)
      if (left[i] && !(pull.committed && may_be_cancelled(static_cast<int>(i), settlement.done)))
        return true;
    return false;
  }

  void take(const Settlement& settlement, Report& report) {
    const std::string lease = "lease " + std::to_string(pull.lease);
    if (settlement.answer == Answer::refused && is_held(settlement)) report.fail(refusals, lease);
    // If the pull was rolled back, so was all that was done to its lease.
    if (settlement.answer == Answer::refused) return;
    if (settlement.answer == Answer::undone && (pull.committed || settlement.count < 0)) return;
    const bool is_known = settlement.answer != Answer::unknown;
    if (settlement.action == Action::extend) {
      const std::int64_t until_ms = to_ms(settlement.sent) + settlement.delay_ms;
      deadline_ms = is_known ? until_ms : std::min(deadline_ms, until_ms);
      return;
    }
    const auto most = static_cast<std::int64_t>(settlement.events.size());
    std::int64_t least = most;
    for (int i : settlement.events) {
      left[i] = false;
      least -= may_be_cancelled(i, settlement.done);
    }
    if (is_known && (settlement.count < least || settlement.count > most))
      report.fail(counts, lease + ": " + std::to_string(settlement.count) + " instead of " +
                              std::to_string(least) + " to " + std::to_string(most));
  }
};

}  // namespace

void check_answers(const World& world, const Register& events, const Stories& stories, int consumer,
                   Report& report) {
  report.check(counts);
  report.check(refusals);
  for (const WorkerLog& log : world.workers) {
    if (log.consumer != consumer) continue;
    std::unordered_map<int, Belief> beliefs;
    for (const Settlement& settlement : log.settlements) {
      const Pull& pull = log.pulls[settlement.pull];
      if (pull.lost) continue;
      auto [belief, is_new] =
          beliefs.try_emplace(settlement.pull, Belief{world, events, stories, pull,
                                                      std::vector<bool>(pull.events.size(), true),
                                                      to_ms(pull.sent) + pull.visibility_ms});
      belief->second.take(settlement, report);
    }
  }
}

}  // namespace stress
