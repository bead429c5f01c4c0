// kanthorq_stream_create, kanthorq_stream_table, kanthorq_stream_drop.
//
// Creating and dropping one name are serialised by lock_stream_name(), which is held to the end of
// the transaction and taken before any lock on the table. Publishers take the table's lock only.
#include "admin/consumer.hpp"
#include "consumer/definition.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/privileges.hpp"
#include "server/test_point.hpp"
#include "stream/adoption.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"
#include "stream/recognition.hpp"
#include "stream/registered_table.hpp"
#include "stream/registry.hpp"

namespace kanthorq {

namespace {

// The row of a stream that exists, refreshed; 0 if there is none, or if what has the table's name
// is not the stream's table.
Datum refreshed(Oid schema, std::string_view name) {
  const Oid table = table_in_place(schema, Kind::stream, name);
  const bool exists = OidIsValid(table) && is_table_of(table, schema, name);
  return exists ? refresh_stream(schema, name) : 0;
}

// Consumers remember positions. In another table other events have these positions, and the
// consumers would take them for done.
void require_no_consumers(Oid schema, std::string_view name) {
  for_consumers_of(schema, name, [&](std::string_view consumer) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("stream \"%s\" has consumers of a table that is gone", clipped(name)),
             errdetail("Consumer \"%s\", for one, has its place in that table; in another one, "
                       "other events have the same positions.",
                       clipped(consumer)),
             errhint("Drop the stream with kanthorq_stream_drop(), which drops its consumers, too, "
                     "and create it again.")));
  });
}

// Creates the table of the stream or adopts what has its name. A registered name belongs to its
// owner, also after the table was dropped by hand.
void take_table(Oid schema, std::string_view name, bool subject_index) {
  if (is_registered(schema, name)) require_name_ownership(schema, Kind::stream, name);
  const Oid before = relation_by_name(schema, Kind::stream, name);
  if (!OidIsValid(before) || before != registered_table(schema, Kind::stream, name).table)
    require_no_consumers(schema, name);
  if (!OidIsValid(before))
    create_stream_table(schema, name, subject_index);
  else
    adopt_stream_table(schema, name, subject_index);
  register_table(schema, Kind::stream, name);
}

// Each consumer's table has indexes and types of its own, and every one of them is locked to the
// end of the transaction. Room for locks that runs out would end other people's transactions, too.
void require_room_for_locks(Oid schema, std::string_view name) {
  constexpr int64 locks_of_consumer = 12;
  int64 consumers = 0;
  for_consumers_of(schema, name, [&](std::string_view) { consumers++; });
  const int64 room = int64{max_locks_per_xact} * (MaxBackends + max_prepared_xacts);
  const int64 wanted = consumers * locks_of_consumer;
  if (wanted <= room / 2) return;
  ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                  errmsg("stream \"%s\" has too many consumers to drop it in one transaction",
                         clipped(name)),
                  errdetail("Dropping its " INT64_FORMAT " consumers takes about " INT64_FORMAT
                            " locks; the server has room for " INT64_FORMAT " in all.",
                            consumers, wanted, room),
                  errhint("Drop consumers with kanthorq_consumer_drop() before, some hundred in a "
                          "transaction, or raise max_locks_per_transaction.")));
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
  // While we waited, somebody may have created it, or taken the privilege away.
  require_create_privilege(schema);
  const Datum created = refreshed(schema, name);
  if (created) return created;
  take_table(schema, name, subject_index);
  const Datum again = refresh_stream(schema, name);  // its table was dropped by hand
  return again ? again : register_stream(schema, name);
}

KANTHORQ_FUNCTION(kanthorq_stream_table) {
  Oid table = InvalidOid;
  with_stream(own_schema(fcinfo), text_argument(fcinfo, 0), AccessShareLock,
              [&](const OpenStream& stream) { table = RelationGetRelid(stream.table); });
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
  // Also before the lock, which is not for everybody.
  require_name_ownership(schema, Kind::stream, name);
  lock_stream_name(schema, name);
  if (!is_registered(schema, name)) PG_RETURN_BOOL(false);
  const Oid table = lock_for_drop(schema, Kind::stream, name);
  require_room_for_locks(schema, name);
  for_consumers_of(schema, name,
                   [&](std::string_view consumer) { drop_consumer(schema, consumer); });
  KANTHORQ_TEST_POINT("stream_drop_consumers");
  if (OidIsValid(table)) drop_table(table);
  KANTHORQ_TEST_POINT("stream_drop_table");
  unregister_table(schema, Kind::stream, name);
  PG_RETURN_BOOL(unregister_stream(schema, name));
}
