// How the table of a stream is recognised: whether a table is a stream's at all, which stream's,
// and whether it is still as it was created (definition.hpp).
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Has it the columns of a stream, and this stream's name in the default of its column txid?
bool is_table_of(Oid oid, Oid schema, std::string_view name);

// A sentence that says why this is not the table of the stream `name`: it lacks the columns of a
// stream, or another stream's name stands in it. Null if it is the stream's.
const char* stream_table_difference(Relation table, Oid schema, std::string_view name);

// Raises 42710 if there is such a difference.
void require_stream_table(Relation table, Oid schema, std::string_view name);

// Has it the columns of a stream, by number, name and type? More may follow.
bool has_stream_columns(Relation table);

// Raises 55000 if the partition of the table `stream` has not the columns of a stream. Its owner
// may have attached a table that has them in another order. Whoever reads rows by the numbers of
// the columns asks first: a number would be taken for the address of a text.
void require_stream_columns(Relation partition, Oid stream);
[[noreturn]] void raise_altered_partition(Relation partition, Oid stream);

// Is this the table of the stream `name`, as create_stream_table() made it, with nothing on it that
// an INSERT would obey and a direct insertion would not? Indexes are not compared.
bool is_plain_stream_table(Relation table, Oid schema, std::string_view name);

// Is this a partition of the open `stream`, whose name is `name`, as create_partition() made it?
// Then a direct insertion may do what an INSERT does. It may be closed: whether it has the trigger
// of closed ones is not compared (has_closed_trigger()).
bool is_plain_partition(Relation partition, Relation stream, Oid schema, std::string_view name);

// The function of ours with this name and at most one argument; InvalidOid if there is none.
Oid own_function(Oid schema, const char* name, Oid argument);

// Has the partition the trigger that notes its reopening, and does it fire in every replication
// role?
bool has_closed_trigger(Relation partition, Oid schema);

// Has it this trigger at all? After some restores it fires in fewer cases than it did.
bool may_be_closed(Relation partition, Oid schema);

inline bool is_partitioned(Relation table) {
  return table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
}

// Is this partitioned table partitioned by ranges of ids, in byte order?
bool is_partitioned_by_id(Relation table);

// Does the sequence hand out positions one by one and in order? If a session kept some for later,
// it would use them after cursors have moved over them.
bool hands_out_in_order(Oid sequence);

// A sentence that says how the table differs from what create_stream_table() makes; null if it does
// not. Defaults, checks, triggers and further columns are not compared.
const char* stream_definition_difference(Relation table);

// Has the table a valid index on exactly subject and id, of all rows?
bool has_subject_index(Relation table);

// Raises 42710: the table has the name of a stream's table, and is not the stream's.
[[noreturn]] void raise_not_stream_table(Relation table, const char* difference);

}  // namespace kanthorq
