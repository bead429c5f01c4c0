#include "stream/registry.hpp"

#include "core/name.hpp"
#include "server/datum.hpp"
#include "server/lock.hpp"
#include "server/rows.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"

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

HeapTuple find_and_lock_row(Relation registry, std::string_view name) {
  HeapTuple row = find_row(registry, name);
  return row ? lock_row(registry, row) : nullptr;
}

Datum row_datum(Relation registry, HeapTuple row) {
  return heap_copy_tuple_as_datum(row, RelationGetDescr(registry));
}

}  // namespace

Oid registry_oid(Oid schema) { return own_table_oid(schema, registry_table); }

// The objects that are locked are numbered by the names' hashes. If two names have the same hash,
// one may wait for the other, which does no harm.
static Oid object_of(std::string_view name) { return static_cast<Oid>(stable_hash(name)); }

// The parts of such an object.
static constexpr uint16 name_part = 0;
static constexpr uint16 maintenance_part = 1;

void lock_stream_name(Oid schema, std::string_view name, LOCKMODE mode) {
  lock_object(registry_oid(schema), object_of(name), name_part, mode);
}

bool try_lock_stream_name(Oid schema, std::string_view name, LOCKMODE mode) {
  return try_lock_object(registry_oid(schema), object_of(name), name_part, mode);
}

bool try_lock_maintenance(Oid schema, std::string_view name) {
  return try_lock_object(registry_oid(schema), object_of(name), maintenance_part,
                         AccessExclusiveLock);
}

bool is_registered(Oid schema, std::string_view name) {
  return with_own_table(schema, registry_table, AccessShareLock, [&](Relation registry) {
    return HeapTupleIsValid(find_row(registry, name));
  });
}

List* registered_names(Oid schema) {
  return with_own_table(schema, registry_table, AccessShareLock, [](Relation registry) {
    List* names = NIL;
    for_rows(registry, primary_key_index(registry), nullptr, 0, [&](HeapTuple row) {
      const Datum name = row_value(registry, row, name_column);
      names = lappend(names, cstring_of(view_of(DatumGetTextPP(name))));
      return true;
    });
    return names;
  });
}

Datum register_stream(Oid schema, std::string_view name) {
  return with_own_table(schema, registry_table, RowExclusiveLock, [&](Relation registry) {
    const Datum now = Int64GetDatum(now_ms());
    RowValues values(registry);
    values.set(name_column, text_datum(name));
    values.set(created_at_column, now);
    values.set(updated_at_column, now);
    HeapTuple row = insert_row(registry, values);
    KANTHORQ_TEST_POINT("stream_create_row");
    return row_datum(registry, row);
  });
}

Datum refresh_stream(Oid schema, std::string_view name) {
  return with_own_table(schema, registry_table, RowExclusiveLock, [&](Relation registry) {
    HeapTuple row = find_and_lock_row(registry, name);
    if (!row) return Datum{0};
    RowValues values(registry);
    values.set(updated_at_column, Int64GetDatum(now_ms()));
    return row_datum(registry, update_row(registry, row, values));
  });
}

bool unregister_stream(Oid schema, std::string_view name) {
  return with_own_table(schema, registry_table, RowExclusiveLock, [&](Relation registry) {
    HeapTuple row = find_and_lock_row(registry, name);
    if (row) delete_row(registry, row);
    KANTHORQ_TEST_POINT("stream_drop_row");
    return row != nullptr;
  });
}

}  // namespace kanthorq
