// The rows of kanthorq_stream_registry.
//
// Only the library writes them, after the privileges of section "Privileges" of the README were
// checked: the table itself grants nobody but its owner more than SELECT. So they are written like
// rows of a system catalog, without a query, and read with the newest snapshot in every isolation
// level: whether a stream exists is a fact about now.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Waits until no other transaction creates or drops the stream `name`, and keeps it so until this
// transaction ends; with ShareLock, several may keep it so, as those do that create its consumers.
// Taken before any lock on the stream's table.
void lock_stream_name(Oid schema, std::string_view name, LOCKMODE mode = AccessExclusiveLock);

bool is_registered(Oid schema, std::string_view name);

Oid registry_oid(Oid schema);

// Adds the row and returns it as a value of the composite type. The caller holds
// lock_stream_name(), and knows that there is none.
Datum register_stream(Oid schema, std::string_view name);

// Sets the updated_at of the row and returns it, 0 where there is none. Needs no lock of the name:
// the row is locked, so a transaction that has published and then asks for its stream again does
// not wait for somebody who waits for it to drop the stream.
Datum refresh_stream(Oid schema, std::string_view name);

// False where there is no row. The caller holds lock_stream_name().
bool unregister_stream(Oid schema, std::string_view name);

}  // namespace kanthorq
