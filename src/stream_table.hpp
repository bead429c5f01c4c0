// From a stream's name to its open table.
#pragma once

#include "pg.hpp"

namespace kanthorq {

struct OpenStream {
  Relation relation;
  bool plain;  // events may be inserted directly, as far as the table is concerned
  Oid position_sequence;
  Oid position_index;
};

// Opens the table of the stream `name` with `lock`, which is kept to the end of the transaction.
// Raises 22023 for what is no name, 42704 where there is no such stream, 42710 where what has its
// table's name is not its table, and 42501 without USAGE on the schema. Privileges on the table are
// the caller's to check.
OpenStream open_stream(Oid schema, std::string_view name, LOCKMODE lock);

// The same, but false, with nothing open, where there is no such stream or no table of its own.
bool try_open_stream(Oid schema, std::string_view name, LOCKMODE lock, OpenStream& stream);

// Runs `body` with the open stream.
template <typename Body>
void with_stream(Oid schema, std::string_view name, LOCKMODE lock, Body body) {
  const OpenStream stream = open_stream(schema, name, lock);
  body(stream);
  table_close(stream.relation, NoLock);
}

// Raises 42710: what has the name of the table is not the one that the `kind` was created with.
[[noreturn]] void raise_not_registered_table(Relation other, const char* kind,
                                             std::string_view name);

// Raises 42501 where row security is in force on the table for the current user: its rows are read
// or written directly, and it must not be bypassed.
void require_no_row_security(Relation table);

// Raises 42501 where the current user does not own the table.
void require_ownership(Relation table);

// Raises 55000 where `argument` of the call, the confirmation, does not repeat the name of the
// `kind`, a stream or consumer.
void require_confirmation(FunctionCallInfo fcinfo, int argument, const char* kind,
                          std::string_view name);

// Raises 42501 without CREATE on the extension's schema.
void require_create_privilege(Oid schema);

}  // namespace kanthorq
