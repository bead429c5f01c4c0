// kanthorq_consumer_create, kanthorq_consumer_table, kanthorq_consumer_drop.
#include "admin/consumer.hpp"

#include "admin/consumer_settings.hpp"
#include "consumer/lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "consumer/start_at.hpp"
#include "consumer/task_table.hpp"
#include "core/cursor.hpp"
#include "core/name.hpp"
#include "retention/blocked.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/test_point.hpp"
#include "stream/reading.hpp"
#include "stream/registered_table.hpp"
#include "stream/registry.hpp"

namespace kanthorq {

void lock_consumer_name(Oid schema, std::string_view name) {
  // Object number 1: lock_consumer() locks tables' oids in the same class, as object 0 of each.
  lock_object(own_table_oid(schema, consumer_registry), static_cast<Oid>(stable_hash(name)), 1,
              AccessExclusiveLock);
}

Oid require_table_of_consumer(Oid schema, std::string_view name, int sqlstate) {
  const Oid table = table_in_place(schema, Kind::consumer, name);
  if (!OidIsValid(table)) raise_no_consumer_table(schema, name, sqlstate);
  return table;
}

void report_writers_waited_for(std::string_view consumer, std::string_view stream,
                               const OpenWriters& writers) {
  const std::uint64_t own = U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
  const int others =
      static_cast<int>(writers.count) - (contains(writers.txids, writers.count, own) ? 1 : 0);
  if (others == 0) return;
  ereport(NOTICE, (errmsg_plural("consumer \"%s\" waits for %d open transaction",
                                 "consumer \"%s\" waits for %d open transactions", others,
                                 cstring_of(consumer), others),
                   errdetail_plural(
                       "It is ordered, so it gets no new event before that one has ended.",
                       "It is ordered, so it gets no new event before they have ended.", others),
                   errhint("kanthorq_horizon('%s') shows whom it waits for.", cstring_of(stream))));
}

namespace {

void unregister_consumer(Oid schema, std::string_view name) {
  with_own_table(schema, consumer_registry, RowExclusiveLock, [&](Relation registry) {
    HeapTuple row = find_consumer(schema, name);
    if (!row) return;
    forget_blocked(schema, stream_of_consumer(schema, row), name);
    delete_row(registry, row);
  });
  KANTHORQ_TEST_POINT("consumer_drop_row");
  delete_leases(schema, name);
  KANTHORQ_TEST_POINT("consumer_drop_leases");
  delete_place(schema, name);
  KANTHORQ_TEST_POINT("consumer_drop_place");
  unregister_table(schema, Kind::consumer, name);
}

}  // namespace

bool drop_consumer(Oid schema, std::string_view name) {
  if (!find_consumer(schema, name)) return false;
  // Also before the lock, which is not for everybody.
  require_name_ownership(schema, Kind::consumer, name);
  lock_consumer_name(schema, name);
  if (!find_consumer(schema, name)) return false;
  const Oid table = lock_for_drop(schema, Kind::consumer, name);
  if (OidIsValid(table)) drop_table(table);
  KANTHORQ_TEST_POINT("consumer_drop_table");
  unregister_consumer(schema, name);
  return true;
}

namespace {

struct NewConsumer {
  Oid schema;
  std::string_view name;
  std::string_view stream;
  std::string_view start_at;
  ConsumerSettings settings;
};

// The row of a consumer that exists, as it is. Raises 42710 if it has other settings, and 55000 if
// its table is gone.
Datum require_same_consumer(const NewConsumer& wanted, HeapTuple row) {
  (void)require_table_of_consumer(wanted.schema, wanted.name,
                                  ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
  return with_own_table(wanted.schema, consumer_registry, AccessShareLock, [&](Relation registry) {
    require_same_settings(registry, row, wanted.settings);
    return heap_copy_tuple_as_datum(row, RelationGetDescr(registry));
  });
}

Datum register_consumer(const NewConsumer& consumer) {
  return with_own_table(
      consumer.schema, consumer_registry, RowExclusiveLock, [&](Relation registry) {
        HeapTuple row = insert_row(registry, consumer.settings.row_values(registry));
        return heap_copy_tuple_as_datum(row, RelationGetDescr(registry));
      });
}

// The caller holds the locks of both names.
Datum create_consumer(const NewConsumer& wanted, const OpenStream& stream) {
  require_readable(stream);
  require_consumable(stream);
  HeapTuple row = find_consumer(wanted.schema, wanted.name);
  if (row) return require_same_consumer(wanted, row);
  const Start start = start_at(stream, wanted.start_at);
  if (DatumGetBool(wanted.settings.value(consumer_ordered_column)))
    report_writers_waited_for(wanted.name, wanted.stream, start.writers);
  create_task_table(wanted.schema, wanted.name);
  register_table(wanted.schema, Kind::consumer, wanted.name);
  KANTHORQ_TEST_POINT("consumer_create_table");
  create_place(wanted.schema, wanted.name, start.place);
  KANTHORQ_TEST_POINT("consumer_create_place");
  const Datum created = register_consumer(wanted);
  KANTHORQ_TEST_POINT("consumer_create_row");
  return created;
}

namespace consumer_drop_argument {
enum : int { name, confirm };
}

namespace consumer_table_argument {
enum : int { name };
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_consumer_create) {
  namespace argument = consumer_create_argument;
  require_argument(fcinfo, argument::stream, "stream");
  require_argument(fcinfo, argument::start_at, "start_at");
  PreventCommandIfReadOnly("kanthorq_consumer_create()");
  const std::string_view name = required_name(fcinfo, argument::name);
  const std::string_view stream = text_argument(fcinfo, argument::stream);
  const Oid schema = own_schema(fcinfo);
  const NewConsumer wanted = {schema, name, stream, text_argument(fcinfo, argument::start_at),
                              settings_to_create(fcinfo, name, stream)};
  require_create_privilege(schema);
  require_name(stream);
  lock_stream_name(schema, stream, ShareLock);  // no consumer may outlive its stream
  lock_consumer_name(schema, name);
  require_create_privilege(schema);  // it may have been taken away while we waited
  return with_stream(schema, stream, AccessShareLock,
                     [&](const OpenStream& open) { return create_consumer(wanted, open); });
}

KANTHORQ_FUNCTION(kanthorq_consumer_table) {
  const std::string_view name = required_name(fcinfo, consumer_table_argument::name);
  PG_RETURN_OID(require_table_of_consumer(own_schema(fcinfo), name));
}

KANTHORQ_FUNCTION(kanthorq_consumer_drop) {
  namespace argument = consumer_drop_argument;
  PreventCommandIfReadOnly("kanthorq_consumer_drop()");
  const std::string_view name = required_name(fcinfo, argument::name);
  require_confirmation(fcinfo, argument::confirm, "consumer", name);
  PG_RETURN_BOOL(drop_consumer(own_schema(fcinfo), name));
}
