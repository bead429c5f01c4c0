// kanthorq_stream_create, kanthorq_stream_table, kanthorq_stream_drop.
//
// Creating and dropping one name wait for each other by lock_stream_name(), which is kept to the
// end of the transaction and taken before any lock of the table. Publishers take the table's lock
// only.
#include "admin/consumer.hpp"
#include "consumer/definition.hpp"
#include "retention/blocked.hpp"
#include "retention/maintain.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/privileges.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "stream/adoption.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"
#include "stream/partitioning.hpp"
#include "stream/partitions.hpp"
#include "stream/recognition.hpp"
#include "stream/registered_table.hpp"
#include "stream/registry.hpp"
#include "stream/settings.hpp"

namespace kanthorq {

namespace {

// Refreshes the row of a stream that exists and returns it; 0 if there is none, or if what has the
// table's name is not the stream's table.
Datum refresh_if_exists(Oid schema, std::string_view name) {
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
             errdetail("Consumer \"%s\", for one, has its place in that table. In another table, "
                       "other events have the same positions.",
                       clipped(consumer)),
             errhint("Drop the stream with kanthorq_stream_drop(), which drops its consumers, too. "
                     "Then create it again.")));
  });
}

// A new stream has its default partition, and those for its first events.
void add_first_partitions(Oid schema, std::string_view name, const StreamSettings& settings) {
  const Oid table = relation_by_name(schema, Kind::stream, name);
  const int64 now = partition_start(settings, now_ms());
  with_spi([&] {
    add_default_partition(schema, name, table);
    for (int i = 0; i <= partitions_ahead; i++)
      add_range_partition(schema, name, table, settings, now + i * settings.partition_ms);
  });
}

// What the rows of another table say must not be taken for this one's.
void forget_table(Oid schema, std::string_view name, Oid table) {
  forget_stream_settings(schema, name);
  forget_blocked(schema, name);
  forget_partitions(schema, table);
}

// Creates the table of the stream or adopts what has its name. A registered name belongs to its
// owner, also after the table was dropped by hand.
void take_table(Oid schema, std::string_view name, bool subject_index,
                const StreamSettings& settings) {
  if (is_registered(schema, name)) require_name_ownership(schema, Kind::stream, name);
  const Oid before = relation_by_name(schema, Kind::stream, name);
  if (!OidIsValid(before) || before != registered_table(schema, Kind::stream, name).table)
    require_no_consumers(schema, name);
  const StreamShape shape = {subject_index, settings.partition_ms > 0, settings.id_form};
  if (!OidIsValid(before)) create_stream_table(schema, name, shape);
  forget_table(schema, name, relation_by_name(schema, Kind::stream, name));
  write_stream_settings(schema, name, settings);
  if (OidIsValid(before))
    adopt_stream_table(schema, name, shape);
  else if (shape.is_partitioned)
    add_first_partitions(schema, name, settings);
  register_table(schema, Kind::stream, name);
}

int64 count_partitions(Oid table) {
  return OidIsValid(table) ? list_length(find_inheritance_children(table, NoLock)) : 0;
}

// Each consumer's table, and each partition, has indexes and types of its own, and every one of
// them is locked to the end of the transaction. If the room for locks runs out, other transactions
// fail, too.
void require_room_for_locks(Oid schema, std::string_view name, Oid table) {
  constexpr int64 locks_of_consumer = 12;
  constexpr int64 locks_of_partition = 20;
  int64 consumers = 0;
  for_consumers_of(schema, name, [&](std::string_view) { consumers++; });
  const int64 partitions = count_partitions(table);
  const int64 room = int64{max_locks_per_xact} * (MaxBackends + max_prepared_xacts);
  const int64 of_partitions = partitions * locks_of_partition;
  const int64 wanted = consumers * locks_of_consumer + of_partitions;
  if (wanted <= room / 2) return;
  const bool has_many_partitions = of_partitions > wanted / 2;
  ereport(ERROR,
          (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
           errmsg("stream \"%s\" has too many %s to drop it in one transaction", clipped(name),
                  has_many_partitions ? "partitions" : "consumers"),
           errdetail("Dropping its " INT64_FORMAT " consumers and " INT64_FORMAT
                     " partitions takes about " INT64_FORMAT
                     " locks; the server has room for " INT64_FORMAT " in all.",
                     consumers, partitions, wanted, room),
           has_many_partitions
               ? errhint("First remove partitions with CALL kanthorq_trim(), which drops each in a "
                         "transaction of its own, or raise max_locks_per_transaction.")
               : errhint("First drop consumers with kanthorq_consumer_drop(), some hundred in a "
                         "transaction, or raise max_locks_per_transaction.")));
}

