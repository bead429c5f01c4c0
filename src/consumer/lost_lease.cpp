#include "consumer/lost_lease.hpp"

#include "server/datum.hpp"

namespace kanthorq {

namespace {

// The leases that this process settled last. They decide the words of an error only: whoever
// acknowledges the whole lease once for each of its rows has nothing to roll back.
struct SettledLease {
  Oid table;
  int64 number;
  TransactionId transaction;  // the subtransaction's, if it was done in one
};
constexpr int max_settled_leases = 16;
SettledLease settled_leases[max_settled_leases];
unsigned next_settled_lease;

// Did this transaction settle it? A subtransaction that rolled back does not count, and neither
// does a transaction that has ended.
bool is_settled_here(const Consumer& consumer, int64 number) {
  const auto is_it = [&](const SettledLease& lease) {
    return lease.number == number && lease.table == RelationGetRelid(consumer.table) &&
           TransactionIdIsCurrentTransactionId(lease.transaction);
  };
  return std::any_of(std::begin(settled_leases), std::end(settled_leases), is_it);
}

}  // namespace

void remember_settled(const Consumer& consumer, const Lease& lease) {
  settled_leases[next_settled_lease++ % max_settled_leases] = {
      RelationGetRelid(consumer.table), lease.number, GetCurrentTransactionId()};
}

void raise_lease_lost(const Consumer& consumer, int64 number) {
  const bool here = is_settled_here(consumer, number);
  ereport(ERROR,
          (errcode(MAKE_SQLSTATE('K', 'Q', '0', '0', '1')),
           errmsg("lease " INT64_FORMAT " of consumer \"%s\" is no longer held", number,
                  cstring_of(consumer.name)),
           here ? errdetail("It was settled by this transaction.")
                : errdetail("It was settled, or it ran out and its events were given to another "
                            "pull, or a seek ended it."),
           here ? errhint("Settle a lease once, not once for each of its rows, or name the ids of "
                          "the events.")
                : errhint("Roll back what was done under it. Its events come again unless they "
                          "were settled.")));
}

}  // namespace kanthorq
