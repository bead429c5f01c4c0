#include "stream/definition.hpp"

#include "server/datum.hpp"
#include "server/quoting.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"

namespace kanthorq {

namespace {

char* column_definitions() {
  StringInfoData sql;
  initStringInfo(&sql);
  for (const StreamColumnDefinition& column : stream_column_definitions)
    appendStringInfo(&sql, "%s%s %s NOT NULL", sql.len > 0 ? ", " : "", column.name,
                     column.definition);
  return sql.data;
}

// The name of an index or the sequence of the stream's table, quoted. `what` says which.
const char* quoted_part(std::string_view name, const char* what) {
  return quoted_name(part_name(stream_table_prefix, name, what));
}

// Calls of our functions have arguments of exactly their types, below and in every query. The
// columns are varchar. If somebody put an overload on varchar into the schema, it would match
// better.

void set_defaults(const char* table, const char* own, std::string_view name, const char* new_id) {
  run_definition(
      psprintf("ALTER TABLE %s"
               " ALTER id SET DEFAULT %s,"
               " ALTER metadata SET DEFAULT '{}',"
               " ALTER created_at SET DEFAULT"
               " EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) OPERATOR(pg_catalog.*) 1000,"
               " ALTER txid SET DEFAULT %s.kanthorq_txid(%s::pg_catalog.text)",
               table, new_id, own, quote_literal_cstr(cstring_of(name))));
}

void add_checks(const char* table, const char* own) {
  for (const StreamCheck& check : stream_checks) {
    const char* column = column_definition(check.column).name;
    const char* condition =
        check.function
            ? psprintf("%s.%s(%s::pg_catalog.text)", own, check.function, column)
            : psprintf("pg_catalog.jsonb_typeof(%s) OPERATOR(pg_catalog.=) 'object'", column);
    run_definition(
        psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s)", table, check.name, condition));
  }
}

// Those for statements, which a partition must have of its own.
void create_statement_triggers(const char* table, const char* own) {
  run_definition(
      psprintf("CREATE TRIGGER %s BEFORE INSERT ON %s"
               " FOR EACH STATEMENT EXECUTE FUNCTION %s.kanthorq_stream_writer()",
               writer_trigger, table, own));
  run_definition(
      psprintf("CREATE TRIGGER %s BEFORE UPDATE OR DELETE OR TRUNCATE ON %s"
               " FOR EACH STATEMENT EXECUTE FUNCTION %s.kanthorq_stream_append_only()",
               statement_trigger, table, own));
  run_definition(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s, ENABLE ALWAYS TRIGGER %s",
                          table, writer_trigger, statement_trigger));
}

// The server gives each partition a copy of this one.
void create_row_trigger(const char* table, const char* own) {
  run_definition(
      psprintf("CREATE TRIGGER %s BEFORE UPDATE OR DELETE ON %s"
               " FOR EACH ROW EXECUTE FUNCTION %s.kanthorq_stream_append_only()",
               row_trigger, table, own));
}

void add_comment(const char* table, std::string_view name) {
  run_definition(
      psprintf("COMMENT ON TABLE %s IS %s", table,
               quote_literal_cstr(psprintf("KanthorQ stream \"%s\": append-only; events are added "
                                           "by kanthorq_publish(), INSERT or COPY",
                                           cstring_of(name)))));
}

}  // namespace

void complete_stream_table(Oid schema, std::string_view name, const char* table,
                           const IdForm& id_form) {
  const char* own = quoted_schema(schema);
  set_defaults(table, own, name, id_expression(id_form, schema));
  add_checks(table, own);
  create_statement_triggers(table, own);
  create_row_trigger(table, own);
  add_comment(table, name);
}

void complete_partition(Oid schema, std::string_view name, const char* partition) {
  create_statement_triggers(partition, quoted_schema(schema));
  run_definition(psprintf(
      "COMMENT ON TABLE %s IS %s", partition,
      quote_literal_cstr(psprintf("a partition of the KanthorQ stream \"%s\"", cstring_of(name)))));
}

