#include "consumer_table.hpp"

#include "core/name.hpp"
#include "fault.hpp"
#include "lock.hpp"
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
      .version = HeapTupleHeaderGetRawXmin(row->t_data),
  };
}

Consumer read_definition(Oid schema, HeapTuple row) {
  Relation registry = open_own_table(schema, consumer_registry, AccessShareLock);
  const Consumer consumer = definition_of(schema, registry, row);
  table_close(registry, AccessShareLock);
  return consumer;
}

}  // namespace

// Frees what it makes: a pull may look at a hundred thousand rows.
bool Consumer::wants_metadata(Datum metadata) const {
  if (!metadata_contains) return true;
  Jsonb* whole = DatumGetJsonbP(metadata);
  const bool wanted = DatumGetBool(DirectFunctionCall2(jsonb_contains, JsonbPGetDatum(whole),
                                                       JsonbPGetDatum(metadata_contains)));
  if (JsonbPGetDatum(whole) != metadata) pfree(whole);
  return wanted;
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
  HeapTuple row = OidIsValid(oid) ? find_consumer(schema, name) : nullptr;
  if (!row) return false;
  consumer = read_definition(schema, row);
  consumer.table = relation_open(oid, NoLock);  // whatever has the name
  return true;
}

Consumer open_consumer(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege) {
  require_name(name);
  Consumer consumer;
  if (!try_open_consumer(schema, name, lock, consumer)) raise_no_such_consumer(schema, name);
  lock_relation(RelationGetRelid(consumer.table), lock);
  require_task_table(consumer.table);
  const AclResult allowed =
      privilege == ACL_NO_RIGHTS
          ? ACLCHECK_OK
          : pg_class_aclcheck(RelationGetRelid(consumer.table), GetUserId(), privilege);
  if (allowed != ACLCHECK_OK)
    aclcheck_error(allowed, OBJECT_TABLE, RelationGetRelationName(consumer.table));
  if (privilege != ACL_NO_RIGHTS) require_no_row_security(consumer.table);
  return consumer;
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
  return again;
}

void unlock_consumer(const Consumer& consumer) {
  unlock_object(own_table_oid(consumer.schema, consumer_registry), RelationGetRelid(consumer.table),
                0, AccessExclusiveLock);
}

void raise_no_such_consumer(Oid schema, std::string_view name) {
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                  errmsg("consumer \"%s\" does not exist", clipped(name)),
                  errdetail("No consumer of that name is registered in schema \"%s\".",
                            get_namespace_name(schema)),
                  errhint("Create it with kanthorq_consumer_create().")));
}

}  // namespace kanthorq
