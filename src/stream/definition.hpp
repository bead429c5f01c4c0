// What a stream's table is. Its columns, defaults, checks, triggers and indexes are listed and
// created here, and recognition.hpp compares a table with this.
#pragma once

#include "core/event_id.hpp"
#include "core/name.hpp"
#include "core/subject.hpp"
#include "id/ids.hpp"
#include "server/pg.hpp"
#include "server/quoting.hpp"

namespace kanthorq {

// The columns, by number. Those of an event stand first, and are all that publishers name.
enum StreamColumn : AttrNumber {
  id_column = 1,
  subject_column,
  body_column,
  metadata_column,
  created_at_column,
  txid_column,  // stands before position: a transaction gets its id before it takes a position
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

// The type that functions return for a column: text for a varchar.
constexpr Oid shown_type(StreamColumn column) {
  const Oid type = column_definition(column).type;
  return type == VARCHAROID ? TEXTOID : type;
}

// The columns of an event, for iterating over them.
inline constexpr StreamColumn event_column_numbers[] = {id_column, subject_column, body_column,
                                                        metadata_column, created_at_column};
static_assert(lengthof(event_column_numbers) == event_columns);

// How many bytes body and metadata have together, uncompressed, with four for the length of each.
// It asks the headers and pointers only, so it reads no value that is stored out of line.
inline Size content_bytes(Datum body, Datum metadata) {
  return toast_raw_datum_size(body) + toast_raw_datum_size(metadata);
}

// The checks, each with the column that it is about. A client sees their names if a plain INSERT
// breaks one.
struct StreamCheck {
  const char* name;
  StreamColumn column;
  const char* function;  // ours; null for metadata, which a function of the server checks
};

inline constexpr StreamCheck stream_checks[] = {
    {"kanthorq_id_is_sortable", id_column, "kanthorq_is_event_id"},
    {"kanthorq_subject_is_valid", subject_column, "kanthorq_is_subject"},
    {"kanthorq_metadata_is_object", metadata_column, nullptr},
};

// The first trigger makes the inserting transaction a writer (txid.cpp). The second one refuses
// changes. Both fire for statements on the table itself, in every replication role. The third one
// refuses changes of rows by a statement on a parent table. It does not fire for rows that logical
// replication removes, because a trim has removed them on the other server.
inline constexpr const char* writer_trigger = "kanthorq_writer";
inline constexpr const char* statement_trigger = "kanthorq_append_only";
inline constexpr const char* row_trigger = "kanthorq_append_only_row";
// A partition has the first two triggers as well, and the third one from the table itself. This one
// is on closed partitions. It fires for each row that comes, and notes the reopening.
inline constexpr const char* closed_trigger = "kanthorq_closed";
inline constexpr const char* stream_triggers[] = {writer_trigger, statement_trigger, row_trigger};
inline constexpr const char* partition_triggers[] = {writer_trigger, statement_trigger,
                                                     closed_trigger};

// The functions that they call.
inline constexpr const char* writer_function = "kanthorq_stream_writer";
inline constexpr const char* append_only_function = "kanthorq_stream_append_only";
inline constexpr const char* closed_function = "kanthorq_partition_closed";

struct StreamShape {
  bool subject_index = true;
  bool is_partitioned = false;
  IdForm id_form;
};

// Creates the table of the stream `name` in `schema`, owned by the caller. The caller has checked
// the name, the privilege and that there is no such relation. It has no partition yet.
void create_stream_table(Oid schema, std::string_view name, const StreamShape& shape);

// Creates a table like the stream's, owned by the current user, who owns the stream's table. `mark`
// ends its name. It is to become a partition. Returns its name, quoted.
const char* create_partition(Oid schema, std::string_view name, const char* mark);

// Attaches it for the ids from `lower` to `upper`, or as the default partition if they are null,
// and dresses it. Takes ShareUpdateExclusiveLock on the stream's table and AccessExclusiveLock on
// the default partition. Returns its oid. Both are to be called within with_spi().
Oid attach_partition(Oid schema, std::string_view name, const char* mark, const char* lower,
                     const char* upper);

// Puts the trigger on a partition that notes its reopening. It has none yet.
void create_closed_trigger(Oid schema, const char* partition);

// Gives a partition the triggers and the comment that it has of its own. It has none of them yet.
void complete_partition(Oid schema, std::string_view name, const char* partition);

// Gives the table of the stream `name` its defaults, checks, triggers and comment. It has none of
// them yet. `table` is its quoted name. To be called within with_spi().
void complete_stream_table(Oid schema, std::string_view name, const char* table,
                           const IdForm& id_form);

// Creates the index on subject and id. The same holds here.
void create_subject_index(std::string_view name, const char* table);

}  // namespace kanthorq
