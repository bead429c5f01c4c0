// kanthorq_consumer_create, _alter, _table, _drop, _seek.
//
// Creating and dropping one name are serialised by lock_consumer_name(), which is held to the end
// of the transaction. Its order with the other locks: the stream's name and table, the consumer's
// name and table, lock_consumer().

#include "admin/consumer.hpp"

#include "consumer/definition.hpp"
#include "consumer/lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "consumer/start_at.hpp"
#include "consumer/task.hpp"
#include "consumer/task_table.hpp"
#include "core/name.hpp"
#include "server/array.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/rows.hpp"
#include "server/test_point.hpp"
#include "server/time.hpp"
#include "server/wake.hpp"
#include "stream/open_stream.hpp"
#include "stream/reading.hpp"
#include "stream/registered_table.hpp"
#include "stream/registry.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

namespace {

constexpr int most_attempts = 32767;

void lock_consumer_name(Oid schema, std::string_view name) {
  // Object number 1: lock_consumer() locks tables' oids in the same class, as object 0 of each.
  lock_object(own_table_oid(schema, consumer_registry), static_cast<Oid>(stable_hash(name)), 1,
              AccessExclusiveLock);
}

// An array of valid filters, as it is stored.
Datum require_filters(FunctionCallInfo fcinfo, int argument, const char* name, bool may_be_empty) {
  const Elements filters = required_elements(fcinfo, argument, name, TEXTOID);
  for (int i = 0; i < filters.count; i++)
    require_filter(view_of(DatumGetTextPP(filters.required(i))));
  if (filters.count == 0 && !may_be_empty)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("array \"%s\" must not be empty", name),
                    errdetail("A consumer without a filter would get nothing."),
                    errhint("Use {>} for all subjects.")));
  return PointerGetDatum(
      construct_array(filters.values, filters.count, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum require_object(FunctionCallInfo fcinfo, int argument, const char* name) {
  require_argument(fcinfo, argument, name);
  Jsonb* object = PG_GETARG_JSONB_P(argument);
  if (!JB_ROOT_IS_OBJECT(object))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("argument \"%s\" must be a JSON object", name),
                    errdetail("The metadata of an event is an object, so nothing else is ever "
                              "contained in it.")));
  return JsonbPGetDatum(object);
}

Datum require_attempts(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "attempt_max");
  const int attempts = PG_GETARG_INT32(argument);
  if (attempts < 1 || attempts > most_attempts)
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid attempt_max %d", attempts),
             errdetail("It is 1 to %d.", most_attempts)));
  return Int16GetDatum(static_cast<int16>(attempts));
}

Datum require_visibility(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "visibility_timeout");
  return Int64GetDatum(duration_argument(fcinfo, argument, "visibility_timeout", 1));
}

struct Definition {
  Datum values[consumer_columns];

  Datum& operator[](ConsumerColumn column) { return values[column - 1]; }
};

Definition definition_arguments(FunctionCallInfo fcinfo, std::string_view name,
                                std::string_view stream) {
  const Datum now = Int64GetDatum(now_ms());
  Definition wanted{};
  wanted[consumer_name_column] = text_datum(name);
  wanted[consumer_stream_column] = text_datum(stream);
  wanted[consumer_includes_column] = require_filters(fcinfo, 2, "includes", false);
  wanted[consumer_excludes_column] = require_filters(fcinfo, 3, "excludes", true);
  wanted[consumer_attempt_max_column] = require_attempts(fcinfo, 4);
  wanted[consumer_visibility_column] = require_visibility(fcinfo, 5);
  require_argument(fcinfo, 7, "ordered");
  wanted[consumer_ordered_column] = BoolGetDatum(PG_GETARG_BOOL(7));
  wanted[consumer_metadata_column] = require_object(fcinfo, 8, "metadata_contains");
  wanted[consumer_created_at_column] = now;
  wanted[consumer_updated_at_column] = now;
  return wanted;
}

bool is_same_definition(Relation registry, HeapTuple row, const Definition& wanted) {
  for (int i = consumer_stream_column - 1; i < consumer_created_at_column - 1; i++) {
    Form_pg_attribute column = TupleDescAttr(RelationGetDescr(registry), i);
    if (!datum_image_eq(wanted.values[i], row_value(registry, row, static_cast<AttrNumber>(i + 1)),
                        column->attbyval, column->attlen))
      return false;
  }
  return true;
}

[[noreturn]] void raise_other_definition(std::string_view name) {
  ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
                  errmsg("consumer \"%s\" exists with another definition", clipped(name)),
                  errdetail("Stream, filters, attempt_max, visibility_timeout, ordered or "
                            "metadata_contains differ."),
                  errhint("Change it with kanthorq_consumer_alter(), or choose another name.")));
}

Datum row_datum(Relation registry, HeapTuple row) {
  return heap_copy_tuple_as_datum(row, RelationGetDescr(registry));
}

