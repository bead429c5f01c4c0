// What a stream's table is: the one place that knows its columns, defaults, checks, triggers and
// indexes, and makes them. recognition.hpp compares a table with this.
#pragma once

#include "core/event_id.hpp"
#include "core/name.hpp"
#include "core/subject.hpp"
#include "server/pg.hpp"

namespace kanthorq {

// The columns, by number. Those of an event stand first, and are all that publishers name.
enum StreamColumn : AttrNumber {
  id_column = 1,
  subject_column,
  body_column,
  metadata_column,
  created_at_column,
  txid_column,  // must stand before position: a transaction has an id before it has a position
  position_column,
};
inline constexpr int event_columns = created_at_column;
inline constexpr int stream_columns = position_column;

struct StreamColumnDefinition {
  const char* name;
  Oid type;
  int32 typmod;
  Oid collation;
  const char* definition;
};

inline constexpr StreamColumnDefinition stream_column_definitions[] = {
    {"id", VARCHAROID, VARHDRSZ + int32{max_event_id_bytes}, C_COLLATION_OID,
     "pg_catalog.varchar(64) COLLATE pg_catalog.\"C\""},
    {"subject", VARCHAROID, VARHDRSZ + int32{max_subject_bytes}, C_COLLATION_OID,
     "pg_catalog.varchar(128) COLLATE pg_catalog.\"C\""},
    {"body", BYTEAOID, -1, InvalidOid, "pg_catalog.bytea"},
    {"metadata", JSONBOID, -1, InvalidOid, "pg_catalog.jsonb"},
    {"created_at", INT8OID, -1, InvalidOid, "pg_catalog.int8"},
    {"txid", XID8OID, -1, InvalidOid, "pg_catalog.xid8"},
    {"position", INT8OID, -1, InvalidOid, "pg_catalog.int8"},
};
static_assert(lengthof(stream_column_definitions) == stream_columns);

constexpr const StreamColumnDefinition& column_definition(StreamColumn column) {
  return stream_column_definitions[column - 1];
}

// The type that functions return for a column: where it is a varchar, they return text.
constexpr Oid shown_type(StreamColumn column) {
  const Oid type = column_definition(column).type;
  return type == VARCHAROID ? TEXTOID : type;
}

// The columns of an event, for iterating over them.
inline constexpr StreamColumn event_column_numbers[] = {id_column, subject_column, body_column,
                                                        metadata_column, created_at_column};
static_assert(lengthof(event_column_numbers) == event_columns);

// The checks, by the column that each is about. Their names are what a client sees when a plain
// INSERT breaks one.
struct StreamCheck {
  const char* name;
  StreamColumn column;
  const char* function;  // of KanthorQ; null: the check of metadata, which is the server's own
};

inline constexpr StreamCheck stream_checks[] = {
    {"kanthorq_id_is_sortable", id_column, "kanthorq_is_event_id"},
    {"kanthorq_subject_is_valid", subject_column, "kanthorq_is_subject"},
    {"kanthorq_metadata_is_object", metadata_column, nullptr},
};

// The first trigger, which makes who inserts a publisher (txid.cpp), and the second one, which
// refuses changes, fire for statements on the table itself, in every replication role. The third
// one is for rows that a statement on a parent table changes; it leaves the rows alone that logical
// replication removes, as the publisher's trim did there.
inline constexpr const char* writer_trigger = "kanthorq_writer";
inline constexpr const char* statement_trigger = "kanthorq_append_only";
inline constexpr const char* row_trigger = "kanthorq_append_only_row";
inline constexpr const char* stream_triggers[] = {writer_trigger, statement_trigger, row_trigger};

// The function that the first one calls.
inline constexpr const char* writer_function = "kanthorq_stream_writer";

// The table's name, quoted and with its schema, for SQL text.
char* quoted_table_name(Relation table);

// Creates the table of the stream `name` in `schema`, owned by the caller. The caller has checked
// the name, the privilege and that there is no such relation.
void create_stream_table(Oid schema, std::string_view name, bool subject_index);

// Within with_spi(), for the table with this quoted name: puts the defaults, checks and triggers of
// the stream `name` on a table that has none of them; creates the index on subject and id.
void dress_stream_table(Oid schema, std::string_view name, const char* table);
void create_subject_index(std::string_view name, const char* table);

}  // namespace kanthorq
