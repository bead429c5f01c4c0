// A transaction that writes nothing but pulls does not wait for the disk when it commits.
#pragma once

#include "server/pg.hpp"
#include "server/scope.hpp"

namespace kanthorq {

// The first returns the server's count of the WAL records that this session has written; the second
// takes it. The commit waits unless all records of the transaction are from pulls that ended with
// kanthorq.durable_pull off.
int64 begin_pull();
void end_pull(int64 begun);

// From a pull: the commit of this transaction must wait as synchronous_commit says.
void require_durable_commit();

// Runs `body`, which is one pull. It runs nobody else's code, so all that is written meanwhile is
// the pull's.
template <typename Body>
void as_pull(Body body) {
  const int64 begun = begin_pull();
  run_and_close(body, [&] { end_pull(begun); });
}

}  // namespace kanthorq