// The caller holds the lock of the name, and knows that the name is registered.
void drop_stream(Oid schema, std::string_view name) {
  const Oid table = lock_for_drop(schema, Kind::stream, name);
  require_room_for_locks(schema, name, table);
  for_consumers_of(schema, name,
                   [&](std::string_view consumer) { drop_consumer(schema, consumer); });
  KANTHORQ_TEST_POINT("stream_drop_consumers");
  if (OidIsValid(table)) drop_table(table);
  KANTHORQ_TEST_POINT("stream_drop_table");
  forget_table(schema, name, registered_table(schema, Kind::stream, name).table);
  unregister_table(schema, Kind::stream, name);
  forget_maintenance(schema, name);
}

namespace stream_create_argument {
enum : int { name, subject_index, partition_interval, id_form };
}

namespace stream_table_argument {
enum : int { name };
}

namespace stream_drop_argument {
enum : int { name, confirm };
}

// With the tables of an earlier version, the function has two arguments.
StreamSettings settings_arguments(FunctionCallInfo fcinfo) {
  namespace argument = stream_create_argument;
  StreamSettings settings;
  if (PG_NARGS() <= argument::id_form) return settings;
  require_argument(fcinfo, argument::id_form, "id_form");
  settings.partition_ms = partition_interval_argument(fcinfo, argument::partition_interval);
  settings.id_form = parse_id_form(text_argument(fcinfo, argument::id_form));
  return settings;
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_stream_create) {
  namespace argument = stream_create_argument;
  require_argument(fcinfo, argument::subject_index, "subject_index");
  PreventCommandIfReadOnly("kanthorq_stream_create()");
  const std::string_view name = required_name(fcinfo, argument::name);
  const StreamSettings settings = settings_arguments(fcinfo);
  const Oid schema = own_schema(fcinfo);
  require_create_privilege(schema);

  const Datum row = refresh_if_exists(schema, name);
  if (row) return row;
  lock_stream_name(schema, name);
  // While we waited, somebody may have created it, or taken the privilege away.
  require_create_privilege(schema);
  const Datum row_of_other = refresh_if_exists(schema, name);
  if (row_of_other) return row_of_other;
  take_table(schema, name, PG_GETARG_BOOL(argument::subject_index), settings);
  const Datum row_without_table = refresh_stream(schema, name);  // its table was dropped by hand
  return row_without_table ? row_without_table : register_stream(schema, name);
}

KANTHORQ_FUNCTION(kanthorq_stream_table) {
  PG_RETURN_OID(with_stream(
      own_schema(fcinfo), text_argument(fcinfo, stream_table_argument::name), AccessShareLock,
      [](const OpenStream& stream) { return RelationGetRelid(stream.table); }));
}

KANTHORQ_FUNCTION(kanthorq_stream_drop) {
  namespace argument = stream_drop_argument;
  PreventCommandIfReadOnly("kanthorq_stream_drop()");
  const std::string_view name = required_name(fcinfo, argument::name);
  const Oid schema = own_schema(fcinfo);
  require_confirmation(fcinfo, argument::confirm, "stream", name);

  if (!is_registered(schema, name)) PG_RETURN_BOOL(false);
  // Also before the lock, which is not for everybody.
  require_name_ownership(schema, Kind::stream, name);
  lock_stream_name(schema, name);
  if (!is_registered(schema, name)) PG_RETURN_BOOL(false);
  drop_stream(schema, name);
  PG_RETURN_BOOL(unregister_stream(schema, name));
}
