// From a stream's name to its open table.
#pragma once

#include "server/pg.hpp"
#include "server/scope.hpp"

namespace kanthorq {

struct OpenStream {
  Relation table;
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

// Runs `body(stream)` with the open stream.
template <typename Body>
auto with_stream(Oid schema, std::string_view name, LOCKMODE lock, Body body) {
  const OpenStream stream = open_stream(schema, name, lock);
  return run_and_close([&] { return body(stream); }, [&] { table_close(stream.table, NoLock); });
}

}  // namespace kanthorq
