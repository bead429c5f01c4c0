// What a stream table looks like: the one place that knows its columns, defaults, checks, triggers
// and indexes.
#pragma once

#include "pg.hpp"

namespace kanthorq {

// The columns, by number. The first five are the documents' Event, and all that publishers name.
enum StreamColumn : AttrNumber {
  id_column = 1,
  subject_column,
  body_column,
  metadata_column,
  created_at_column,
  txid_column,  // must stand before position: a transaction has an id before it has a position
  position_column,
};
inline constexpr int event_columns = 5;
inline constexpr int stream_columns = 7;

inline constexpr const char* event_column_list = "id, subject, body, metadata, created_at";

// The table's name, quoted and with its schema, for SQL text.
char* quoted_table_name(Relation table);

// Creates the table of the stream `name` in `schema`, owned by the caller. The caller has checked
// the name, the privilege and that there is no such relation.
void create_stream_table(Oid schema, std::string_view name, bool subject_index);

// Makes the table of this name, which exists but is not registered as the stream's, the stream's:
// its columns must be a stream's, no other stream's name may stand in it (42710), and the caller
// must be its owner, a superuser too (42501). Defaults, checks and triggers, which DROP EXTENSION
// ... CASCADE takes away, are put (back) in place.
void adopt_stream_table(Oid schema, std::string_view name, bool subject_index);

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

}  // namespace kanthorq
