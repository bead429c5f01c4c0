// Insertion by an ordinary INSERT, for tables that carry insert triggers, rules, row security for
// this user, constraints, columns or indexes of their own: the executor knows what to do with them.
// It also checks the privileges.
#include "datum.hpp"
#include "insert.hpp"
#include "scope.hpp"
#include "shape.hpp"

namespace kanthorq {

namespace {

template <typename Value>
Datum array_of(const EventBatch& batch, Oid type, Value value) {
  Datum* values = palloc_array_of<Datum>(batch.count);
  for (int i = 0; i < batch.count; i++) values[i] = value(batch.events[i]);
  int16 length;
  bool by_value;
  char alignment;
  get_typlenbyvalalign(type, &length, &by_value, &alignment);
  return PointerGetDatum(construct_array(values, batch.count, type, length, by_value, alignment));
}

}  // namespace

void insert_by_executor(Relation table, const EventBatch& batch) {
  with_spi([&] {
    const char* sql = psprintf(
        "INSERT INTO %s (%s) SELECT e.* FROM ROWS FROM (pg_catalog.unnest($1),"
        " pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"
        " pg_catalog.unnest($5)) AS e%s",
        quoted_table_name(table), event_column_list,
        batch.on_duplicate == OnDuplicate::skip ? " ON CONFLICT (id) DO NOTHING" : "");
    Oid types[event_columns] = {TEXTARRAYOID, TEXTARRAYOID, BYTEAARRAYOID, JSONBARRAYOID,
                                INT8ARRAYOID};
    Datum values[event_columns] = {
        array_of(batch, TEXTOID, [](const Event& event) { return event.id; }),
        array_of(batch, TEXTOID, [](const Event& event) { return event.subject; }),
        array_of(batch, BYTEAOID, [](const Event& event) { return event.body; }),
        array_of(batch, JSONBOID, [](const Event& event) { return event.metadata; }),
        array_of(batch, INT8OID,
                 [](const Event& event) { return Int64GetDatum(event.created_at); })};
    const int result = SPI_execute_with_args(sql, event_columns, types, values, nullptr, false, 0);
    if (result < 0) elog(ERROR, "could not insert events: %s", SPI_result_code_string(result));
  });
}

}  // namespace kanthorq
