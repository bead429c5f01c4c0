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

void set_defaults(const char* table, const char* own, std::string_view name) {
  run_definition(
      psprintf("ALTER TABLE %s"
               " ALTER id SET DEFAULT %s.kanthorq_ulid(),"
               " ALTER metadata SET DEFAULT '{}',"
               " ALTER created_at SET DEFAULT"
               " EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) OPERATOR(pg_catalog.*) 1000,"
               " ALTER txid SET DEFAULT %s.kanthorq_txid(%s::pg_catalog.text)",
               table, own, own, quote_literal_cstr(cstring_of(name))));
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

void create_triggers(const char* table, const char* own) {
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

void complete_stream_table(Oid schema, std::string_view name, const char* table) {
  const char* own = quoted_schema(schema);
  set_defaults(table, own, name);
  add_checks(table, own);
  create_triggers(table, own);
  add_comment(table, name);
}

void create_subject_index(std::string_view name, const char* table) {
  run_definition(
      psprintf("CREATE INDEX %s ON %s (subject, id)", quoted_part(name, "subject_id_idx"), table));
}

void create_stream_table(Oid schema, std::string_view name, bool subject_index) {
  with_spi([&] {
    const TableName created = table_name(stream_table_prefix, name);
    const char* table = quoted_table_name(schema, created.c_str());
    run_definition(psprintf(
        "CREATE TABLE %s (%s GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME %s.%s),"
        " CONSTRAINT %s PRIMARY KEY (id), CONSTRAINT %s UNIQUE (position)) USING heap",
        table, column_definitions(), quoted_schema(schema), quoted_part(name, "position_seq"),
        quoted_part(name, "pkey"), quoted_part(name, "position_key")));
    KANTHORQ_TEST_POINT("stream_create_table");
    if (subject_index) create_subject_index(name, table);
    KANTHORQ_TEST_POINT("stream_create_index");
    complete_stream_table(schema, name, table);
  });
}

}  // namespace kanthorq
