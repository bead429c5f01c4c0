// Locks that are kept to the end of the transaction, or of the subtransaction that is open. The
// library's promises rest on these.
//
// The server gives a lock to the current resource owner. Inside a cursor that is the cursor's own.
// A FETCH that fails after a savepoint gives back every lock that the cursor ever took, while the
// rows that earlier FETCHes wrote stay. So these locks are taken for the transaction, or for the
// subtransaction that is open: if they are given back early, its rows are taken back, too.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Locks the relation. If the server has taken its lock already, this one is added to it.
void lock_relation(Oid relation, LOCKMODE mode);

// The same without waiting; false if that would take it.
bool try_lock_relation(Oid relation, LOCKMODE mode);

// Gives back what lock_relation() took in the same subtransaction.
void unlock_relation(Oid relation, LOCKMODE mode);

// Locks an object of the class `table`, as LockDatabaseObject() does.
void lock_object(Oid table, Oid object, uint16 part, LOCKMODE mode);

// The same without waiting; false if that would take it.
bool try_lock_object(Oid table, Oid object, uint16 part, LOCKMODE mode);

// Gives back what lock_object() took in the same subtransaction.
void unlock_object(Oid table, Oid object, uint16 part, LOCKMODE mode);

// Has this transaction locked it in this very mode?
bool has_locked_object(Oid table, Oid object, uint16 part, LOCKMODE mode);

}  // namespace kanthorq
