#include "stream/writers.hpp"

#include "core/cursor.hpp"
#include "server/datum.hpp"
#include "server/lock.hpp"

namespace kanthorq {

namespace {

// The id with its epoch: the newest id with these 32 bits that was handed out.
std::uint64_t full_transaction_id(TransactionId xid) {
  const FullTransactionId next = ReadNextFullTransactionId();
  const uint32 epoch = EpochFromFullTransactionId(next);
  const bool before_wrap = xid > XidFromFullTransactionId(next);
  return U64FromFullTransactionId(
      FullTransactionIdFromEpochAndXid(before_wrap ? epoch - 1 : epoch, xid));
}

void add(OpenWriters& writers, TransactionId xid) {
  if (!TransactionIdIsValid(xid)) return;
  const std::uint64_t txid = full_transaction_id(xid);
  if (!contains(writers.txids, writers.count, txid)) writers.txids[writers.count++] = txid;
}

// The holder of a lock is a running backend or a prepared transaction. A prepared transaction keeps
// the virtual id of the backend that prepared it, while that backend runs something else. So the
// backend's transaction counts only if it is still the holder after its id was read. PREPARE
// registers the prepared transaction before the backend gives it up, so in this order one of the
// two is found.
void add_holder(OpenWriters& writers, const VirtualTransactionId& holder) {
  if (VirtualTransactionIdIsRecoveredPreparedXact(holder)) {
    add(writers, holder.localTransactionId);  // since a restart this is the transaction's id
    writers.has_prepared = true;
    return;
  }
  const TransactionId running = running_transaction_of(holder);
  if (is_running(holder)) add(writers, running);
  bool more = false;
  const TransactionId prepared = TwoPhaseGetXidByVirtualXID(holder, &more);
  add(writers, prepared);
  writers.has_prepared = writers.has_prepared || TransactionIdIsValid(prepared);
}

}  // namespace

void become_writer(Oid table) {
  lock_relation(table, RowExclusiveLock);
  (void)GetTopFullTransactionId();
}

OpenWriters open_writers(const OpenStream& stream) {
  LOCKTAG tag;
  SET_LOCKTAG_RELATION(tag, MyDatabaseId, RelationGetRelid(stream.table));
  int holders = 0;
  VirtualTransactionId* holder = GetLockConflicts(&tag, ShareLock, &holders);
  OpenWriters writers{palloc_array_of<std::uint64_t>(2 * holders + 1), 0, false};
  for (int i = 0; i < holders; i++) add_holder(writers, holder[i]);
  // The list does not have the caller itself.
  if (CheckRelationLockedByMe(stream.table, RowExclusiveLock, true))
    add(writers, GetTopTransactionIdIfAny());
  return writers;
}

// Reads the sequence's row under the buffer's lock. nextval reserves values in the WAL, up to 32
// ahead, and has the last reserved one in the row for an instant. Without the lock, positions might
// seem to be handed out that are still to come.
int64 last_position(const OpenStream& stream) {
  Relation relation = relation_open(stream.position_sequence, AccessShareLock);
  Buffer buffer = ReadBuffer(relation, 0);
  LockBuffer(buffer, BUFFER_LOCK_SHARE);
  Page page = BufferGetPage(buffer);
  auto* header =
      reinterpret_cast<HeapTupleHeader>(PageGetItem(page, PageGetItemId(page, FirstOffsetNumber)));
  auto* data =
      reinterpret_cast<Form_pg_sequence_data>(reinterpret_cast<char*>(header) + header->t_hoff);
  const int64 last = data->is_called ? data->last_value : data->last_value - 1;
  UnlockReleaseBuffer(buffer);
  relation_close(relation, AccessShareLock);
  return last;
}

}  // namespace kanthorq
