// Locks that are kept to the end of the transaction, or of the subtransaction: those on which a
// promise rests.
//
// The server gives a lock to the current resource owner. Inside a cursor that is the cursor's own,
// and a FETCH that fails after a savepoint gives back every lock that the cursor ever took, while
// the rows that earlier FETCHes wrote stay. So these locks are taken for the transaction, or for
// the subtransaction that is open: what gives them back early takes its rows back, too.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Locks the relation. If its lock was taken by the server already, this one is added to it.
void lock_relation(Oid relation, LOCKMODE mode);

// The same without waiting; false if that would take it.
bool try_lock_relation(Oid relation, LOCKMODE mode);

// Gives back what lock_relation() took in the same subtransaction.
void unlock_relation(Oid relation, LOCKMODE mode);

// Locks and opens one of our own tables; the caller closes it with NoLock.
Relation open_locked(Oid table, LOCKMODE mode);

// Locks an object of the class `table`, as LockDatabaseObject() does.
void lock_object(Oid table, Oid object, uint16 part, LOCKMODE mode);

// Gives back what lock_object() took in the same subtransaction.
void unlock_object(Oid table, Oid object, uint16 part, LOCKMODE mode);

}  // namespace kanthorq
