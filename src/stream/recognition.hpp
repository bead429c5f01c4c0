// How the table of a stream is recognised: whether it is one at all, whose, and whether it is still
// as it was created (definition.hpp).
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Is it a table with the columns of a stream and this stream's name in it?
bool is_table_of(Oid oid, Oid schema, std::string_view name);

// As a sentence, why this is not the table of the stream `name`: it lacks the columns of a stream,
// or another stream's name stands in it. Null where it is.
const char* stream_table_difference(Relation table, Oid schema, std::string_view name);

// Raises 42710 where there is such a difference.
void require_stream_table(Relation table, Oid schema, std::string_view name);

// Is this the table of the stream `name`, as create_stream_table() made it, with nothing on it that
// an INSERT would heed and a direct insertion would not? Indexes are not looked at.
bool is_plain_stream_table(Relation table, Oid schema, std::string_view name);

// Positions must be handed out one by one and in order: a session that keeps some for later would
// take one behind which readers have passed.
bool hands_out_in_order(Oid sequence);

// As a sentence, how the table differs from what create_stream_table() makes; null if it does not.
// Defaults, checks, triggers and further columns are not looked at.
const char* stream_definition_difference(Relation table);

// Has the table a valid index on exactly subject and id, of all rows?
bool has_subject_index(Relation table);

// Raises 42710: the table, which has the name of a stream's, is not the stream's.
[[noreturn]] void raise_not_stream_table(Relation table, const char* difference);

}  // namespace kanthorq
