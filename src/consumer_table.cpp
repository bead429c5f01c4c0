#include "consumer_table.hpp"

#include "core/name.hpp"
#include "fault.hpp"
#include "known.hpp"
#include "lock.hpp"
#include "registered_table.hpp"
#include "stream_table.hpp"
#include "task_table.hpp"

namespace kanthorq {

namespace {

Filters filters_of(Datum array) {
  Datum* values;
  bool* nulls;
  int count;
  deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls,
                    &count);
  auto* filters = palloc_array_of<std::string_view>(count);
  for (int i = 0; i < count; i++) filters[i] = view_of(DatumGetTextPP(values[i]));
  return {filters, static_cast<std::size_t>(count)};
}

Jsonb* wanted_metadata(Datum value) {
  Jsonb* metadata = DatumGetJsonbPCopy(value);
  return JB_ROOT_COUNT(metadata) > 0 ? metadata : nullptr;
}

Consumer definition_of(Oid schema, Relation registry, HeapTuple row) {
  const auto value = [&](AttrNumber column) { return row_value(registry, row, column); };
  return {
      .schema = schema,
      .name = view_of(DatumGetTextPP(value(consumer_name_column))),
      .stream = view_of(DatumGetTextPP(value(consumer_stream_column))),
      .selection = {.includes = filters_of(value(consumer_includes_column)),
                    .excludes = filters_of(value(consumer_excludes_column))},
      .metadata_contains = wanted_metadata(value(consumer_metadata_column)),
      .attempt_max = DatumGetInt16(value(consumer_attempt_max_column)),
      .visibility_ms = DatumGetInt64(value(consumer_visibility_column)),
      .ordered = DatumGetBool(value(consumer_ordered_column)),
      .table = nullptr,
      .privilege = ACL_NO_RIGHTS,
      .version = HeapTupleHeaderGetRawXmin(row->t_data),
  };
}

Consumer read_definition(Oid schema, HeapTuple row) {
  Relation registry = open_own_table(schema, consumer_registry, AccessShareLock);
  const Consumer consumer = definition_of(schema, registry, row);
  table_close(registry, AccessShareLock);
  return consumer;
}

struct KnownConsumer {
  Known known;
  std::uint8_t name_size;
  char name[max_name_bytes];
};

constinit Knowledge<KnownConsumer> known_consumers;

// Is the open table the very one that the consumer was created with? The library forgets that only
// after the table is dropped, so the answer is kept as long as the table is not changed.
bool is_registered_table(const Consumer& consumer) {
  const auto is_for = [&](const KnownConsumer& entry) {
    return std::string_view(entry.name, entry.name_size) == consumer.name;
  };
  const KnownConsumer& entry =
      known_consumers.about(consumer.table, is_for, [&](KnownConsumer& look) {
        const bool is_its =
            registered_table(consumer.schema, Kind::consumer, consumer.name).table ==
            RelationGetRelid(consumer.table);
        look.name_size = is_its ? static_cast<std::uint8_t>(consumer.name.size()) : 0;
        memcpy(look.name, consumer.name.data(), look.name_size);
        return is_its;
      });
  return is_for(entry);
}

}  // namespace

bool Consumer::wants_metadata(Datum metadata) const {
  if (!metadata_contains) return true;
  return DatumGetBool(
      DirectFunctionCall2(jsonb_contains, metadata, JsonbPGetDatum(metadata_contains)));
}

HeapTuple find_consumer(Oid schema, std::string_view name) {
  Relation registry = open_own_table(schema, consumer_registry, AccessShareLock);
  ScanKeyData key = equals_text(consumer_name_column, name);
  HeapTuple row = only_row(registry, primary_key_index(registry), &key, 1);
  table_close(registry, AccessShareLock);
  return row;
}

