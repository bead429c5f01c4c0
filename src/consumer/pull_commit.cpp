// A pull writes a lease, a place and tasks. If the server crashes before the commit of the pull has
// reached the disk, these are forgotten: nobody has the lease, its acknowledgement is refused
// (KQ001), and the events come again with the attempt that they had. This is what happens
// after any lease that ran out, so the commit of a pull need not wait.
//
// What others do with a pull stays safe. The WAL is written in order, so a crash forgets an end of
// it and never something in the middle. An acknowledgement, a cancellation and another worker's
// pull come after what they saw of this one. If their commit is on the disk, so is this one.
// The number of a forgotten lease is not given to another one (lease.hpp).
//
// Everything else that the transaction does must be as durable as its caller has asked for. So the
// commit waits unless each WAL record of the transaction was written by a pull:
//   - A pull starts the count if the transaction has neither an id nor a record yet. If it got one
//     of these elsewhere, there is no count, and it waits.
//   - After that the server's count of records and ours must be the same. A row, the lock of a row,
//     an acknowledgement or a published event makes them differ, also if a savepoint rolled it
//     back. So do records that would not matter, such as one for a page that a query has tidied up.
//     A pull that failed is not counted, so the commit waits although it need not.
//
// They are compared when deferred triggers have run and cursors are closed, right before the commit
// is written. Only another extension can write something after that. Then this waits for the disk
// when the commit is written. The setting synchronous_commit is then off for this transaction only,
// and the server sets it back whether it commits or not. It decides about standbys, too. PREPARE
// TRANSACTION, and a commit that deletes files, wait whatever it says. A parallel worker can't
// pull.

#include "consumer/pull_commit.hpp"

#include "consumer/settings.hpp"

namespace kanthorq {

namespace {

// What the server's count would be if this transaction had written nothing but pulls. None if it
// has not pulled, or had an id before.
std::optional<int64> with_pulls_only;

bool is_waiting = true;  // the commit, as synchronous_commit says

bool has_id() { return TransactionIdIsValid(GetTopTransactionIdIfAny()); }

// If the server can't set it, the commit waits.
void commit_without_waiting() {
  if (synchronous_commit == SYNCHRONOUS_COMMIT_OFF) return;
  (void)set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
                          true, LOG, false);
}

// Have others written something between the comparison and the commit, which is a record itself?
bool is_more_than_commit() { return pgWalUsage.wal_records != *with_pulls_only + 1; }

void at_end_of_transaction(XactEvent event, void*) {
  if (event == XACT_EVENT_PRE_COMMIT) {
    is_waiting = !has_id() || with_pulls_only != pgWalUsage.wal_records;
    if (!is_waiting) commit_without_waiting();
  }
  if (event == XACT_EVENT_COMMIT && !is_waiting && is_more_than_commit())
    XLogFlush(XactLastCommitEnd);
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
    with_pulls_only.reset();
    is_waiting = true;
  }
}

void watch_commits() {
  static bool is_following;
  if (is_following) return;
  RegisterXactCallback(at_end_of_transaction, nullptr);
  is_following = true;
}

}  // namespace

int64 begin_pull() {
  watch_commits();
  if (!has_id() && XactLastRecEnd == InvalidXLogRecPtr) with_pulls_only = pgWalUsage.wal_records;
  return pgWalUsage.wal_records;
}

void require_durable_commit() { with_pulls_only.reset(); }

void end_pull(int64 begun) {
  if (!has_id())
    with_pulls_only.reset();  // if it gets one now, that is not a pull's
  else if (with_pulls_only && !durable_pull)
    *with_pulls_only += pgWalUsage.wal_records - begun;
}

}  // namespace kanthorq
