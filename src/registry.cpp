#include "registry.hpp"

#include "core/name.hpp"
#include "datum.hpp"

namespace kanthorq {

namespace {

enum RegistryColumn : AttrNumber { name_column = 1, created_at_column, updated_at_column };
constexpr int registry_columns = 3;

Oid registry_table(Oid schema) {
  const Oid table = get_relname_relid("kanthorq_stream_registry", schema);
  if (!OidIsValid(table)) elog(ERROR, "table \"kanthorq_stream_registry\" is missing");
  return table;
}

// Opens the registry and hands `body` the relation and the row of `name`, null where there is none.
template <typename Body>
void with_registry_row(Oid schema, std::string_view name, LOCKMODE lock, Body body) {
  Relation registry = table_open(registry_table(schema), lock);
  ScanKeyData key;
  ScanKeyInit(&key, name_column, BTEqualStrategyNumber, F_TEXTEQ, text_datum(name));
  SysScanDesc scan =
      systable_beginscan(registry, primary_key_index(registry), true, nullptr, 1, &key);
  body(registry, systable_getnext(scan));
  systable_endscan(scan);
  table_close(registry, lock == AccessShareLock ? lock : NoLock);
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

void lock_stream_name(Oid schema, std::string_view name) {
  // An object lock of the registry's own numbering: two names with the same hash wait for each
  // other once in a while, which is harmless.
  LockDatabaseObject(registry_table(schema), static_cast<Oid>(stable_hash(name)), 0,
                     AccessExclusiveLock);
}

bool is_registered(Oid schema, std::string_view name) {
  bool found = false;
  with_registry_row(schema, name, AccessShareLock,
                    [&](Relation, HeapTuple row) { found = HeapTupleIsValid(row); });
  return found;
}

Datum register_stream(Oid schema, std::string_view name) {
  const int64 now = epoch_milliseconds(GetCurrentTimestamp());
  Datum result = 0;
  with_registry_row(schema, name, RowExclusiveLock, [&](Relation registry, HeapTuple row) {
    HeapTuple changed;
    if (HeapTupleIsValid(row)) {
      changed = refreshed_row(registry, row, now);
      CatalogTupleUpdate(registry, &row->t_self, changed);
    } else {
      changed = new_row(registry, name, now);
      CatalogTupleInsert(registry, changed);
    }
    result = heap_copy_tuple_as_datum(changed, RelationGetDescr(registry));
  });
  CommandCounterIncrement();
  return result;
}

bool unregister_stream(Oid schema, std::string_view name) {
  bool found = false;
  with_registry_row(schema, name, RowExclusiveLock, [&](Relation registry, HeapTuple row) {
    found = HeapTupleIsValid(row);
    if (found) CatalogTupleDelete(registry, &row->t_self);
  });
  CommandCounterIncrement();
  return found;
}

}  // namespace kanthorq