// Again for an existing consumer: its row, as it is.
Datum require_same_definition(Oid schema, std::string_view name, HeapTuple row,
                              const Definition& wanted) {
  Relation registry = open_own_table(schema, consumer_registry, AccessShareLock);
  if (!is_same_definition(registry, row, wanted)) raise_other_definition(name);
  const Datum result = row_datum(registry, row);
  table_close(registry, AccessShareLock);
  return result;
}

Datum register_consumer(Oid schema, const Definition& wanted) {
  Relation registry = open_own_table(schema, consumer_registry, RowExclusiveLock);
  RowValues values(registry);
  for (AttrNumber column = 1; column <= consumer_columns; column++)
    values.set(column, wanted.values[column - 1]);
  HeapTuple row = insert_row(registry, values);
  const Datum result = row_datum(registry, row);
  table_close(registry, NoLock);
  return result;
}

// The table of the consumer. If there is none, raise_no_consumer_table() says why.
Oid require_table(Oid schema, std::string_view name, int sqlstate = ERRCODE_UNDEFINED_OBJECT) {
  const Oid table = table_in_place(schema, Kind::consumer, name);
  if (!OidIsValid(table)) raise_no_consumer_table(schema, name, sqlstate);
  return table;
}

void require_owner(Oid schema, std::string_view name) {
  const Oid table = require_table(schema, name);
  if (!owns_relation(table, GetUserId()))
    aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(table));
}

void unregister(Oid schema, std::string_view name) {
  Relation registry = open_own_table(schema, consumer_registry, RowExclusiveLock);
  HeapTuple row = find_consumer(schema, name);
  if (row) delete_row(registry, row);
  table_close(registry, NoLock);
  KANTHORQ_TEST_POINT("consumer_drop_row");
  delete_leases(schema, name);
  KANTHORQ_TEST_POINT("consumer_drop_leases");
  delete_place(schema, name);
  KANTHORQ_TEST_POINT("consumer_drop_place");
  unregister_table(schema, Kind::consumer, name);
}

