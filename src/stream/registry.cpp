#include "stream/registry.hpp"

#include "core/name.hpp"
#include "server/datum.hpp"
#include "server/lock.hpp"
#include "server/rows.hpp"
#include "server/test_point.hpp"

namespace kanthorq {

namespace {

enum RegistryColumn : AttrNumber { name_column = 1, created_at_column, updated_at_column };
constexpr Oid registry_types[] = {VARCHAROID, INT8OID, INT8OID};
constexpr OwnTable registry_table{"kanthorq_stream_registry", registry_types,
                                  lengthof(registry_types)};

HeapTuple find_row(Relation registry, std::string_view name) {
  ScanKeyData key = equals_text(name_column, name);
  return only_row(registry, primary_key_index(registry), &key, 1);
}

}  // namespace

Oid registry_oid(Oid schema) { return own_table_oid(schema, registry_table); }

void lock_stream_name(Oid schema, std::string_view name, LOCKMODE mode) {
  // An object lock of the registry's own numbering: two names with the same hash wait for each
  // other once in a while, which is harmless.
  lock_object(registry_oid(schema), static_cast<Oid>(stable_hash(name)), 0, mode);
}

bool is_registered(Oid schema, std::string_view name) {
  Relation registry = open_own_table(schema, registry_table, AccessShareLock);
  const bool found = HeapTupleIsValid(find_row(registry, name));
  table_close(registry, AccessShareLock);
  return found;
}

Datum register_stream(Oid schema, std::string_view name) {
  Relation registry = open_own_table(schema, registry_table, RowExclusiveLock);
  const Datum now = Int64GetDatum(epoch_milliseconds(GetCurrentTimestamp()));
  RowValues values(registry);
  values.set(name_column, text_datum(name));
  values.set(created_at_column, now);
  values.set(updated_at_column, now);
  HeapTuple row = insert_row(registry, values);
  KANTHORQ_TEST_POINT("stream_create_row");
  const Datum result = heap_copy_tuple_as_datum(row, RelationGetDescr(registry));
  table_close(registry, NoLock);
  return result;
}

Datum refresh_stream(Oid schema, std::string_view name) {
  Datum result = 0;
  Relation registry = open_own_table(schema, registry_table, RowExclusiveLock);
  HeapTuple row = find_row(registry, name);
  if (row) row = lock_row(registry, row);
  if (row) {
    RowValues values(registry);
    values.set(updated_at_column, Int64GetDatum(epoch_milliseconds(GetCurrentTimestamp())));
    HeapTuple changed = update_row(registry, row, values);
    result = heap_copy_tuple_as_datum(changed, RelationGetDescr(registry));
  }
  table_close(registry, NoLock);
  return result;
}

bool unregister_stream(Oid schema, std::string_view name) {
  Relation registry = open_own_table(schema, registry_table, RowExclusiveLock);
  HeapTuple row = find_row(registry, name);
  if (row) row = lock_row(registry, row);
  if (row) delete_row(registry, row);
  KANTHORQ_TEST_POINT("stream_drop_row");
  table_close(registry, NoLock);
  return row != nullptr;
}

}  // namespace kanthorq
