#include "place.hpp"

namespace kanthorq {

namespace {

enum PlaceColumn : AttrNumber {
  consumer_column = 1,
  cursor_column,
  ceiling_column,
  late_column,
  last_lease_column,
};
constexpr int place_columns = 5;

// The list of late writers is kept as an array of (txid, after, upto), one behind the other, which
// a DBA can read.
constexpr int late_fields = 3;

Datum late_array(const LateWriter* late, std::size_t count) {
  Datum* values = palloc_array_of<Datum>(late_fields * count + 1);
  for (std::size_t i = 0; i < count; i++) {
    values[late_fields * i] = Int64GetDatum(static_cast<int64>(late[i].txid));
    values[late_fields * i + 1] = Int64GetDatum(late[i].after);
    values[late_fields * i + 2] = Int64GetDatum(late[i].upto);
  }
  return PointerGetDatum(construct_array(values, static_cast<int>(late_fields * count), INT8OID,
                                         sizeof(int64), true, TYPALIGN_DOUBLE));
}

void read_late(Datum array, PlaceInStream& place) {
  Datum* values;
  bool* nulls;
  int count;
  deconstruct_array(DatumGetArrayTypeP(array), INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE,
                    &values, &nulls, &count);
  place.late_count = static_cast<std::size_t>(count / late_fields);
  place.late = palloc_array_of<LateWriter>(place.late_count + 1);
  for (std::size_t i = 0; i < place.late_count; i++)
    place.late[i] = {static_cast<std::uint64_t>(DatumGetInt64(values[late_fields * i])),
                     DatumGetInt64(values[late_fields * i + 1]),
                     DatumGetInt64(values[late_fields * i + 2])};
}

Oid place_table(Oid schema) { return own_table(schema, "kanthorq_delivery_state"); }

HeapTuple find_row(Relation table, std::string_view consumer) {
  ScanKeyData key = equals_text(consumer_column, consumer);
  return only_row(table, primary_key_index(table), &key, 1);
}

HeapTuple require_row(Relation table, std::string_view consumer) {
  HeapTuple row = find_row(table, consumer);
  if (!row) elog(ERROR, "the place of consumer \"%s\" is missing", cstring_of(consumer));
  return row;
}

PlaceInStream place_in(Relation table, HeapTuple row) {
  PlaceInStream place{};
  place.cursor.position = DatumGetInt64(row_value(table, row, cursor_column));
  place.cursor.ceiling = DatumGetInt64(row_value(table, row, ceiling_column));
  place.last_lease = DatumGetInt64(row_value(table, row, last_lease_column));
  read_late(row_value(table, row, late_column), place);
  return place;
}

}  // namespace

PlaceInStream copy_of(const PlaceInStream& place) {
  PlaceInStream copy = place;
  copy.late = palloc_array_of<LateWriter>(place.late_count + 1);
  std::copy_n(place.late, place.late_count, copy.late);
  return copy;
}

bool is_same(const PlaceInStream& a, const PlaceInStream& b) {
  if (a.cursor.position != b.cursor.position || a.cursor.ceiling != b.cursor.ceiling ||
      a.last_lease != b.last_lease || a.late_count != b.late_count)
    return false;
  for (std::size_t i = 0; i < a.late_count; i++)
    if (!(a.late[i] == b.late[i])) return false;
  return true;
}

PlaceInStream read_place(const Consumer& consumer) {
  Relation table = table_open(place_table(consumer.schema), AccessShareLock);
  const PlaceInStream place = place_in(table, require_row(table, consumer.name));
  table_close(table, AccessShareLock);
  return place;
}

bool write_place(const Consumer& consumer, const PlaceInStream& stored,
                 const PlaceInStream& place) {
  if (is_same(stored, place)) return false;
  Relation table = table_open(place_table(consumer.schema), RowExclusiveLock);
  Datum values[place_columns] = {
      0, Int64GetDatum(place.cursor.position), Int64GetDatum(place.cursor.ceiling),
      late_array(place.late, place.late_count), Int64GetDatum(place.last_lease)};
  bool nulls[place_columns] = {};
  bool replace[place_columns] = {false, true, true, true, true};
  // Found again under this lock: a VACUUM FULL since it was read would have moved it.
  HeapTuple row = require_row(table, consumer.name);
  HeapTuple changed = heap_modify_tuple(row, RelationGetDescr(table), values, nulls, replace);
  CatalogTupleUpdate(table, &row->t_self, changed);
  table_close(table, NoLock);
  return true;
}

void create_place(Oid schema, std::string_view consumer, Cursor cursor) {
  Relation table = table_open(place_table(schema), RowExclusiveLock);
  Datum values[place_columns] = {text_datum(consumer), Int64GetDatum(cursor.position),
                                 Int64GetDatum(cursor.ceiling), late_array(nullptr, 0),
                                 Int64GetDatum(0)};
  bool nulls[place_columns] = {};
  CatalogTupleInsert(table, heap_form_tuple(RelationGetDescr(table), values, nulls));
  table_close(table, NoLock);
}

void delete_place(Oid schema, std::string_view consumer) {
  Relation table = table_open(place_table(schema), RowExclusiveLock);
  HeapTuple row = find_row(table, consumer);
  if (row) CatalogTupleDelete(table, &row->t_self);
  table_close(table, NoLock);
}

}  // namespace kanthorq
