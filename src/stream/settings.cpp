#include "stream/settings.hpp"

#include "server/datum.hpp"
#include "server/rows.hpp"

namespace kanthorq {

namespace {

enum SettingColumn : AttrNumber {
  name_column = 1,
  partition_ms_column,
  id_form_column,
  keep_ms_column,
  on_lag_column,
};
constexpr Oid setting_types[] = {VARCHAROID, INT8OID, TEXTOID, INT8OID, TEXTOID};
constexpr OwnTable setting_table{"kanthorq_setting_of_stream", setting_types,
                                 lengthof(setting_types)};

HeapTuple find_row(Relation table, std::string_view name) {
  ScanKeyData key = equals_text(name_column, name);
  return only_row(table, primary_key_index(table), &key, 1);
}

int64 number_in(Relation table, HeapTuple row, AttrNumber column) {
  const NullableDatum value = nullable_row_value(table, row, column);
  return value.isnull ? 0 : DatumGetInt64(value.value);
}

std::string_view text_in(Relation table, HeapTuple row, AttrNumber column) {
  return view_of(DatumGetTextPP(row_value(table, row, column)));
}

NullableDatum number_or_null(int64 number) { return {Int64GetDatum(number), number == 0}; }

}  // namespace

const char* on_lag_text(OnLag on_lag) { return on_lag == OnLag::skip ? "skip" : "block"; }

StreamSettings stream_settings(Oid schema, std::string_view name) {
  return with_own_table(schema, setting_table, AccessShareLock, [&](Relation table) {
    StreamSettings settings;
    HeapTuple row = find_row(table, name);
    if (!row) return settings;
    settings.partition_ms = number_in(table, row, partition_ms_column);
    settings.id_form = parse_id_form(text_in(table, row, id_form_column));
    settings.keep_ms = number_in(table, row, keep_ms_column);
    if (text_in(table, row, on_lag_column) == on_lag_text(OnLag::skip))
      settings.on_lag = OnLag::skip;
    return settings;
  });
}

void write_stream_settings(Oid schema, std::string_view name, const StreamSettings& settings) {
  with_own_table(schema, setting_table, RowExclusiveLock, [&](Relation table) {
    RowValues values(table);
    values.set(name_column, text_datum(name));
    values.set(partition_ms_column, number_or_null(settings.partition_ms));
    values.set(id_form_column, CStringGetTextDatum(id_form_text(settings.id_form)));
    values.set(keep_ms_column, number_or_null(settings.keep_ms));
    values.set(on_lag_column, CStringGetTextDatum(on_lag_text(settings.on_lag)));
    HeapTuple row = find_row(table, name);
    if (row)
      update_row(table, row, values);
    else
      insert_row(table, values);
  });
}

void forget_stream_settings(Oid schema, std::string_view name) {
  with_own_table(schema, setting_table, RowExclusiveLock, [&](Relation table) {
    HeapTuple row = find_row(table, name);
    if (row) delete_row(table, row);
  });
}

}  // namespace kanthorq
