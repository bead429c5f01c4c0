#include "consumer/place.hpp"

#include "server/datum.hpp"
#include "server/rows.hpp"

namespace kanthorq {

namespace {

enum PlaceColumn : AttrNumber {
  consumer_column = 1,
  cursor_column,
  ceiling_column,
  late_column,
  last_lease_column,
  skipped_column,  // not in a Place: a pull leaves it as it is
};
constexpr Oid place_types[] = {VARCHAROID, INT8OID, INT8OID, INT8ARRAYOID, INT8OID, INT8OID};
constexpr OwnTable place_table{"kanthorq_delivery_state", place_types, lengthof(place_types)};

// The late list is stored as an array of (txid, after, upto), one after the other, which a DBA can
// read.
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

void read_late(Datum array, Place& place) {
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

HeapTuple find_row(Relation table, std::string_view consumer) {
  ScanKeyData key = equals_text(consumer_column, consumer);
  return only_row(table, primary_key_index(table), &key, 1);
}

HeapTuple require_row(Relation table, std::string_view consumer) {
  HeapTuple row = find_row(table, consumer);
  if (!row) elog(ERROR, "the place of consumer \"%s\" is missing", cstring_of(consumer));
  return row;
}

Place place_in(Relation table, HeapTuple row) {
  Place place{};
  place.cursor.position = DatumGetInt64(row_value(table, row, cursor_column));
  place.cursor.ceiling = DatumGetInt64(row_value(table, row, ceiling_column));
  place.last_lease = DatumGetInt64(row_value(table, row, last_lease_column));
  read_late(row_value(table, row, late_column), place);
  return place;
}

void set_place(RowValues& values, const Place& place) {
  values.set(cursor_column, Int64GetDatum(place.cursor.position));
  values.set(ceiling_column, Int64GetDatum(place.cursor.ceiling));
  values.set(late_column, late_array(place.late, place.late_count));
  values.set(last_lease_column, Int64GetDatum(place.last_lease));
}

}  // namespace

Place copy_of(const Place& place) {
  Place copy = place;
  copy.late = palloc_array_of<LateWriter>(place.late_count + 1);
  std::copy_n(place.late, place.late_count, copy.late);
  return copy;
}

void move_cursor(Place& place, const Move& move, int64 ceiling, const OpenWriters& writers) {
  auto* late = palloc_array_of<LateWriter>(place.late_count + writers.count + 1);
  place.late_count = next_late(place.late, place.late_count, writers.txids, writers.count,
                               place.cursor.ceiling, move, late);
  place.late = late;
  place.cursor = {move.reached, ceiling};
}

bool is_same(const Place& a, const Place& b) {
  if (a.cursor.position != b.cursor.position || a.cursor.ceiling != b.cursor.ceiling ||
      a.last_lease != b.last_lease || a.late_count != b.late_count)
    return false;
  for (std::size_t i = 0; i < a.late_count; i++)
    if (!(a.late[i] == b.late[i])) return false;
  return true;
}

Place read_place(const Consumer& consumer) {
  return with_own_table(consumer.schema, place_table, AccessShareLock, [&](Relation table) {
    return place_in(table, require_row(table, consumer.name));
  });
}

bool write_place(const Consumer& consumer, const Place& stored, const Place& place) {
  if (is_same(stored, place)) return false;
  with_own_table(consumer.schema, place_table, RowExclusiveLock, [&](Relation table) {
    RowValues values(table);
    set_place(values, place);
    // The row is found again under this lock: a VACUUM FULL since it was read has moved it.
    update_row(table, require_row(table, consumer.name), values);
  });
  return true;
}

int64 skipped_events(const Consumer& consumer) {
  return with_own_table(consumer.schema, place_table, AccessShareLock, [&](Relation table) {
    return DatumGetInt64(row_value(table, require_row(table, consumer.name), skipped_column));
  });
}

void add_skipped_events(const Consumer& consumer, int64 count) {
  with_own_table(consumer.schema, place_table, RowExclusiveLock, [&](Relation table) {
    HeapTuple row = require_row(table, consumer.name);
    const int64 before = DatumGetInt64(row_value(table, row, skipped_column));
    RowValues values(table);
    values.set(skipped_column, Int64GetDatum(before + count));
    update_row(table, row, values);
  });
}

void create_place(Oid schema, std::string_view consumer, const Place& place) {
  with_own_table(schema, place_table, RowExclusiveLock, [&](Relation table) {
    RowValues values(table);
    values.set(consumer_column, text_datum(consumer));
    set_place(values, place);
    values.set(skipped_column, Int64GetDatum(0));
    insert_row(table, values);
  });
}

void delete_place(Oid schema, std::string_view consumer) {
  with_own_table(schema, place_table, RowExclusiveLock, [&](Relation table) {
    HeapTuple row = find_row(table, consumer);
    if (row) delete_row(table, row);
  });
}

}  // namespace kanthorq
