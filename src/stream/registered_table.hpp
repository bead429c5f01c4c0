// Which table a stream's or consumer's name has, and whose the name is: the rows of
// kanthorq_registered_table.
//
// A name is mapped to the name of a table (core/name.hpp), and whoever may create tables may take
// that once the table is gone. So the library remembers the very table. No other one is ever used
// under the name, and the name belongs to the role that created it until it is dropped by the
// function. The table is remembered as a regclass: dumps and pg_upgrade keep it, and a rename, a
// new owner or VACUUM FULL do not change it. If the table is gone, a dump leaves the row out: what
// would be restored is a number, which another table has there or gets.
//
// Rows are written under the lock of the name (lock_stream_name(), lock_consumer_name()).
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

enum class Kind { stream, consumer };

struct RegisteredTable {
  Oid table;          // invalid if the name has none; the table itself may have been dropped
  const char* owner;  // the role that created it; empty if the name has no row
};

RegisteredTable registered_table(Oid schema, Kind kind, std::string_view name);

// What has the name of the table now; invalid if there is nothing.
Oid relation_by_name(Oid schema, Kind kind, std::string_view name);

// The registered table, if it is there and still has its name; otherwise invalid.
Oid table_in_place(Oid schema, Kind kind, std::string_view name);

// Notes that the name has the table that is in its place now, and is the table's owner's.
void register_table(Oid schema, Kind kind, std::string_view name);

void unregister_table(Oid schema, Kind kind, std::string_view name);

// Raises 42501 unless the current user may say what becomes of a registered name: as the owner of
// its table or, if that was dropped by hand, as the role that created it or the owner of the
// extension. Raises 55000 if the table was given another name or schema, because dropping the name
// or giving it to another table would lose it.
void require_name_ownership(Oid schema, Kind kind, std::string_view name);

// Takes the strongest lock on the registered table, for dropping it, and asks again. Returns the
// table; invalid if it is gone.
Oid lock_for_drop(Oid schema, Kind kind, std::string_view name);

// Drops a table that lock_for_drop() has returned.
void drop_table(Oid table);

// Raises 42710: what has the name of the table is not the one that the `kind` was created with.
[[noreturn]] void raise_not_registered_table(Relation other, const char* kind,
                                             std::string_view name);

}  // namespace kanthorq
