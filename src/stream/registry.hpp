// The rows of kanthorq_stream_registry.
//
// Only the library writes them, after it has checked the privileges that docs/security.md lists.
// The table itself grants nobody but its owner more than SELECT. The rows are read with the newest
// snapshot in every isolation level, because the question is whether a stream exists now.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Waits until no other transaction creates or drops the stream `name`, and keeps others from that
// until this transaction ends. Several transactions may hold ShareLock, as those do that create the
// stream's consumers. Taken before any lock on the stream's table.
void lock_stream_name(Oid schema, std::string_view name, LOCKMODE mode = AccessExclusiveLock);

// The same without waiting; false if that would take it.
bool try_lock_stream_name(Oid schema, std::string_view name, LOCKMODE mode);

// Becomes the only transaction that maintains the stream `name`, until its end. False if another
// one does.
bool try_lock_maintenance(Oid schema, std::string_view name);

bool is_registered(Oid schema, std::string_view name);

Oid registry_oid(Oid schema);

// The names of all streams, in their order.
List* registered_names(Oid schema);  // of cstrings

// Adds the row and returns it as a value of the composite type. The caller holds
// lock_stream_name(), and has found no such row.
Datum register_stream(Oid schema, std::string_view name);

// Sets the updated_at of the row and returns the row, 0 if there is none. It locks the row, and not
// the name. So a transaction that has published and then creates the stream again does not wait for
// another one that holds the name, and waits for it to drop the stream.
Datum refresh_stream(Oid schema, std::string_view name);

// Deletes the row. False if there is none. The caller holds lock_stream_name().
bool unregister_stream(Oid schema, std::string_view name);

}  // namespace kanthorq