bool try_open_consumer(Oid schema, std::string_view name, LOCKMODE lock, Consumer& consumer) {
  TableName mapped = table_name(consumer_table_prefix, name);
  const Oid oid = RangeVarGetRelid(
      makeRangeVar(get_namespace_name(schema), mapped.bytes.data(), -1), lock, true);
  if (!OidIsValid(oid)) return false;
  HeapTuple row = find_consumer(schema, name);
  if (!row) {
    UnlockRelationOid(oid, lock);  // whoever only looks keeps no lock on it
    return false;
  }
  consumer = read_definition(schema, row);
  consumer.table = relation_open(oid, NoLock);  // whatever has the name
  if (is_registered_table(consumer)) return true;
  relation_close(consumer.table, lock);
  return false;
}

Consumer open_consumer(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege) {
  require_name(name);
  Consumer consumer;
  if (!try_open_consumer(schema, name, lock, consumer))
    raise_no_consumer_table(schema, name, ERRCODE_UNDEFINED_OBJECT);
  lock_relation(RelationGetRelid(consumer.table), lock);
  require_task_table(consumer.table);
  consumer.privilege = privilege;
  require_privilege(consumer);
  return consumer;
}

// The server took the lock to find the table by its name, and open_consumer() once more.
void give_back_consumer(const Consumer& consumer, LOCKMODE lock) {
  const Oid table = RelationGetRelid(consumer.table);
  relation_close(consumer.table, lock);
  unlock_relation(table, lock);
}

std::string_view stream_of_consumer(Oid schema, HeapTuple row) {
  return read_definition(schema, row).stream;
}

void require_privilege(const Consumer& consumer) {
  if (consumer.privilege == ACL_NO_RIGHTS) return;
  const AclResult allowed =
      pg_class_aclcheck(RelationGetRelid(consumer.table), GetUserId(), consumer.privilege);
  if (allowed != ACLCHECK_OK)
    aclcheck_error(allowed, OBJECT_TABLE, RelationGetRelationName(consumer.table));
  require_no_row_security(consumer.table);
}

Consumer lock_consumer(const Consumer& consumer) {
  lock_object(own_table_oid(consumer.schema, consumer_registry), RelationGetRelid(consumer.table),
              0, AccessExclusiveLock);
  return read_again(consumer);
}

Consumer read_again(const Consumer& consumer) {
  HeapTuple row = find_consumer(consumer.schema, consumer.name);
  if (!row) raise_no_such_consumer(consumer.schema, consumer.name);
  Consumer again = read_definition(consumer.schema, row);
  again.table = consumer.table;
  again.privilege = consumer.privilege;
  require_privilege(again);
  return again;
}

void unlock_consumer(const Consumer& consumer) {
  unlock_object(own_table_oid(consumer.schema, consumer_registry), RelationGetRelid(consumer.table),
                0, AccessExclusiveLock);
}

void raise_no_consumer_table(Oid schema, std::string_view name, int sqlstate) {
  if (!find_consumer(schema, name)) raise_no_such_consumer(schema, name);
  const Oid oid = relation_by_name(schema, Kind::consumer, name);
  Relation other = OidIsValid(oid) ? try_relation_open(oid, AccessShareLock) : nullptr;
  if (other) raise_not_registered_table(other, "consumer", name);
  ereport(ERROR,
          (errcode(sqlstate), errmsg("consumer \"%s\" has no table", clipped(name)),
           errdetail("It is registered, but its table \"%s\" was dropped, renamed or moved to "
                     "another schema.",
                     table_name(consumer_table_prefix, name).c_str()),
           errhint("Rename it or move it back. If it was dropped, kanthorq_consumer_drop() "
                   "forgets the consumer, and then it can be created again.")));
}

void raise_no_such_consumer(Oid schema, std::string_view name) {
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                  errmsg("consumer \"%s\" does not exist", clipped(name)),
                  errdetail("No consumer of that name is registered in schema \"%s\".",
                            get_namespace_name(schema)),
                  errhint("Create it with kanthorq_consumer_create().")));
}

}  // namespace kanthorq
