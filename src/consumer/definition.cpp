#include "consumer/definition.hpp"

#include "server/fault.hpp"
#include "stream/definition.hpp"

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

Jsonb* metadata_to_contain(Datum value) {
  Jsonb* metadata = DatumGetJsonbPCopy(value);
  return JB_ROOT_COUNT(metadata) > 0 ? metadata : nullptr;
}

Consumer consumer_in_row(Oid schema, Relation registry, HeapTuple row) {
  const auto value = [&](AttrNumber column) { return row_value(registry, row, column); };
  return {
      .schema = schema,
      .name = view_of(DatumGetTextPP(value(consumer_name_column))),
      .stream = view_of(DatumGetTextPP(value(consumer_stream_column))),
      .selection = {.includes = filters_of(value(consumer_includes_column)),
                    .excludes = filters_of(value(consumer_excludes_column))},
      .metadata_contains = metadata_to_contain(value(consumer_metadata_column)),
      .attempt_max = DatumGetInt16(value(consumer_attempt_max_column)),
      .visibility_ms = DatumGetInt64(value(consumer_visibility_column)),
      .ordered = DatumGetBool(value(consumer_ordered_column)),
      .table = nullptr,
      .privilege = ACL_NO_RIGHTS,
      .version = HeapTupleHeaderGetRawXmin(row->t_data),
  };
}

}  // namespace

bool selects(const Consumer& consumer, const StreamRow& row) {
  if (!consumer.selection.selects(row.subject())) return false;
  if (!consumer.metadata_contains) return true;
  return DatumGetBool(DirectFunctionCall2(jsonb_contains, row.value(metadata_column),
                                          JsonbPGetDatum(consumer.metadata_contains)));
}

HeapTuple find_consumer(Oid schema, std::string_view name) {
  return with_own_table(schema, consumer_registry, AccessShareLock, [&](Relation registry) {
    ScanKeyData key = equals_text(consumer_name_column, name);
    return only_row(registry, primary_key_index(registry), &key, 1);
  });
}

Consumer read_definition(Oid schema, HeapTuple row) {
  return with_own_table(schema, consumer_registry, AccessShareLock,
                        [&](Relation registry) { return consumer_in_row(schema, registry, row); });
}

std::string_view stream_of_consumer(Oid schema, HeapTuple row) {
  return read_definition(schema, row).stream;
}

void raise_no_such_consumer(Oid schema, std::string_view name) {
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                  errmsg("consumer \"%s\" does not exist", clipped(name)),
                  errdetail("No consumer of that name is registered in schema \"%s\".",
                            get_namespace_name(schema)),
                  errhint("Create it with kanthorq_consumer_create().")));
}

}  // namespace kanthorq
