#include "oracle.hpp"

#include <algorithm>
#include <cstdio>

namespace stress {

namespace {

constexpr const char* published = "the streams hold what was committed, as it was sent";
constexpr const char* atomic = "a transaction is there as a whole or not at all";
constexpr const char* phantom = "nothing is delivered that was not published";
constexpr const char* unwanted = "nothing is delivered to a consumer that it is not for";
constexpr const char* equal = "what is delivered is what was sent";
constexpr const char* lost = "no event is lost";
constexpr const char* at_rest = "in the end nothing is left open";
constexpr const char* view_counts = "the view, the tables and the history count alike";
constexpr const char* task_rows = "the task rows are those of the events that are out";
constexpr const char* exactly_once = "work in the acknowledging transaction is done exactly once";

}  // namespace

void Report::fail(const std::string& name, const std::string& detail) {
  Failures& failures = failures_[name];
  if (failures.count++ < 3) failures.first.push_back(detail);
}

bool Report::print() const {
  bool all_well = true;
  std::printf("1..%zu\n", failures_.size());
  for (const auto& [name, failures] : failures_) {
    std::printf("%s - %s\n", failures.count ? "not ok" : "ok", name.c_str());
    for (const std::string& detail : failures.first) std::printf("#   %s\n", detail.c_str());
    if (failures.count > failures.first.size()) std::printf("#   %zu in all\n", failures.count);
    all_well = all_well && failures.count == 0;
  }
  return all_well;
}

int Register::find(const std::string& body) const {
  int publisher = 0, event = 0;
  if (!parse_body(body, publisher, event) || publisher < 0 ||
      publisher + 1 >= static_cast<int>(first_of.size()))
    return -1;
  const int number = first_of[publisher] + event;
  return event >= 0 && number < first_of[publisher + 1] ? number : -1;
}

std::string name_in_log(const Register& events, int number) {
  const Register::Entry& entry = events.events[number];
  const Event& event = *entry.event;
  std::size_t end = 0;
  for (int slashes = 0; slashes < 3; slashes++) end = event.body.find('/', end) + 1;
  return "event " + entry.id + " (" + event.body.substr(0, end - 1) + ", position " +
         std::to_string(entry.position) + ")";
}

namespace {

Register number_through(const World& world) {
  Register events;
  for (const PublisherLog& log : world.publishers) {
    events.first_of.push_back(static_cast<int>(events.events.size()));
    for (const Event& event : log.events) {
      const Transaction& transaction = log.transactions[event.transaction];
      events.events.push_back({&event, &transaction, event.id,
                               event.kept && transaction.outcome == Outcome::committed});
    }
  }
  events.first_of.push_back(static_cast<int>(events.events.size()));
  return events;
}

bool is_as_sent(const Register::Entry& entry, const std::string& id, const std::string& subject,
                const std::string& body, const std::string& metadata, std::int64_t created_at) {
  const Event& event = *entry.event;
  return id == entry.id && subject == subjects[event.subject].text && body == event.body &&
         metadata == event.metadata && (!event.created_at || created_at == *event.created_at);
}

void read_table(const World& world, Client& client, int stream, Register& events, Report& report) {
  const Result rows = client.run("SELECT id, subject, body, metadata, created_at, position FROM " +
                                 world.tables[stream]);
  for (int i = 0; i < rows.rows(); i++) {
    const int number = events.find(rows.bytes(i, 2));
    if (number < 0 || events.events[number].position > 0) {
      report.fail(published, std::string("unknown or twice: ") + rows.text(i, 0));
      continue;
    }
    Register::Entry& entry = events.events[number];
    entry.position = rows.number(i, 5);
    entry.created_at = rows.number(i, 4);
    if (entry.transaction->outcome == Outcome::unknown) {
      entry.committed = entry.event->kept;
      if (entry.id.empty()) entry.id = rows.text(i, 0);
    }
    if (!is_as_sent(entry, rows.text(i, 0), rows.text(i, 1), rows.bytes(i, 2), rows.text(i, 3),
                    entry.created_at) ||
        entry.event->stream != stream)
      report.fail(published, "altered: " + name_in_log(events, number));
  }
}

void check_wholeness(const Register& events, Report& report) {
  std::map<const Transaction*, bool> is_there;
  for (std::size_t i = 0; i < events.events.size(); i++) {
    const Register::Entry& entry = events.events[i];
    if (!entry.event->kept) continue;
    const bool found = entry.position > 0;
    if (is_there.try_emplace(entry.transaction, found).first->second != found)
      report.fail(atomic, name_in_log(events, static_cast<int>(i)));
  }
}

}  // namespace

Register read_tables(const World& world, Client& client, Report& report) {
  report.check(published);
  report.check(atomic);
  Register events = number_through(world);
  for (int stream = 0; stream < stream_count; stream++)
    read_table(world, client, stream, events, report);
  for (std::size_t i = 0; i < events.events.size(); i++) {
    const Register::Entry& entry = events.events[i];
    if (entry.committed != (entry.position > 0))
      report.fail(published, (entry.committed ? "missing: " : "rolled back, but there: ") +
                                 name_in_log(events, static_cast<int>(i)));
    if (entry.committed) events.by_id[entry.id] = static_cast<int>(i);
  }
  check_wholeness(events, report);
  return events;
}

namespace {

class Collector {
 public:
  Collector(const Register& events, int consumer, Report& report)
      : events_(events), consumer_(consumer), report_(report), stories_(events.events.size()) {}

