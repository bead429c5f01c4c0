#include "retention/maintenance_row.hpp"

#include "retention/maintain.hpp"
#include "server/rows.hpp"
#include "server/time.hpp"

namespace kanthorq {

namespace {

enum MaintenanceColumn : AttrNumber {
  stream_name_column = 1,
  step_column,
  finished_at_column,
  duration_ms_column,
  done_column,
  said_column,
  error_column,
};
constexpr Oid maintenance_types[] = {VARCHAROID, TEXTOID, INT8OID, INT8OID,
                                     INT8OID,    TEXTOID, TEXTOID};
constexpr OwnTable maintenance_table{"kanthorq_maintenance", maintenance_types,
                                     lengthof(maintenance_types)};

NullableDatum text_or_null(const char* text) {
  return text ? NullableDatum{text_datum(text), false} : NullableDatum{0, true};
}

HeapTuple find_row(Relation table, std::string_view name, const char* step) {
  ScanKeyData keys[2] = {equals_text(stream_name_column, name), equals_text(step_column, step)};
  return only_row(table, primary_key_index(table), keys, 2);
}

bool shows_trouble(Relation table, HeapTuple row) {
  return !nullable_row_value(table, row, said_column).isnull ||
         !nullable_row_value(table, row, error_column).isnull;
}

}  // namespace

void write_maintenance(Oid schema, std::string_view name, const char* step,
                       const MaintenanceRow& row) {
  with_own_table(schema, maintenance_table, RowExclusiveLock, [&](Relation table) {
    HeapTuple stored = find_row(table, name, step);
    if (!row.is_worth_writing() && !(stored && shows_trouble(table, stored))) return;
    RowValues values(table);
    values.set(stream_name_column, text_datum(name));
    values.set(step_column, text_datum(step));
    values.set(finished_at_column, Int64GetDatum(now_ms()));
    values.set(duration_ms_column, Int64GetDatum(row.duration_ms));
    values.set(done_column, Int64GetDatum(row.done));
    values.set(said_column, text_or_null(row.said));
    values.set(error_column, text_or_null(row.error));
    if (stored)
      update_row(table, stored, values);
    else
      insert_row(table, values);
  });
}

void forget_maintenance(Oid schema, std::string_view name) {
  with_own_table(schema, maintenance_table, RowExclusiveLock, [&](Relation table) {
    ScanKeyData key = equals_text(stream_name_column, name);
    List* rows = NIL;
    for_rows(table, primary_key_index(table), &key, 1, [&](HeapTuple row) {
      rows = lappend(rows, heap_copytuple(row));
      return true;
    });
    ListCell* cell;
    foreach (cell, rows) delete_row(table, static_cast<HeapTuple>(lfirst(cell)));
  });
}

}  // namespace kanthorq
