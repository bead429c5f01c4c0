// One event's story with one consumer: what was done to it, and whether that can be.
//
// Every step took effect at one moment between `sent` and `done`. A story is explained if there is
// an order of these moments in which each step does what the event's state then allows.
//
// If the answer to a step was lost, it took effect or not, together with all steps that have the
// same number in `lost`. Then a story is explained if it is with some of them. The same is so for a
// pull that a crash may have forgotten.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client.hpp"

namespace stress {

enum class Did { commit, deliver, deliver_in_vain, ack, nack, extend, cancel, resume };

struct Step {
  Did did;
  int client;
  Micros sent, seen, done;
  std::int64_t lease = 0;
  int attempt = 0;      // 0: nobody knows
  std::int64_t ms = 0;  // how long the lease is, or the wait until the retry
  int lost = 0;
  bool may_be_forgotten = false;  // it took effect, and a crash may have taken that back
};

enum class Is { absent, available, running, retryable, completed, discarded, cancelled };

enum class Wrong {
  nothing,
  read_before_commit,
  after_ack,
  leased_twice,
  attempt,
  too_early,
  while_out,
  fence,
  change,
  too_long,
  kinds
};
const char* meaning(Wrong wrong);

struct Ending {
  Is is = Is::absent;
  Wrong wrong = Wrong::nothing;
  int at = -1;  // the step that nothing explains
};

// `wanted`: explained only if the story can end so. `unseen`: pulls whose answers were lost; each
// may have delivered the event.
Ending explain(const std::vector<Step>& steps, const std::vector<Step>& unseen, int attempt_max,
               std::optional<Is> wanted);

std::string tell(const std::vector<Step>& steps);
const char* name_of(Is is);

}  // namespace stress