void create_subject_index(std::string_view name, const char* table) {
  run_definition(
      psprintf("CREATE INDEX %s ON %s (subject, id)", quoted_part(name, "subject_id_idx"), table));
}

// A key of a partitioned table must have the id in it. So its positions have an index that is not
// unique.
static void create_table(Oid schema, std::string_view name, const char* table,
                         const StreamShape& shape) {
  const char* unique_position =
      psprintf(", CONSTRAINT %s UNIQUE (position)", quoted_part(name, "position_key"));
  run_definition(psprintf(
      "CREATE TABLE %s (%s GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME %s.%s),"
      " CONSTRAINT %s PRIMARY KEY (id)%s) %s",
      table, column_definitions(), quoted_schema(schema), quoted_part(name, "position_seq"),
      quoted_part(name, "pkey"), shape.is_partitioned ? "" : unique_position,
      shape.is_partitioned ? "PARTITION BY RANGE (id)" : "USING heap"));
  if (shape.is_partitioned)
    run_definition(
        psprintf("CREATE INDEX %s ON %s (position)", quoted_part(name, "position_idx"), table));
}

void create_stream_table(Oid schema, std::string_view name, const StreamShape& shape) {
  with_spi([&] {
    const TableName created = table_name(stream_table_prefix, name);
    const char* table = quoted_table_name(schema, created.c_str());
    create_table(schema, name, table, shape);
    KANTHORQ_TEST_POINT("stream_create_table");
    if (shape.subject_index) create_subject_index(name, table);
    KANTHORQ_TEST_POINT("stream_create_index");
    complete_stream_table(schema, name, table, shape.id_form);
  });
}

// Not as PARTITION OF, which would lock the stream's table against everybody.
const char* create_partition(Oid schema, std::string_view name, const char* mark) {
  const TableName stream = table_name(stream_table_prefix, name);
  const TableName created = part_name(stream_table_prefix, name, mark);
  const char* partition = quoted_table_name(schema, created.c_str());
  run_definition(
      psprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
               " INCLUDING GENERATED INCLUDING INDEXES INCLUDING STORAGE INCLUDING COMPRESSION)"
               " USING heap",
               partition, quoted_table_name(schema, stream.c_str())));
  return partition;
}

// With a check that says the same as the bounds, the server need not look at the rows again while
// it holds its locks.
Oid attach_partition(Oid schema, std::string_view name, const char* mark, const char* lower,
                     const char* upper) {
  constexpr const char* bounds_check = "kanthorq_bounds";
  const TableName stream = table_name(stream_table_prefix, name);
  const TableName created = part_name(stream_table_prefix, name, mark);
  const char* partition = quoted_table_name(schema, created.c_str());
  const char* table = quoted_table_name(schema, stream.c_str());
  if (lower) {
    const char* from = quote_literal_cstr(lower);
    const char* to = quote_literal_cstr(upper);
    run_definition(
        psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK"
                 " (id OPERATOR(pg_catalog.>=) %s AND id OPERATOR(pg_catalog.<) %s)",
                 partition, bounds_check, from, to));
    run_definition(psprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)",
                            table, partition, from, to));
    run_definition(psprintf("ALTER TABLE %s DROP CONSTRAINT %s", partition, bounds_check));
  } else {
    run_definition(psprintf("ALTER TABLE %s ATTACH PARTITION %s DEFAULT", table, partition));
  }
  complete_partition(schema, name, partition);
  return get_relname_relid(created.c_str(), schema);
}

void create_closed_trigger(Oid schema, const char* partition) {
  run_definition(
      psprintf("CREATE TRIGGER %s BEFORE INSERT ON %s"
               " FOR EACH ROW EXECUTE FUNCTION %s.kanthorq_partition_closed()",
               closed_trigger, partition, quoted_schema(schema)));
  run_definition(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", partition, closed_trigger));
}

}  // namespace kanthorq
