// How events leave: kanthorq_event_remove and kanthorq_stream_trim, and the triggers by which a
// stream table refuses every other UPDATE, DELETE and TRUNCATE.
//
// Removal is an ordinary DELETE, so the server applies foreign keys, row security and the owner's
// own triggers. Our triggers allow it if there is a permit, which names the table, the transaction
// and the subtransaction. An error ends at least the subtransaction. So a permit that remains after
// an error is never valid again, and nothing has to clean it up.
//
// The permit is for one statement. If somebody's trigger runs a DELETE meanwhile, that is another
// statement and refused, on the table and also on a parent of it, which our trigger for statements
// does not see. (A policy's function, which only the owner can put there, runs as part of the
// statement.)
//
// A statement on a partitioned stream fires the trigger for statements on the stream's table, and
// the one for rows on each partition. So the permit of a stream's table is good for the rows of its
// partitions, but not for a statement that names one.
#include "retention/removal.hpp"

#include "consumer/definition.hpp"
#include "consumer/open_consumer.hpp"
#include "consumer/task_table.hpp"
#include "core/name.hpp"
#include "retention/finished.hpp"
#include "retention/unfinished.hpp"
#include "server/array.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/quoting.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/definition.hpp"
#include "stream/open_stream.hpp"
#include "stream/partition_owner.hpp"
#include "stream/partitions.hpp"
#include "stream/reading.hpp"
#include "stream/registry.hpp"

namespace kanthorq {

namespace {

struct RemovalPermit {
  Oid table;
  Oid partition;  // of the table, which the last row was in; asking the catalog takes a while
  LocalTransactionId transaction;
  SubTransactionId subtransaction;
  int depth;  // of the triggers that the statement fires
  bool used;  // its statement has begun
};

// Removals may be nested: a trigger on one stream may remove events of another.
constexpr int max_nested_removals = 16;
RemovalPermit permits[max_nested_removals];
int permit_count;

int trigger_depth() {
  LOCAL_FCINFO(fcinfo, 0);
  InitFunctionCallInfoData(*fcinfo, nullptr, 0, InvalidOid, nullptr, nullptr);
  return DatumGetInt32(pg_trigger_depth(fcinfo));
}

bool is_stale(const RemovalPermit& permit) {
  return permit.transaction != local_transaction_id() ||
         !SubTransactionIsActive(permit.subtransaction);
}

// Is the table that of the permit, or for a row of it, one of its partitions? What is a partition
// of what stays so while the statement runs.
bool is_of(RemovalPermit& permit, Oid table, bool begins_statement) {
  if (permit.table == table) return true;
  if (begins_statement) return false;
  if (permit.partition == table) return true;
  if (stream_of_partition(table) != permit.table) return false;
  permit.partition = table;
  return true;
}

// Is this statement, or this row of it, one that is permitted?
bool is_permitted(Oid table, bool begins_statement) {
  for (int i = permit_count; i-- > 0;) {
    RemovalPermit& permit = permits[i];
    if (permit.transaction != local_transaction_id() ||
        permit.subtransaction != GetCurrentSubTransactionId() || permit.depth != trigger_depth() ||
        !is_of(permit, table, begins_statement))
      continue;
    const bool permitted = permit.used != begins_statement;
    permit.used = true;
    return permitted;
  }
  return false;
}

// Deletes the rows of `table` that `snapshot` sees and for which `condition` on $1 is true. Returns
// how many. The plan is made for this very value. So it has, and locks, only the partitions that
// may hold such rows.
uint64 remove_where(Relation table, Snapshot snapshot, const char* condition, Oid type,
                    Datum value) {
  return with_spi([&] {
    const char* sql = psprintf("DELETE FROM %s WHERE id %s", quoted_table_name(table), condition);
    SPIPlanPtr plan = SPI_prepare_cursor(sql, 1, &type, CURSOR_OPT_CUSTOM_PLAN);
    if (!plan) elog(ERROR, "could not plan the removal of events");
    const uint64 removed = with_removal_permit(RelationGetRelid(table), [&] {
      const int result =
          SPI_execute_snapshot(plan, &value, nullptr, snapshot, InvalidSnapshot, false, true, 0);
      if (result != SPI_OK_DELETE)
        elog(ERROR, "could not remove events: %s", SPI_result_code_string(result));
      return SPI_processed;
    });
    KANTHORQ_TEST_POINT("remove_rows");
    return removed;
  });
}

uint64 remove_ids(Relation table, Datum ids) {
  return remove_where(table, InvalidSnapshot, "OPERATOR(pg_catalog.=) ANY ($1)", TEXTARRAYOID, ids);
}

// The server looks for the partition of each id. That takes a time that grows with the square of
// their number, so a statement gets some of them only. In their order most are for one partition.
uint64 remove_from_partitions(Relation table, const Elements& ids) {
  constexpr int most = 250;
  Datum* sorted = palloc_array_of<Datum>(ids.count);
  for (int i = 0; i < ids.count; i++) sorted[i] = PointerGetDatum(DatumGetTextPP(ids.required(i)));
  std::sort(sorted, sorted + ids.count, [](Datum a, Datum b) {
    return view_of(DatumGetTextPP(a)) < view_of(DatumGetTextPP(b));
  });
  uint64 removed = 0;
  for (int start = 0; start < ids.count; start += most) {
    const int count = Min(most, ids.count - start);
    ArrayType* some = construct_array(sorted + start, count, TEXTOID, -1, false, TYPALIGN_INT);
    removed += remove_ids(table, PointerGetDatum(some));
    pfree(some);
    CHECK_FOR_INTERRUPTS();
  }
  return removed;
}

// Raises 55000 if the consumer has not finished all of these events.
//
// The lock on a consumer's table allows pulls, and keeps a seek from making events of its past
// unfinished again. It may have to wait, for a drop of the consumer, say.
void require_finished_by(const Consumer& consumer, Removal& removal) {
  require_consumable(removal.stream);
  keep_finished(consumer);
  if (!has_unfinished(consumer, removal)) return;
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
       errmsg("consumer \"%s\" has not finished all of these events", cstring_of(consumer.name)),
       errdetail("It is still to get some event before \"%s\", has one in a lease, or will "
                 "try one again.",
                 clipped(removal.before_id)),
       errhint("Wait for it, name an earlier id, or force the removal.")));
}

