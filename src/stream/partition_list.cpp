#include "stream/partition_list.hpp"

#include "server/datum.hpp"
#include "server/scope.hpp"

namespace kanthorq {

namespace {

// Knows a snapshot again by what it sees. Its address would not do, because the address of one that
// was freed is used again. If two snapshots of one subtransaction see different things, they differ
// in one of these numbers:
// - Another transaction has ended between them. Then fewer are running, or xmin or xmax has moved.
// - This session has changed something itself. Then the command differs.
struct Sight {
  Oid stream;
  LocalTransactionId transaction;
  SubTransactionId subtransaction;
  TransactionId xmin;
  TransactionId xmax;
  uint32 running;
  int32 running_subtransactions;
  CommandId command;

  bool operator==(const Sight&) const = default;
};

Sight sight_of(const OpenStream& stream, Snapshot snapshot) {
  return {RelationGetRelid(stream.table),
          local_transaction_id(),
          GetCurrentSubTransactionId(),
          snapshot->xmin,
          snapshot->xmax,
          snapshot->xcnt,
          snapshot->subxcnt,
          snapshot->curcid};
}

struct KnownList {
  Sight sight;
  int64 after;
  PartitionList list;
  int room;
};

constinit KnownList known{};

void read_list(const OpenStream& stream, Snapshot snapshot, int64 after) {
  const Partitions read = partitions_after(stream, snapshot, after);
  if (read.count > known.room) {
    const int room = Max(16, 2 * read.count);
    if (known.list.partitions.items) pfree(known.list.partitions.items);
    known.list.partitions.items = nullptr;
    known.room = 0;
    known.list.partitions.items =
        static_cast<Partition*>(MemoryContextAlloc(TopMemoryContext, room * sizeof(Partition)));
    known.room = room;
  }
  std::copy_n(read.items, read.count, known.list.partitions.items);
  known.list.partitions.count = read.count;
}

}  // namespace

// If the list does not reach back far enough, all of it is read. Otherwise it would be read again
// and again for whoever asks for positions in descending order.
PartitionList& listed_partitions(const OpenStream& stream, Snapshot snapshot, int64 after) {
  if (!IsMVCCSnapshot(snapshot)) {
    known.sight = {};
    // An empty partition may hold what such a snapshot sees, and so may a retired one.
    with_newest_snapshot([&](Snapshot newest) { read_list(stream, newest, PG_INT64_MIN); });
    return known.list;
  }
  const Sight sight = sight_of(stream, snapshot);
  const bool is_same = known.sight == sight;
  if (is_same && known.after <= after) return known.list;
  known.sight = {};  // and so it stays if reading fails
  const int64 from = is_same ? 0 : after;
  read_list(stream, snapshot, from);
  known.sight = sight;
  known.after = from;
  return known.list;
}

}  // namespace kanthorq