  Stories collect(const World& world) {
    for (std::size_t i = 0; i < stories_.size(); i++) {
      const Register::Entry& entry = events_.events[i];
      if (!entry.committed || !wants(consumer_, *entry.event)) continue;
      const Transaction& transaction = *entry.transaction;
      stories_[i].push_back({.did = Did::commit,
                             .client = -1,
                             .sent = transaction.commit_sent,
                             .seen = transaction.done,
                             .done = transaction.done});
    }
    for (std::size_t i = 0; i < world.workers.size(); i++)
      if (world.workers[i].consumer == consumer_) add(world.workers[i], static_cast<int>(i));
    for (std::vector<Step>& story : stories_)
      std::stable_sort(story.begin(), story.end(),
                       [](const Step& a, const Step& b) { return a.sent < b.sent; });
    return std::move(stories_);
  }

 private:
  void add(const WorkerLog& log, int worker) {
    for (const Pull& pull : log.pulls)
      for (const Delivered& delivered : pull.events) add_delivery(pull, delivered, worker);
    for (const Settlement& settlement : log.settlements)
      if (settlement.answer == Answer::settled || settlement.answer == Answer::unknown)
        add_settlement(log, settlement, worker);
    for (const Change& change : log.changes)
      for (const std::string& id : change.changed) add_change(change, id, worker);
  }

  // If the answer was lost, these are the events that were asked for, with strangers among them.
  void add_change(const Change& change, const std::string& id, int worker) {
    const auto found = events_.by_id.find(id);
    const bool is_known = found != events_.by_id.end();
    if (change.lost && (!is_known || !wants(consumer_, *events_.events[found->second].event)))
      return;
    if (!is_known) return report_.fail(phantom, "cancelled or resumed: " + id);
    stories_[found->second].push_back({.did = change.cancel ? Did::cancel : Did::resume,
                                       .client = worker,
                                       .sent = change.sent,
                                       .seen = change.done,
                                       .done = change.done,
                                       .lost = change.lost});
  }

  void add_delivery(const Pull& pull, const Delivered& delivered, int worker) {
    const int number = events_.find(delivered.body);
    if (number < 0) return report_.fail(phantom, delivered.id);
    const Register::Entry& entry = events_.events[number];
    if (!wants(consumer_, *entry.event))
      report_.fail(unwanted, name_in_log(events_, number) + " to " + plans[consumer_].suffix);
    if (!is_as_sent(entry, delivered.id, delivered.subject, delivered.body, delivered.metadata,
                    delivered.created_at) ||
        (entry.committed &&
         (delivered.position != entry.position || delivered.created_at != entry.created_at)))
      report_.fail(equal, name_in_log(events_, number));
    const bool may_count = pull.committed || pull.lost;
    stories_[number].push_back({.did = may_count ? Did::deliver : Did::deliver_in_vain,
                                .client = worker,
                                .sent = pull.sent,
                                .seen = pull.seen,
                                .done = pull.done,
                                .lease = pull.lease,
                                .attempt = delivered.attempt,
                                .ms = pull.visibility_ms,
                                .lost = pull.lost,
                                .may_be_forgotten = pull.may_be_forgotten});
  }

