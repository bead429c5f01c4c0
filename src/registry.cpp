#include "registry.hpp"

#include "core/name.hpp"
#include "datum.hpp"
#include "rows.hpp"
#include "test_point.hpp"

namespace kanthorq {

namespace {

enum RegistryColumn : AttrNumber { name_column = 1, created_at_column, updated_at_column };
constexpr int registry_columns = 3;

HeapTuple find_row(Relation registry, std::string_view name) {
  ScanKeyData key = equals_text(name_column, name);
  return only_row(registry, primary_key_index(registry), &key, 1);
}

HeapTuple new_row(Relation registry, std::string_view name, int64 now) {
  Datum values[registry_columns] = {text_datum(name), Int64GetDatum(now), Int64GetDatum(now)};
  bool nulls[registry_columns] = {};
  return heap_form_tuple(RelationGetDescr(registry), values, nulls);
}

HeapTuple refreshed_row(Relation registry, HeapTuple row, int64 now) {
  Datum values[registry_columns] = {0, 0, Int64GetDatum(now)};
  bool nulls[registry_columns] = {};
  bool replace[registry_columns] = {false, false, true};
  return heap_modify_tuple(row, RelationGetDescr(registry), values, nulls, replace);
}

}  // namespace

Oid registry_oid(Oid schema) { return own_table(schema, "kanthorq_stream_registry"); }

void lock_stream_name(Oid schema, std::string_view name, LOCKMODE mode) {
  // An object lock of the registry's own numbering: two names with the same hash wait for each
  // other once in a while, which is harmless.
  LockDatabaseObject(registry_oid(schema), static_cast<Oid>(stable_hash(name)), 0, mode);
}

bool is_registered(Oid schema, std::string_view name) {
  Relation registry = table_open(registry_oid(schema), AccessShareLock);
  const bool found = HeapTupleIsValid(find_row(registry, name));
  table_close(registry, AccessShareLock);
  return found;
}

Datum register_stream(Oid schema, std::string_view name) {
  Relation registry = table_open(registry_oid(schema), RowExclusiveLock);
  HeapTuple row = new_row(registry, name, epoch_milliseconds(GetCurrentTimestamp()));
  CatalogTupleInsert(registry, row);
  KANTHORQ_TEST_POINT("stream_create_row");
  const Datum result = heap_copy_tuple_as_datum(row, RelationGetDescr(registry));
  table_close(registry, NoLock);
  CommandCounterIncrement();
  return result;
}

Datum refresh_stream(Oid schema, std::string_view name) {
  Datum result = 0;
  Relation registry = table_open(registry_oid(schema), RowExclusiveLock);
  HeapTuple row = find_row(registry, name);
  if (row) row = lock_row(registry, row);
  if (row) {
    HeapTuple changed = refreshed_row(registry, row, epoch_milliseconds(GetCurrentTimestamp()));
    CatalogTupleUpdate(registry, &row->t_self, changed);
    result = heap_copy_tuple_as_datum(changed, RelationGetDescr(registry));
  }
  table_close(registry, NoLock);
  CommandCounterIncrement();
  return result;
}

bool unregister_stream(Oid schema, std::string_view name) {
  Relation registry = table_open(registry_oid(schema), RowExclusiveLock);
  HeapTuple row = find_row(registry, name);
  if (row) row = lock_row(registry, row);
  if (row) CatalogTupleDelete(registry, &row->t_self);
  KANTHORQ_TEST_POINT("stream_drop_row");
  table_close(registry, NoLock);
  CommandCounterIncrement();
  return row != nullptr;
}

}  // namespace kanthorq
