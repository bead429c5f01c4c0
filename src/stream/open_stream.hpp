// From a stream's name to its open table.
#pragma once

#include "id/ids.hpp"
#include "server/pg.hpp"
#include "server/scope.hpp"

namespace kanthorq {

struct OpenStream {
  Relation table;
  Oid schema;           // the extension's
  bool plain;           // nothing on the table keeps events from being inserted directly
  bool is_partitioned;  // its rows are in partitions (partitions.hpp), and the table has none
  Oid position_sequence;
  Oid position_index;  // of the table; each partition has its own
  IdForm id_form;      // of the ids that are made for it
};

// Opens the table of the stream `name` with `lock`, which is kept to the end of the transaction.
// Raises 22023 for an invalid name, 42704 if there is no such stream or no table of its own, 42710
// if another table has its table's name, 55000 if Citus manages the table, and 42501 without USAGE
// on the schema. The caller checks the privileges on the table.
OpenStream open_stream(Oid schema, std::string_view name, LOCKMODE lock);

// The same, but returns false, with nothing open, if there is no such stream or no table of its
// own. If it returns true, the lock belongs to the current resource owner.
bool try_open_stream(Oid schema, std::string_view name, LOCKMODE lock, OpenStream& stream);

// Runs `body(stream)` with the open stream.
template <typename Body>
auto with_stream(Oid schema, std::string_view name, LOCKMODE lock, Body body) {
  const OpenStream stream = open_stream(schema, name, lock);
  return run_and_close([&] { return body(stream); }, [&] { table_close(stream.table, NoLock); });
}

}  // namespace kanthorq
