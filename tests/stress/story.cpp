#include "story.hpp"

#include <algorithm>

namespace stress {

namespace {

struct State {
  Is is = Is::absent;
  std::int64_t lease = 0;
  int attempt = 0;
  std::int64_t at_ms = 0;                // running: the deadline, retryable: the time; at least
  std::vector<std::int64_t> taken_from;  // leases out of which it was cancelled
};

bool was_taken_from(const State& state, std::int64_t lease) {
  return std::find(state.taken_from.begin(), state.taken_from.end(), lease) !=
         state.taken_from.end();
}

bool ran_out_for_good(const State& state, std::int64_t ms, int attempt_max) {
  return state.is == Is::running && state.attempt >= attempt_max && ms >= state.at_ms;
}

Wrong deliver(State& state, const Step& step, int attempt_max) {
  switch (state.is) {
    case Is::absent:
      return Wrong::read_before_commit;
    case Is::completed:
      return Wrong::after_ack;
    case Is::discarded:
    case Is::cancelled:
      return Wrong::while_out;
    case Is::running:
      if (to_ms(step.seen) < state.at_ms) return Wrong::leased_twice;
      break;
    case Is::retryable:
      if (to_ms(step.seen) < state.at_ms) return Wrong::too_early;
      break;
    case Is::available:
      break;
  }
  const int attempt = state.is == Is::available ? 1 : state.attempt + 1;
  if ((step.attempt > 0 && step.attempt != attempt) || attempt > attempt_max) return Wrong::attempt;
  if (step.did == Did::deliver) {
    state.is = Is::running;
    state.lease = step.lease;
    state.attempt = attempt;
    state.at_ms = to_ms(step.sent) + step.ms;
  }
  return Wrong::nothing;
}

Wrong settle(State& state, const Step& step, int attempt_max) {
  if (state.is != Is::running || state.lease != step.lease)
    return was_taken_from(state, step.lease) ? Wrong::nothing : Wrong::fence;
  if (step.did == Did::ack) {
    state.is = Is::completed;
  } else {
    state.at_ms = to_ms(step.sent) + step.ms;
    if (step.did == Did::nack)
      state.is = state.attempt >= attempt_max ? Is::discarded : Is::retryable;
  }
  return Wrong::nothing;
}

Wrong cancel(State& state) {
  if (state.is == Is::absent) return Wrong::read_before_commit;
  if (state.is != Is::available && state.is != Is::running && state.is != Is::retryable)
    return Wrong::change;
  if (state.is == Is::running) state.taken_from.push_back(state.lease);
  state.is = Is::cancelled;
  return Wrong::nothing;
}

Wrong resume(State& state, const Step& step, int attempt_max) {
  if (state.is != Is::cancelled && state.is != Is::discarded &&
      !ran_out_for_good(state, to_ms(step.done), attempt_max))
    return Wrong::change;
  state.is = Is::available;
  state.attempt = 0;
  return Wrong::nothing;
}

Wrong take(State& state, const Step& step, int attempt_max) {
  switch (step.did) {
    case Did::commit:
      state.is = Is::available;
      return Wrong::nothing;
    case Did::deliver:
    case Did::deliver_in_vain:
      return deliver(state, step, attempt_max);
    case Did::cancel:
      return cancel(state);
    case Did::resume:
      return resume(state, step, attempt_max);
    default:
      return settle(state, step, attempt_max);
  }
}

class Search {
 public:
  Search(const std::vector<Step>& steps, int attempt_max, std::optional<Is> wanted)
      : steps_(steps), attempt_max_(attempt_max), wanted_(wanted), taken_(steps.size(), false) {}

  Ending run() {
    if (go_on(State{}, 0)) return ending_;
    if (tries_ > most_tries) farthest_.wrong = Wrong::too_long;
    return farthest_;
  }

 private:
  static constexpr int most_tries = 200'000;

  bool go_on(const State& state, std::size_t count) {
    if (++tries_ > most_tries) return false;
    if (count == steps_.size()) {
      Is is = state.is;
      if (wanted_ == Is::discarded && ran_out_for_good(state, to_ms(now()), attempt_max_))
        is = Is::discarded;
      ending_ = {is, Wrong::nothing, -1};
      if (!wanted_ || is == *wanted_) return true;
      note(count, {is, Wrong::nothing, -1});
      return false;
    }
    for (std::size_t i = 0; i < steps_.size(); i++) {
      if (taken_[i] || !may_be_next(i)) continue;
      State next = state;
      const Wrong wrong = take(next, steps_[i], attempt_max_);
      if (wrong != Wrong::nothing) {
        note(count, {state.is, wrong, static_cast<int>(i)});
        continue;
      }
      taken_[i] = true;
      if (go_on(next, count + 1)) return true;
      taken_[i] = false;
    }
    return false;
  }

  // Nothing that is left was over before it began, or was done before by the same client.
  bool may_be_next(std::size_t i) const {
    for (std::size_t j = 0; j < steps_.size(); j++) {
      if (taken_[j] || j == i) continue;
      if (steps_[j].done < steps_[i].sent) return false;
      if (steps_[j].client == steps_[i].client && j < i) return false;
    }
    return true;
  }

