// kanthorq_stream_create, kanthorq_stream_table, kanthorq_stream_drop.
//
// Creating and dropping one name are serialised by lock_stream_name(), which is held to the end of
// the transaction and taken before any lock on the table. Publishers take the table's lock only.
#include "consumer.hpp"
#include "core/name.hpp"
#include "datum.hpp"
#include "fault.hpp"
#include "lock.hpp"
#include "registry.hpp"
#include "scope.hpp"
#include "shape.hpp"
#include "stream_table.hpp"
#include "test_point.hpp"

namespace kanthorq {

namespace {

Oid table_by_name(Oid schema, std::string_view name) {
  return get_relname_relid(table_name(stream_table_prefix, name).c_str(), schema);
}

// The table's owner drops a stream. Where the table was dropped by hand and only the registry's row
// is left, whoever may create streams does.
void require_drop_privilege(Oid schema, std::string_view name) {
  const Oid table = table_by_name(schema, name);
  if (!OidIsValid(table))
    require_create_privilege(schema);
  else if (!owns_relation(table, GetUserId()))
    aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(table));
}

void drop_table(Oid schema, std::string_view name) {
  const Oid oid = table_by_name(schema, name);
  if (!OidIsValid(oid)) return;
  lock_relation(oid, AccessExclusiveLock);  // DROP TABLE locks it for a cursor only
  const char* table = quote_qualified_identifier(get_namespace_name(schema),
                                                 table_name(stream_table_prefix, name).c_str());
  with_spi([&] { run_definition(psprintf("DROP TABLE %s", table)); });
}

// The row of a stream that exists, refreshed; 0 where there is none, or where what has the table's
// name is not the stream's table.
Datum refreshed(Oid schema, std::string_view name) {
  const Oid table = table_by_name(schema, name);
  const bool exists = OidIsValid(table) && is_table_of(table, schema, name);
  return exists ? refresh_stream(schema, name) : 0;
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_stream_create) {
  require_argument(fcinfo, 0, "name");
  require_argument(fcinfo, 1, "subject_index");
  PreventCommandIfReadOnly("kanthorq_stream_create()");
  const std::string_view name = text_argument(fcinfo, 0);
  const bool subject_index = PG_GETARG_BOOL(1);
  const Oid schema = own_schema(fcinfo);
  require_name(name);
  require_create_privilege(schema);

  const Datum existing = refreshed(schema, name);
  if (existing) return existing;
  lock_stream_name(schema, name);
  // Somebody else may have created it while we waited.
  const Datum created = refreshed(schema, name);
  if (created) return created;
  if (!OidIsValid(table_by_name(schema, name)))
    create_stream_table(schema, name, subject_index);
  else
    adopt_stream_table(schema, name, subject_index);
  const Datum again = refresh_stream(schema, name);  // its table was dropped by hand
  return again ? again : register_stream(schema, name);
}

KANTHORQ_FUNCTION(kanthorq_stream_table) {
  Oid table = InvalidOid;
  with_stream(own_schema(fcinfo), text_argument(fcinfo, 0), AccessShareLock,
              [&](const OpenStream& stream) { table = RelationGetRelid(stream.relation); });
  PG_RETURN_OID(table);
}

KANTHORQ_FUNCTION(kanthorq_stream_drop) {
  require_argument(fcinfo, 0, "name");
  PreventCommandIfReadOnly("kanthorq_stream_drop()");
  const std::string_view name = text_argument(fcinfo, 0);
  const Oid schema = own_schema(fcinfo);
  require_name(name);
  require_confirmation(fcinfo, 1, "stream", name);

  if (!is_registered(schema, name)) PG_RETURN_BOOL(false);
  require_drop_privilege(schema, name);  // also before the lock, which is not for everybody
  lock_stream_name(schema, name);
  if (!is_registered(schema, name)) PG_RETURN_BOOL(false);
  require_drop_privilege(schema, name);
  for_consumers_of(schema, name,
                   [&](std::string_view consumer) { drop_consumer(schema, consumer); });
  KANTHORQ_TEST_POINT("stream_drop_consumers");
  drop_table(schema, name);
  KANTHORQ_TEST_POINT("stream_drop_table");
  PG_RETURN_BOOL(unregister_stream(schema, name));
}
