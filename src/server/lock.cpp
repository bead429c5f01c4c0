#include "server/lock.hpp"

#include "server/scope.hpp"

namespace kanthorq {

namespace {

// An error leaves CurrentResourceOwner changed. That does no harm: after it the transaction or a
// subtransaction ends, which sets it anew. The server's own sequences and large objects do the
// same.
template <typename Body>
auto as_transaction(Body body) {
  const ResourceOwner caller = CurrentResourceOwner;
  CurrentResourceOwner = CurTransactionResourceOwner;
  return run_and_close(body, [&] { CurrentResourceOwner = caller; });
}

}  // namespace

void lock_relation(Oid relation, LOCKMODE mode) {
  as_transaction([&] { LockRelationOid(relation, mode); });
}

bool try_lock_relation(Oid relation, LOCKMODE mode) {
  return as_transaction([&] { return ConditionalLockRelationOid(relation, mode); });
}

void unlock_relation(Oid relation, LOCKMODE mode) {
  as_transaction([&] { UnlockRelationOid(relation, mode); });
}

void lock_object(Oid table, Oid object, uint16 part, LOCKMODE mode) {
  as_transaction([&] { LockDatabaseObject(table, object, part, mode); });
}

bool try_lock_object(Oid table, Oid object, uint16 part, LOCKMODE mode) {
  return as_transaction([&] { return ConditionalLockDatabaseObject(table, object, part, mode); });
}

void unlock_object(Oid table, Oid object, uint16 part, LOCKMODE mode) {
  as_transaction([&] { UnlockDatabaseObject(table, object, part, mode); });
}

bool has_locked_object(Oid table, Oid object, uint16 part, LOCKMODE mode) {
  LOCKTAG tag;
  SET_LOCKTAG_OBJECT(tag, MyDatabaseId, table, object, part);
  return holds_lock(tag, mode);
}

}  // namespace kanthorq
