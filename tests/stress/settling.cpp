// The statements of a worker.
#include <algorithm>

#include "worker.hpp"

namespace stress {

namespace {

constexpr const char* limits[] = {"1", "200", "2000"};  // in bytes

}  // namespace

bool Held::any() const { return std::find(left.begin(), left.end(), true) != left.end(); }

void Worker::forgive(const SqlError& error) {
  if (!world_.tally.forgive(error, true) && error.state != "KQ001")
    world_.tally.surprise(name_ + ": " + error.what());
}

void Worker::close_log(std::size_t pulls, std::size_t settlements, bool committed) {
  const Micros done = now();
  const bool waited =
      std::any_of(log_.settlements.begin() + static_cast<std::ptrdiff_t>(settlements),
                  log_.settlements.end(), [](const Settlement& it) { return it.has_written(); });
  for (std::size_t i = pulls; i < log_.pulls.size(); i++) {
    log_.pulls[i].done = done;
    log_.pulls[i].committed = committed;
    log_.pulls[i].lost = lost_;
    log_.pulls[i].waited = waited;
  }
  for (std::size_t i = settlements; i < log_.settlements.size(); i++) {
    Settlement& settlement = log_.settlements[i];
    settlement.done = done;
    settlement.lost = lost_;
    if (settlement.answer == Answer::settled && !committed)
      settlement.answer = lost_ ? Answer::unknown : Answer::undone;
  }
}

Held Worker::pull(int size, int visibility_ms, int wait_ms) {
  Pull pull{.lease = 0,
            .sent = now(),
            .seen = 0,
            .done = 0,
            .visibility_ms = visibility_ms,
            .committed = false,
            .events = {}};
  const Parameter max_bytes = chance_.percent(15) ? Parameter(chance_.one_of(limits)) : Parameter();
  const Result result = [&] {
    try {
      return client_.run("SELECT * FROM kanthorq_pull($1, $2, $3, $4, $5)",
                         {name_, std::to_string(size), milliseconds(wait_ms),
                          milliseconds(visibility_ms), max_bytes});
    } catch (const SqlError& error) {
      pull.seen = now();
      if (error.is_lost() && may_commit_) log_.pulls.push_back(pull);
      throw;
    }
  }();
  pull.seen = now();
  for (int i = 0; i < result.rows(); i++) {
    if (i > 0 && result.number(i, 0) != pull.lease)
      world_.tally.surprise("a pull returned more than one lease");
    pull.lease = result.number(i, 0);
    pull.events.push_back({.attempt = static_cast<int>(result.number(i, 1)),
                           .position = result.number(i, 2),
                           .id = result.text(i, 3),
                           .subject = result.text(i, 4),
                           .body = result.bytes(i, 5),
                           .metadata = result.text(i, 6),
                           .created_at = result.number(i, 7)});
  }
  if (result.rows() > size) world_.tally.surprise("a pull returned more events than it was to");
  if (pull.events.empty()) {
    log_.empty_pulls++;
    return {};
  }
  const Held held{static_cast<int>(log_.pulls.size()), std::vector<bool>(pull.events.size(), true)};
  log_.pulls.push_back(std::move(pull));
  return held;
}

std::vector<int> Worker::some_of(const Held& held, int share) {
  std::vector<int> some;
  for (std::size_t i = 0; i < held.left.size(); i++)
    if (chance_.percent(share)) some.push_back(static_cast<int>(i));
  return some;
}

std::string Worker::ids_of(const Held& held, const std::vector<int>& chosen, bool with_strangers) {
  std::vector<std::string> ids;
  for (int i : chosen) ids.push_back(pull_of(held).events[i].id);
  if (with_strangers) {
    ids.push_back(chance_.ulid());
    const std::string other = world_.recent(chance_);
    const auto is_other = [&](const Delivered& event) { return event.id == other; };
    if (std::none_of(pull_of(held).events.begin(), pull_of(held).events.end(), is_other))
      ids.push_back(other);
    ids.push_back(ids.front());
  }
  return text_array(ids);
}

// `chosen` null: all that is left of the lease. Throws SqlError, with its answer in the log.
void Worker::settle(Action action, Held& held, const std::vector<int>* chosen, int delay_ms,
                    bool with_effect) {
  Settlement settlement{.action = action,
                        .pull = held.pull,
                        .events = {},
                        .count = -1,
                        .sent = 0,
                        .done = 0,
                        .delay_ms = delay_ms,
                        .answer = Answer::undone,
                        .with_effect = with_effect};
  for (std::size_t i = 0; i < held.left.size(); i++)
    if (held.left[i] && (!chosen || std::find(chosen->begin(), chosen->end(), i) != chosen->end()))
      settlement.events.push_back(static_cast<int>(i));
  const std::string lease = std::to_string(pull_of(held).lease);
  std::vector<Parameter> values{name_, lease};  // without ids all that is left is meant
  if (chosen) values.push_back(ids_of(held, *chosen, chance_.percent(5)));
  const std::string ids = chosen ? ", ids => $3" : "";
  settlement.sent = now();
  try {
    if (action == Action::extend)
      client_.run("SELECT kanthorq_extend($1, $2, $3)", {name_, lease, milliseconds(delay_ms)});
    else if (action == Action::ack)
      settlement.count = client_.run("SELECT kanthorq_ack($1, $2" + ids + ")", values).number(0, 0);
    else {
      values.push_back(milliseconds(delay_ms));
      settlement.count =
          client_
              .run("SELECT kanthorq_nack($1, $2" + ids + ", error => 'refused', retry_in => $" +
                       std::to_string(values.size()) + ")",
                   values)
              .number(0, 0);
    }
  } catch (const SqlError& error) {
    if (error.state == "KQ001") settlement.answer = Answer::refused;
    if (error.is_lost()) settlement.answer = Answer::settled;  // perhaps
    log_.settlements.push_back(settlement);
    throw;
  }
  settlement.answer = Answer::settled;
  if (action != Action::extend)
    for (int i : settlement.events) held.left[i] = false;
  log_.settlements.push_back(std::move(settlement));
}

// Work and ack in the open transaction; gives up if not all of it is ours any more.
void Worker::ack_with_effect(Held& held) {
  std::vector<int> chosen;
  for (std::size_t i = 0; i < held.left.size(); i++)
    if (held.left[i] && (i == 0 || chance_.percent(95))) chosen.push_back(static_cast<int>(i));
  client_.run("INSERT INTO " + world_.effects + " SELECT $1, unnest($2::text[])",
              {std::to_string(consumer_), ids_of(held, chosen, false)});
  settle(Action::ack, held, &chosen, 0, true);
  if (log_.settlements.back().count != static_cast<std::int64_t>(chosen.size())) throw GaveUp();
}

std::vector<std::string> Worker::change(const char* function, const std::vector<std::string>& ids) {
  std::vector<std::string> changed;
  const Micros sent = now();
  attempt([&] {
    changed = parse_plain_array(
        client_.run(std::string("SELECT ") + function + "($1, $2)", {name_, text_array(ids)})
            .text(0, 0));
  });
  const bool cancel = std::string(function) == "kanthorq_cancel";
  log_.changes.push_back({cancel, lost_ ? ids : changed, sent, now(), lost_});
  return changed;
}

}  // namespace stress
