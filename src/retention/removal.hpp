// The permit under which events are removed. Without one the triggers of a stream's table refuse
// every DELETE.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// From now on the next DELETE that the current function runs on `table` is permitted. It is a
// stream's table, and then rows of its partitions may go, or one partition. Returns the permit.
int grant_removal(Oid table);

// After it no row may go any more. After an error nobody needs to call this.
void withdraw_removal(int permit);

// Runs `body`, whose one DELETE on `table` is permitted, and returns what it returned.
template <typename Body>
auto with_removal_permit(Oid table, Body body) {
  const int permit = grant_removal(table);
  const auto result = body();
  withdraw_removal(permit);
  return result;
}

}  // namespace kanthorq
