// Waking: the end of a transaction wakes sessions that wait, through shared memory (shared.hpp).
// This is not done by NOTIFY: its lock makes all notifying commits of a cluster wait for each
// other.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// One session of each consumer that waits for the stream looks again when this transaction has
// committed, or is prepared. If it rolls back, nobody is woken. A prepared transaction wakes nobody
// when it commits. Cheap enough for every row.
void wake_at_commit(std::string_view stream);

// Does anybody wait in the line of this consumer (the oid of its table)?
bool has_line(Oid consumer);

// This transaction has taken events of the consumer. When it has ended, one of those that wait in
// the line looks again: if it rolls back, or if it leaves something to take soon (`has_more`).
void wake_next_at_end(Oid consumer, bool has_more);

// Follows the transactions of this process, so that an error takes it out of the line in which it
// stands.
void follow_transactions();

}  // namespace kanthorq
