// Which table a stream's or consumer's name has, and whose the name is: the rows of
// kanthorq_registered_table.
//
// A name is mapped to the name of a table (core/name.hpp). Once that table is gone, any role that
// may create tables may create another one of this name. So the library remembers the very table.
// No other one is ever used for the stream or consumer, and the name belongs to the role that
// created it until it is dropped by the function. The table is remembered as a regclass: dumps and
// pg_upgrade keep it, and a rename, a new owner or VACUUM FULL do not change it. If the table is
// gone, a dump leaves the row out, because a restored number might be another table's.
//
// Rows are written under the lock of the name (lock_stream_name(), lock_consumer_name()).
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

enum class Kind { stream, consumer };

struct RegisteredTable {
  Oid table;          // InvalidOid if the name has none; the table may have been dropped
  const char* owner;  // the role that created it; empty if the name has no row
};

RegisteredTable registered_table(Oid schema, Kind kind, std::string_view name);

// The relation that has the name of the table now, registered or not; InvalidOid if there is none.
Oid relation_by_name(Oid schema, Kind kind, std::string_view name);

// The registered table, if it exists and still has its name; else InvalidOid.
Oid table_in_place(Oid schema, Kind kind, std::string_view name);

// Remembers the relation that has the name of the table now. The name belongs to its owner.
void register_table(Oid schema, Kind kind, std::string_view name);

void unregister_table(Oid schema, Kind kind, std::string_view name);

// Raises 42501 unless the current user owns a registered name: as the owner of its table or, if
// that was dropped by hand, as the role that created it or the owner of the extension. Raises 55000
// if the table was given another name or schema. Nobody would find it again if the name were
// dropped or given to another table.
void require_name_ownership(Oid schema, Kind kind, std::string_view name);

// Takes the strongest lock on the registered table, for dropping it, and checks the ownership under
// that lock. Returns the table; InvalidOid if it is gone or has another name.
Oid lock_for_drop(Oid schema, Kind kind, std::string_view name);

// Drops a table that lock_for_drop() has returned.
void drop_table(Oid table);

// Raises 42710: `table` has the name of a table of a `kind`, "stream" or "consumer", and is not the
// one that the stream or consumer `name` was created with.
[[noreturn]] void raise_not_registered_table(Relation table, const char* kind,
                                             std::string_view name);

}  // namespace kanthorq
