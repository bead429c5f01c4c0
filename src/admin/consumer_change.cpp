// kanthorq_consumer_alter, kanthorq_consumer_seek: a consumer that exists becomes another one, or
// starts at another place.
#include "admin/consumer.hpp"
#include "admin/consumer_settings.hpp"
#include "consumer/lease.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/place.hpp"
#include "consumer/start_at.hpp"
#include "consumer/task.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/test_point.hpp"
#include "server/wake.hpp"
#include "stream/reading.hpp"
#include "stream/registered_table.hpp"

namespace kanthorq {

namespace {

// Before any lock of the consumer's, as whoever drops the stream does.
void lock_stream_of(Oid schema, std::string_view name) {
  HeapTuple row = find_consumer(schema, name);
  if (!row) return;
  const Oid stream = relation_by_name(schema, Kind::stream, stream_of_consumer(schema, row));
  if (OidIsValid(stream)) lock_relation(stream, AccessShareLock);
}

// From now on the consumer waits for writers. It notes what a pull that reads nothing would note,
// so that writers that begin after now don't hold up what was published before.
void note_writers(const Consumer& consumer, const OpenStream& stream) {
  const Place stored = read_place(consumer);
  if (!is_consumable(stream)) return;
  const int64 last = last_position(stream);
  if (last < stored.cursor.ceiling) return;  // the positions were set back, and pulls are refused
  const OpenWriters writers = open_writers(stream);
  Place place = stored;
  move_cursor(place, Move{stored.cursor.position}, last, writers);
  write_place(consumer, stored, place);
  report_writers_waited_for(consumer.name, consumer.stream, writers);
}

void begin_order(const Consumer& consumer) {
  OpenStream stream;
  if (!try_open_stream(consumer.schema, consumer.stream, AccessShareLock, stream)) return;
  note_writers(consumer, stream);
  table_close(stream.table, AccessShareLock);  // it may be somebody else's
}

bool makes_ordered(const ConsumerSettings& wanted) {
  return wanted.has(consumer_ordered_column) && DatumGetBool(wanted.value(consumer_ordered_column));
}

Datum update_registry(const Consumer& consumer, const ConsumerSettings& wanted) {
  return with_own_table(
      consumer.schema, consumer_registry, RowExclusiveLock, [&](Relation registry) {
        HeapTuple row = update_row(registry, find_consumer(consumer.schema, consumer.name),
                                   wanted.row_values(registry));
        return heap_copy_tuple_as_datum(row, RelationGetDescr(registry));
      });
}

Datum alter_consumer(const Consumer& opened, const ConsumerSettings& wanted) {
  const Consumer before = lock_consumer(opened);
  require_ownership(RelationGetRelid(opened.table));  // it may be somebody else's by now
  if (makes_ordered(wanted) && !before.ordered) begin_order(before);
  const Datum altered = update_registry(before, wanted);
  wake_at_commit(opened.stream);  // another filter may select what was skipped
  KANTHORQ_TEST_POINT("consumer_alter_row");
  return altered;
}

// Everything starts anew from there: leases end, and are refused afterwards. Tasks are forgotten,
// except for the cancelled ones. This waits for the open transactions of workers. Returns the new
// cursor.
int64 seek(const Consumer& opened, const OpenStream& stream, std::string_view to) {
  const Consumer consumer = take_turn(opened, stream);
  require_ownership(RelationGetRelid(consumer.table));  // it may be somebody else's by now
  const Start start = start_at(stream, to);
  if (consumer.ordered) report_writers_waited_for(consumer.name, consumer.stream, start.writers);
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
  return place.cursor.position;
}

namespace consumer_seek_argument {
enum : int { name, start_at, confirm };
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_consumer_alter) {
  namespace argument = consumer_alter_argument;
  PreventCommandIfReadOnly("kanthorq_consumer_alter()");
  const std::string_view name = required_name(fcinfo, argument::name);
  const Oid schema = own_schema(fcinfo);
  const ConsumerSettings wanted = settings_to_alter(fcinfo);
  // Also before the locks, which are not for everybody.
  require_ownership(require_table_of_consumer(schema, name));
  if (makes_ordered(wanted)) lock_stream_of(schema, name);
  lock_consumer_name(schema, name);
  return with_consumer(schema, name, AccessShareLock, ACL_SELECT,
                       [&](const Consumer& consumer) { return alter_consumer(consumer, wanted); });
}

KANTHORQ_FUNCTION(kanthorq_consumer_seek) {
  namespace argument = consumer_seek_argument;
  require_argument(fcinfo, argument::start_at, "start_at");
  PreventCommandIfReadOnly("kanthorq_consumer_seek()");
  const std::string_view name = required_name(fcinfo, argument::name);
  const Oid schema = own_schema(fcinfo);
  require_confirmation(fcinfo, argument::confirm, "consumer", name);
  require_ownership(require_table_of_consumer(schema, name));
  PG_RETURN_INT64(with_worker(schema, name, ShareRowExclusiveLock, ACL_UPDATE,
                              [&](const Consumer& consumer, const OpenStream& stream) {
                                return seek(consumer, stream,
                                            text_argument(fcinfo, argument::start_at));
                              }));
}