  void note(std::size_t count, const Ending& ending) {
    if (count < farthest_count_) return;
    farthest_count_ = count;
    farthest_ = ending;
  }

  const std::vector<Step>& steps_;
  const int attempt_max_;
  const std::optional<Is> wanted_;
  std::vector<bool> taken_;
  Ending ending_;
  Ending farthest_;
  std::size_t farthest_count_ = 0;
  int tries_ = 0;
};

// Which of the steps with lost answers took place: few, then more.
class Choice {
 public:
  Choice(const std::vector<Step>& steps, const std::vector<Step>& unseen, int attempt_max,
         std::optional<Is> wanted)
      : steps_(steps), unseen_(unseen), attempt_max_(attempt_max), wanted_(wanted) {
    for (const Step& step : steps) note(step);
    for (const Step& step : unseen)
      if (!steps.empty() && step.done >= steps.front().sent) note(step);
  }

  Ending run() {
    const Ending none = explain_chosen();
    if (is_explained(none)) return none;
    Ending ending;
    for (std::size_t count = 1; count <= std::min(lost_.size(), most_chosen); count++)
      if (choose(count, 0, ending)) return ending;
    if (tries_ > most_tries) return {none.is, Wrong::too_long, none.at};
    return none;
  }

 private:
  static constexpr std::size_t most_chosen = 5;
  static constexpr int most_tries = 30'000;

  bool is_explained(const Ending& ending) const {
    return ending.wrong == Wrong::nothing && (!wanted_ || ending.is == *wanted_);
  }

  void note(const Step& step) {
    if (step.lost && std::find(lost_.begin(), lost_.end(), step.lost) == lost_.end())
      lost_.push_back(step.lost);
  }

  bool took_place(const Step& step) const {
    return !step.lost || std::find(chosen_.begin(), chosen_.end(), step.lost) != chosen_.end();
  }

  // An event that was seen was read, whatever became of the lease.
  Ending explain_chosen() {
    std::vector<Step> story;
    for (Step step : steps_) {
      if (!took_place(step) && step.did == Did::deliver) {
        step.did = Did::deliver_in_vain;
        if (step.may_be_forgotten) step.attempt = 0;  // it may follow one that is forgotten as well
      }
      if (took_place(step) || step.did == Did::deliver_in_vain) story.push_back(step);
    }
    for (const Step& step : unseen_)
      if (took_place(step)) story.push_back(step);
    std::stable_sort(story.begin(), story.end(),
                     [](const Step& a, const Step& b) { return a.sent < b.sent; });
    return Search(story, attempt_max_, wanted_).run();
  }

  bool choose(std::size_t count, std::size_t from, Ending& ending) {
    if (++tries_ > most_tries) return false;
    if (count == 0) return is_explained(ending = explain_chosen());
    for (std::size_t i = from; i + count <= lost_.size(); i++) {
      chosen_.push_back(lost_[i]);
      if (choose(count - 1, i + 1, ending)) return true;
      chosen_.pop_back();
    }
    return false;
  }

  const std::vector<Step>& steps_;
  const std::vector<Step>& unseen_;
  const int attempt_max_;
  const std::optional<Is> wanted_;
  std::vector<int> lost_, chosen_;
  int tries_ = 0;
};

}  // namespace

Ending explain(const std::vector<Step>& steps, const std::vector<Step>& unseen, int attempt_max,
               std::optional<Is> wanted) {
  return Choice(steps, unseen, attempt_max, wanted).run();
}

const char* meaning(Wrong wrong) {
  static const char* const meanings[] = {"",
                                         "no event is seen before its commit or without one",
                                         "no event comes after its ack",
                                         "no event is in two live leases",
                                         "attempts count up by one and end at attempt_max",
                                         "no retry comes before its time",
                                         "no event comes while it is discarded or cancelled",
                                         "no lease that was lost is settled",
                                         "cancel and resume change what they may",
                                         "every story could be followed to its end"};
  return meanings[static_cast<int>(wrong)];
}

const char* name_of(Is is) {
  static const char* const names[] = {"absent",    "available", "running",  "retryable",
                                      "completed", "discarded", "cancelled"};
  return names[static_cast<int>(is)];
}

std::string tell(const std::vector<Step>& steps) {
  static const char* const names[] = {
      "commit", "deliver", "deliver (rolled back)", "ack", "nack", "extend", "cancel", "resume"};
  std::string story;
  const Micros first = steps.empty() ? 0 : steps.front().sent;
  for (const Step& step : steps) {
    story += "\n#     +" + std::to_string(step.sent - first) + ".." +
             std::to_string(step.done - first) + " us, client " + std::to_string(step.client) +
             ": " + names[static_cast<int>(step.did)];
    if (step.lease) story += " lease " + std::to_string(step.lease);
    if (step.attempt) story += " attempt " + std::to_string(step.attempt);
    if (step.ms) story += " " + std::to_string(step.ms) + " ms";
    if (step.lost) story += ", answer " + std::to_string(step.lost) + " lost";
  }
  return story;
}

}  // namespace stress
