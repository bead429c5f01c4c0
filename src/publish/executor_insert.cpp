// Insertion by an ordinary INSERT, for tables to which somebody has added triggers, rules, row
// security, constraints, columns or indexes. The executor obeys them, and checks the privileges.
#include "core/name.hpp"
#include "publish/insert.hpp"
#include "server/datum.hpp"
#include "server/quoting.hpp"
#include "server/scope.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

namespace {

Datum array_of_column(const EventBatch& batch, StreamColumn column) {
  Datum* values = palloc_array_of<Datum>(batch.count);
  for (int i = 0; i < batch.count; i++) values[i] = batch.events[i][column];
  const Oid type = column_definition(column).type;
  int16 length;
  bool by_value;
  char alignment;
  get_typlenbyvalalign(type, &length, &by_value, &alignment);
  return PointerGetDatum(construct_array(values, batch.count, type, length, by_value, alignment));
}

// Each column is a parameter, an array with a value for each event.
const char* insert_statement(Relation table, OnDuplicate on_duplicate) {
  StringInfoData columns;
  StringInfoData arrays;
  initStringInfo(&columns);
  initStringInfo(&arrays);
  for (const StreamColumn column : event_column_numbers) {
    const char* comma = column == id_column ? "" : ", ";
    appendStringInfo(&columns, "%s%s", comma, column_definition(column).name);
    appendStringInfo(&arrays, "%spg_catalog.unnest($%d)", comma, column);
  }
  return psprintf("INSERT INTO %s (%s) SELECT e.* FROM ROWS FROM (%s) AS e%s",
                  quoted_table_name(table), columns.data, arrays.data,
                  on_duplicate == OnDuplicate::skip ? " ON CONFLICT (id) DO NOTHING" : "");
}

}  // namespace

void insert_by_executor(Relation table, const EventBatch& batch) {
  with_spi([&] {
    Oid types[event_columns];
    Datum values[event_columns];
    for (const StreamColumn column : event_column_numbers) {
      types[column - 1] = get_array_type(column_definition(column).type);
      values[column - 1] = array_of_column(batch, column);
    }
    const int result = SPI_execute_with_args(insert_statement(table, batch.on_duplicate),
                                             event_columns, types, values, nullptr, false, 0);
    if (result < 0) elog(ERROR, "could not insert events: %s", SPI_result_code_string(result));
  });
}

}  // namespace kanthorq