  void add_settlement(const WorkerLog& log, const Settlement& settlement, int worker) {
    static constexpr Did did[] = {Did::ack, Did::nack, Did::extend};
    const Pull& pull = log.pulls[settlement.pull];
    for (int i : settlement.events) {
      const int number = events_.find(pull.events[i].body);
      if (number < 0) continue;
      stories_[number].push_back({.did = did[static_cast<int>(settlement.action)],
                                  .client = worker,
                                  .sent = settlement.sent,
                                  .seen = settlement.done,
                                  .done = settlement.done,
                                  .lease = pull.lease,
                                  .ms = settlement.delay_ms,
                                  .lost = settlement.lost});
    }
  }

  const Register& events_;
  const int consumer_;
  Report& report_;
  Stories stories_;
};

}  // namespace

Stories collect_stories(const World& world, const Register& events, int consumer, Report& report) {
  for (const char* name : {phantom, unwanted, equal}) report.check(name);
  return Collector(events, consumer, report).collect(world);
}

std::vector<Step> unseen_pulls(const World& world, int consumer) {
  std::vector<Step> unseen;
  for (std::size_t i = 0; i < world.workers.size(); i++)
    for (const Pull& pull : world.workers[i].pulls)
      if (world.workers[i].consumer == consumer && pull.lost && pull.events.empty())
        unseen.push_back({.did = Did::deliver,
                          .client = static_cast<int>(i),
                          .sent = pull.sent,
                          .seen = pull.seen,
                          .done = pull.done,
                          .ms = pull.visibility_ms,
                          .lost = pull.lost});
  return unseen;
}

Counts count(const World& world, Client& client, int consumer) {
  const std::string& name = world.consumer_names[consumer];
  const Result view = client.run(
      "SELECT c.lag, c.running, c.retryable, c.discarded, c.cancelled,"
      " (SELECT count(*) FROM kanthorq_delivery_lease l WHERE l.consumer = c.name AND l.lease <> "
      "0),"
      " (SELECT cardinality(late) FROM kanthorq_delivery_state s WHERE s.consumer = c.name)"
      " FROM kanthorq_consumers c WHERE c.name = $1",
      {name});
  Counts counts{view.number(0, 0), view.number(0, 1), view.number(0, 2), view.number(0, 3),
                view.number(0, 4), view.number(0, 5), view.number(0, 6), {}};
  const std::string table = client.run("SELECT kanthorq_consumer_table($1)", {name}).text(0, 0);
  const Result rows = client.run("SELECT state, count(*) FROM " + table + " GROUP BY state");
  for (int i = 0; i < rows.rows(); i++) counts.rows[rows.text(i, 0)] = rows.number(i, 1);
  return counts;
}

// While leases are still open. An event whose lease ran out may have been collected, which shows
// only in the tables, so what runs, waits or is discarded is compared as a sum; and not with the
// history, if an answer was lost, which allows more than one.
void check_counts(const World& world, const Register& events, const Stories& stories, int consumer,
                  const Counts& counts, Report& report) {
  report.check(view_counts);
  std::map<Is, std::int64_t> is;
  std::int64_t resumed = 0;
  for (std::size_t i = 0; i < stories.size(); i++) {
    const Ending ending = explain(stories[i], {}, plans[consumer].attempt_max, {});
    if (ending.wrong != Wrong::nothing) continue;
    is[ending.is]++;
    resumed += ending.is == Is::available &&
               std::any_of(stories[i].begin(), stories[i].end(),
                           [](const Step& step) { return step.did == Did::resume; });
  }
  const auto rows = [&](const char* state) {
    const auto found = counts.rows.find(state);
    return found == counts.rows.end() ? 0 : found->second;
  };
  const auto same = [&](const char* what, std::int64_t a, std::int64_t b, std::int64_t slack = 0) {
    if (a < b || a > b + slack)
      report.fail(view_counts, world.consumer_names[consumer] + ", " + what + ": " +
                                   std::to_string(a) + " and " + std::to_string(b));
  };
  same("retryable rows", counts.retryable, rows("retryable") + rows("available"));
  same("discarded rows", counts.discarded, rows("discarded"));
  same("cancelled rows", counts.cancelled, rows("cancelled"));
  same("running rows", rows("running"), 0, counts.running);
  if (world.lost > 0) return;
  same("cancelled events", counts.cancelled, is[Is::cancelled]);
  same("running, retryable and discarded events",
       counts.running + counts.retryable + counts.discarded,
       is[Is::running] + is[Is::retryable] + is[Is::discarded], resumed);
  (void)events;
}

namespace {

// The events that have a task row, by their number; in the end only those that are out.
std::map<int, Is> read_task_rows(const World& world, Client& client, const Register& events,
                                 int consumer, Report& report) {
  const std::string table =
      client.run("SELECT kanthorq_consumer_table($1)", {world.consumer_names[consumer]}).text(0, 0);
  const Result rows = client.run(
      "SELECT t.event_id, t.state, t.schedule_at IS NULL AND t.finalized_at IS NOT NULL"
      " AND e.position IS NOT NULL AND e.subject = t.subject AND t.attempt_count BETWEEN 0 AND $1"
      " FROM " +
          table + " t LEFT JOIN " + world.tables[plans[consumer].stream] +
          " e ON e.id = t.event_id AND e.position = t.position",
      {std::to_string(plans[consumer].attempt_max)});
  std::map<int, Is> out;
  for (int i = 0; i < rows.rows(); i++) {
    const std::string state = rows.text(i, 1);
    const auto found = events.by_id.find(rows.text(i, 0));
    const bool is_out = state == "discarded" || state == "cancelled";
    if (found == events.by_id.end() || !is_out || rows.text(i, 2) != std::string("t"))
      report.fail(task_rows, state + ": " + rows.text(i, 0));
    else
      out[found->second] = state == "discarded" ? Is::discarded : Is::cancelled;
  }
  return out;
}

}  // namespace

void check_stories(const World& world, Client& client, const Register& events,
                   const Stories& stories, int consumer, Report& report) {
  for (int wrong = 1; wrong < static_cast<int>(Wrong::kinds); wrong++)
    report.check(meaning(static_cast<Wrong>(wrong)));
  for (const char* name : {lost, task_rows, at_rest}) report.check(name);
  const std::map<int, Is> out = read_task_rows(world, client, events, consumer, report);
  const std::vector<Step> unseen = unseen_pulls(world, consumer);
  for (int i = 0; i < static_cast<int>(stories.size()); i++) {
    if (stories[i].empty()) continue;
    const auto row = out.find(i);
    const Is wanted = row == out.end() ? Is::completed : row->second;
    const Ending ending = explain(stories[i], unseen, plans[consumer].attempt_max, wanted);
    if (ending.is == wanted && ending.wrong == Wrong::nothing) continue;
    std::string detail = std::string(plans[consumer].suffix) + ": " + name_in_log(events, i);
    if (ending.wrong != Wrong::nothing)
      report.fail(meaning(ending.wrong), detail + ", step " + std::to_string(ending.at + 1) +
                                             " while " + name_of(ending.is) + tell(stories[i]));
    else
      report.fail(lost, detail + " is " + name_of(ending.is) + " and should be " + name_of(wanted) +
                            tell(stories[i]));
  }
  const Counts counts = count(world, client, consumer);
  if (counts.lag + counts.running + counts.retryable + counts.open_leases + counts.late != 0)
    report.fail(at_rest, world.consumer_names[consumer]);
}

void check_effects(const World& world, Client& client, Report& report) {
  report.check(exactly_once);
  struct Times {
    int settled = 0, perhaps = 0, done = 0;
  };
  std::map<std::pair<int, std::string>, Times> times;
  for (const WorkerLog& log : world.workers)
    for (const Settlement& settlement : log.settlements)
      for (int i : settlement.with_effect ? settlement.events : std::vector<int>()) {
        Times& of = times[{log.consumer, log.pulls[settlement.pull].events[i].id}];
        of.settled += settlement.answer == Answer::settled;
        of.perhaps += settlement.answer == Answer::unknown;
      }
  const Result rows = client.run("SELECT consumer, id FROM " + world.effects);
  for (int i = 0; i < rows.rows(); i++)
    times[{static_cast<int>(rows.number(i, 0)), rows.text(i, 1)}].done++;
  for (const auto& [key, of] : times)
    if (of.settled > 1 || of.done > 1 || of.done < of.settled || of.done > of.settled + of.perhaps)
      report.fail(exactly_once, world.consumer_names[key.first] + ": " + key.second);
}

}  // namespace stress