void require_finished(Oid schema, std::string_view name, Removal removal) {
  for_open_consumers(schema, name,
                     [&](const Consumer& consumer) { require_finished_by(consumer, removal); });
}

const char* append_only_hint(TriggerEvent event) {
  if (TRIGGER_FIRED_BY_UPDATE(event)) return "Publish a new event that says what is different.";
  if (TRIGGER_FIRED_BY_DELETE(event))
    return "Remove events with kanthorq_event_remove() or kanthorq_stream_trim().";
  return "Remove events with kanthorq_stream_trim(), or the stream with kanthorq_stream_drop().";
}

const char* operation(TriggerEvent event) {
  return TRIGGER_FIRED_BY_UPDATE(event)   ? "update"
         : TRIGGER_FIRED_BY_DELETE(event) ? "delete from"
                                          : "truncate";
}

namespace event_remove_argument {
enum : int { stream, ids };
}

namespace stream_trim_argument {
enum : int { name, before_id, confirm, force };
}

}  // namespace

int grant_removal(Oid table) {
  while (permit_count > 0 && is_stale(permits[permit_count - 1])) permit_count--;
  if (permit_count == max_nested_removals)
    ereport(ERROR,
            (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
             errmsg("removals of events are nested too deeply"),
             errdetail("Triggers remove events while events are removed; %d levels are allowed.",
                       max_nested_removals)));
  permits[permit_count] = {.table = table,
                           .partition = InvalidOid,
                           .transaction = local_transaction_id(),
                           .subtransaction = GetCurrentSubTransactionId(),
                           .depth = trigger_depth() + 1,
                           .used = false};
  return permit_count++;
}

void withdraw_removal(int permit) { permit_count = permit; }

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_event_remove) {
  namespace argument = event_remove_argument;
  require_argument(fcinfo, argument::stream, "stream");
  const Elements ids = optional_elements(fcinfo, argument::ids, "ids", TEXTOID);
  for (int i = 0; i < ids.count; i++)
    require_event_id(view_of(DatumGetTextPP(ids.required(i))), ids.source(i));
  PreventCommandIfReadOnly("kanthorq_event_remove()");
  const auto remove = [&](const OpenStream& stream) -> uint64 {
    require_ownership(RelationGetRelid(stream.table));
    if (ids.count == 0) return 0;  // or null, as array_agg over no rows is
    require_no_foreign_code(stream, Access::changes);
    return stream.is_partitioned ? remove_from_partitions(stream.table, ids)
                                 : remove_ids(stream.table, PG_GETARG_DATUM(argument::ids));
  };
  PG_RETURN_INT64(static_cast<int64>(with_stream(
      own_schema(fcinfo), text_argument(fcinfo, argument::stream), RowExclusiveLock, remove)));
}

KANTHORQ_FUNCTION(kanthorq_stream_trim) {
  namespace argument = stream_trim_argument;
  require_argument(fcinfo, argument::before_id, "before_id");
  require_argument(fcinfo, argument::force, "force");
  const std::string_view name = required_name(fcinfo, argument::name);
  const std::string_view before_id = text_argument(fcinfo, argument::before_id);
  require_event_id(before_id, {"before_id"});
  require_confirmation(fcinfo, argument::confirm, "stream", name);
  PreventCommandIfReadOnly("kanthorq_stream_trim()");
  const Oid schema = own_schema(fcinfo);
  lock_stream_name(schema, name, ShareLock);  // the stream stays what it is
  const auto trim = [&](const OpenStream& stream) {
    require_ownership(RelationGetRelid(stream.table));
    require_no_foreign_code(stream, Access::changes);
    // What is checked is what is removed: an event that comes later, with an id of long ago, stays.
    return with_newest_snapshot([&](Snapshot newest) {
      if (!PG_GETARG_BOOL(argument::force))
        require_finished(schema, name,
                         {.stream = stream, .snapshot = newest, .before_id = before_id});
      return remove_where(stream.table, newest, "OPERATOR(pg_catalog.<) $1", TEXTOID,
                          PG_GETARG_DATUM(argument::before_id));
    });
  };
  PG_RETURN_INT64(static_cast<int64>(with_stream(schema, name, RowExclusiveLock, trim)));
}

KANTHORQ_FUNCTION(kanthorq_stream_append_only) {
  const TriggerData* trigger = require_trigger(fcinfo, "kanthorq_stream_append_only");
  const TriggerEvent event = trigger->tg_event;
  if (TRIGGER_FIRED_BY_DELETE(event) &&
      is_permitted(RelationGetRelid(trigger->tg_relation), TRIGGER_FIRED_FOR_STATEMENT(event)))
    return PointerGetDatum(TRIGGER_FIRED_FOR_ROW(event) ? trigger->tg_trigtuple : nullptr);
  const char* table = RelationGetRelationName(trigger->tg_relation);
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("cannot %s \"%s\": a stream is append-only", operation(event), table),
                  errdetail("Its events never change; they leave by explicit removal only."),
                  errhint("%s", append_only_hint(event))));
}