// An ordered consumer may get nothing until these have ended, and nothing else would say why.
void tell_who_is_waited_for(std::string_view consumer, std::string_view stream,
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

// Before any lock of the consumer's, as whoever drops the stream does.
void lock_stream_of(Oid schema, std::string_view name) {
  HeapTuple row = find_consumer(schema, name);
  if (!row) return;
  const Oid stream = relation_by_name(schema, Kind::stream, stream_of_consumer(schema, row));
  if (OidIsValid(stream)) lock_relation(stream, AccessShareLock);
}

// From now on the consumer waits for writers. What is noted here, as by a pull that reads nothing,
// keeps those that begin after now from holding up what was published before.
void begin_order(const Consumer& consumer) {
  OpenStream stream;
  if (!try_open_stream(consumer.schema, consumer.stream, AccessShareLock, stream)) return;
  const Place stored = read_place(consumer);
  const int64 last = is_consumable(stream) ? last_position(stream) : PG_INT64_MIN;
  if (last >= stored.cursor.ceiling) {  // otherwise a pull is refused
    const OpenWriters writers = open_writers(stream);
    Place place = stored;
    move_cursor(place, stored.cursor.position, last, writers);
    write_place(consumer, stored, place);
    tell_who_is_waited_for(consumer.name, consumer.stream, writers);
  }
  table_close(stream.table, AccessShareLock);  // its owner is another, perhaps
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
  unregister(schema, name);
  return true;
}

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_consumer_create) {
  require_argument(fcinfo, 0, "name");
  require_argument(fcinfo, 1, "stream");
  require_argument(fcinfo, 6, "start_at");
  PreventCommandIfReadOnly("kanthorq_consumer_create()");
  const std::string_view name = text_argument(fcinfo, 0);
  const std::string_view stream_name = text_argument(fcinfo, 1);
  const Oid schema = own_schema(fcinfo);
  require_name(name);
  const Definition wanted = definition_arguments(fcinfo, name, stream_name);
  require_create_privilege(schema);

  Datum result = 0;
  require_name(stream_name);
  lock_stream_name(schema, stream_name, ShareLock);  // no consumer may outlive its stream
  lock_consumer_name(schema, name);
  require_create_privilege(schema);  // it may have been taken away while we waited
  with_stream(schema, stream_name, AccessShareLock, [&](const OpenStream& stream) {
    require_readable(stream);
    require_consumable(stream);
    HeapTuple row = find_consumer(schema, name);
    if (row) {
      (void)require_table(schema, name, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
      result = require_same_definition(schema, name, row, wanted);
      return;
    }
    const Start start = start_at(stream, text_argument(fcinfo, 6));
    if (PG_GETARG_BOOL(7)) tell_who_is_waited_for(name, stream_name, start.writers);
    create_task_table(schema, name);
    register_table(schema, Kind::consumer, name);
    KANTHORQ_TEST_POINT("consumer_create_table");
    create_place(schema, name, start.place);
    KANTHORQ_TEST_POINT("consumer_create_place");
    result = register_consumer(schema, wanted);
    KANTHORQ_TEST_POINT("consumer_create_row");
  });
  return result;
}

KANTHORQ_FUNCTION(kanthorq_consumer_alter) {
  require_argument(fcinfo, 0, "name");
  PreventCommandIfReadOnly("kanthorq_consumer_alter()");
  const std::string_view name = text_argument(fcinfo, 0);
  const Oid schema = own_schema(fcinfo);
  require_name(name);
  Definition wanted{};
  bool replace[consumer_columns] = {};
  const auto set = [&](int argument, ConsumerColumn column, auto value) {
    if (PG_ARGISNULL(argument)) return;
    wanted[column] = value();
    replace[column - 1] = true;
  };
  set(1, consumer_includes_column, [&] { return require_filters(fcinfo, 1, "includes", false); });
  set(2, consumer_excludes_column, [&] { return require_filters(fcinfo, 2, "excludes", true); });
  set(3, consumer_attempt_max_column, [&] { return require_attempts(fcinfo, 3); });
  set(4, consumer_visibility_column, [&] { return require_visibility(fcinfo, 4); });
  set(5, consumer_ordered_column, [&] { return PG_GETARG_DATUM(5); });
  set(6, consumer_metadata_column, [&] { return require_object(fcinfo, 6, "metadata_contains"); });
  wanted[consumer_updated_at_column] = Int64GetDatum(now_ms());
  replace[consumer_updated_at_column - 1] = true;

  require_owner(schema, name);  // also before the locks, which are not for everybody
  const bool orders =
      replace[consumer_ordered_column - 1] && DatumGetBool(wanted[consumer_ordered_column]);
  if (orders) lock_stream_of(schema, name);
  lock_consumer_name(schema, name);
  Datum result = 0;
  with_consumer(schema, name, AccessShareLock, ACL_SELECT, [&](const Consumer& opened) {
    const Consumer before = lock_consumer(opened);
    require_ownership(opened.table);  // somebody else's by now, maybe
    if (orders && !before.ordered) begin_order(before);
    Relation registry = open_own_table(schema, consumer_registry, RowExclusiveLock);
    RowValues values(registry);
    for (AttrNumber column = 1; column <= consumer_columns; column++)
      if (replace[column - 1]) values.set(column, wanted.values[column - 1]);
    result = row_datum(registry, update_row(registry, find_consumer(schema, name), values));
    table_close(registry, NoLock);
    wake_at_commit(opened.stream);  // another filter may match what was passed
    KANTHORQ_TEST_POINT("consumer_alter_row");
  });
  return result;
}

KANTHORQ_FUNCTION(kanthorq_consumer_table) {
  const std::string_view name = text_argument(fcinfo, 0);
  require_name(name);
  PG_RETURN_OID(require_table(own_schema(fcinfo), name));
}

KANTHORQ_FUNCTION(kanthorq_consumer_drop) {
  require_argument(fcinfo, 0, "name");
  PreventCommandIfReadOnly("kanthorq_consumer_drop()");
  const std::string_view name = text_argument(fcinfo, 0);
  const Oid schema = own_schema(fcinfo);
  require_name(name);
  require_confirmation(fcinfo, 1, "consumer", name);
  PG_RETURN_BOOL(drop_consumer(schema, name));
}

// Everything starts anew from there: leases end (and are refused afterwards), tasks are forgotten
// except the cancelled ones. Waits for the transactions of workers that are open.
KANTHORQ_FUNCTION(kanthorq_consumer_seek) {
  require_argument(fcinfo, 0, "name");
  require_argument(fcinfo, 1, "start_at");
  PreventCommandIfReadOnly("kanthorq_consumer_seek()");
  const std::string_view name = text_argument(fcinfo, 0);
  const Oid schema = own_schema(fcinfo);
  require_name(name);
  require_confirmation(fcinfo, 2, "consumer", name);
  require_owner(schema, name);
  int64 position = 0;
  with_worker(schema, name, ShareRowExclusiveLock, ACL_UPDATE,
              [&](const Consumer& opened, const OpenStream& stream) {
                const Consumer consumer = take_turn(opened, stream);
                require_ownership(consumer.table);  // somebody else's by now, maybe
                const Start start = start_at(stream, text_argument(fcinfo, 1));
                if (consumer.ordered)
                  tell_who_is_waited_for(consumer.name, consumer.stream, start.writers);
                const Place stored = read_place(consumer);
                Place place = start.place;
                place.last_lease = stored.last_lease;
                write_place(consumer, stored, place);
                KANTHORQ_TEST_POINT("seek_place");
                free_leases(consumer);
                KANTHORQ_TEST_POINT("seek_leases");
                forget_tasks(consumer.table);
                KANTHORQ_TEST_POINT("seek_tasks");
                CommandCounterIncrement();
                wake_at_commit(consumer.stream);
                position = place.cursor.position;
              });
  PG_RETURN_INT64(position);
}
