// A transaction that writes nothing but pulls does not wait for the disk when it commits.
#pragma once

#include "server/pg.hpp"
#include "server/scope.hpp"

namespace kanthorq {

// The server's count of the WAL records that this session has written, before and after a pull.
// If the transaction has written no other records, or if the setting kanthorq.durable_pull is off,
// its commit does not wait.
int64 begin_pull();
void end_pull(int64 begun);

// Runs `body`, which is one pull. It runs no code of others: what it writes is the pull's.
template <typename Body>
void as_pull(Body body) {
  const int64 begun = begin_pull();
  run_and_close(body, [&] { end_pull(begun); });
}

}  // namespace kanthorq
