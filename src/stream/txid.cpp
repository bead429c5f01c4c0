// A publisher has two duties (docs/delivery.md). A stream's table does both itself, however rows
// come in, by the trigger kanthorq_writer and the default of the column txid.
//
// kanthorq_stream_writer() is a trigger that each INSERT, MERGE and COPY fires before the server
// evaluates its first row, and so before the first position:
//   - It takes the table's RowExclusiveLock for the transaction (lock.hpp). The statement's own
//     lock may belong to a cursor that runs a function.
//   - It gives the transaction an id. The default alone is not enough: a statement may take the
//     position before txid, with OVERRIDING SYSTEM VALUE, or DEFAULT in COPY.
// It fires in every replication role. COPY keeps its multi-insert with a trigger for statements.
//
// kanthorq_txid(stream) is the default of the column. It gives the transaction an id as well. That
// is enough for logical replication, whose apply fires no trigger for statements: it holds its lock
// for the transaction, and evaluates defaults in the order of the columns, position last. The
// function is STABLE, as pg_current_xact_id() is, because COPY gives up its multi-insert for
// volatile defaults. The argument names the stream, whose consumers are woken at the commit. It
// also shows whose table it is: adoption refuses a table of another stream, and only a table that
// names its own stream is plain (recognition.hpp).
//
// The lock is that of the stream's table. A statement that names a partition does not take it, so
// both do. Apply into a partition evaluates the default before the position.
#include "core/name.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/test_point.hpp"
#include "server/wake.hpp"
#include "stream/partitions.hpp"
#include "stream/registered_table.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

namespace {

namespace txid_argument {
enum : int { stream };
}

// The stream whose default was evaluated last. One statement evaluates it for each row.
struct LastStream {
  LocalTransactionId transaction;
  std::uint8_t name_size;
  char name[max_name_bytes];
  Oid partitioned_table;  // InvalidOid if the stream is not partitioned
};
LastStream last_stream;

bool is_last_stream(std::string_view name) {
  return last_stream.transaction == local_transaction_id() &&
         std::string_view(last_stream.name, last_stream.name_size) == name;
}

Oid partitioned_table_of(Oid schema, std::string_view name) {
  const Oid table = relation_by_name(schema, Kind::stream, name);
  return OidIsValid(table) && get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE ? table
                                                                                  : InvalidOid;
}

// Whoever may call this may not hold up a stream's consumers with it.
void require_publisher(Oid table) {
  if (may_insert_some(table)) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("permission denied for table %s", get_rel_name(table)),
                  errdetail("Who publishes into a partition needs INSERT on the stream's table.")));
}

void remember_stream(Oid schema, std::string_view name) {
  last_stream.name_size = 0;  // until all is known
  const Oid table = is_name(name) ? partitioned_table_of(schema, name) : InvalidOid;
  last_stream.partitioned_table = table;
  last_stream.transaction = local_transaction_id();
  memcpy(last_stream.name, name.data(), Min(name.size(), sizeof(last_stream.name)));
  last_stream.name_size = static_cast<std::uint8_t>(Min(name.size(), sizeof(last_stream.name)));
}

// Is there nothing to lock, or is it locked?
bool is_last_stream_locked() {
  if (!OidIsValid(last_stream.partitioned_table)) return true;
  LOCKTAG tag;
  SET_LOCKTAG_RELATION(tag, MyDatabaseId, last_stream.partitioned_table);
  return holds_lock(tag, RowExclusiveLock);
}

// A savepoint that was rolled back may have given the lock back, or taken the table away: then
// another one may have its name now.
void lock_partitioned_table(Oid schema, std::string_view name) {
  if (is_last_stream(name) && is_last_stream_locked()) return;
  remember_stream(schema, name);
  if (is_last_stream_locked()) return;
  require_publisher(last_stream.partitioned_table);
  lock_relation(last_stream.partitioned_table, RowExclusiveLock);
}

}  // namespace

}  // namespace kanthorq

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_stream_writer) {
  const TriggerData* trigger = require_trigger(fcinfo, "kanthorq_stream_writer");
  const TriggerEvent event = trigger->tg_event;
  if (!TRIGGER_FIRED_BY_INSERT(event) || !TRIGGER_FIRED_BEFORE(event) ||
      !TRIGGER_FIRED_FOR_STATEMENT(event))
    raise_trigger_protocol("kanthorq_stream_writer", "triggers BEFORE INSERT FOR EACH STATEMENT");
  const Oid table = RelationGetRelid(trigger->tg_relation);
  const Oid stream = stream_of_partition(table);
  if (OidIsValid(stream)) become_writer(stream);
  become_writer(table);
  return Datum{0};
}

KANTHORQ_FUNCTION(kanthorq_txid) {
  const std::string_view stream = text_argument(fcinfo, txid_argument::stream);
  wake_at_commit(stream);
  lock_partitioned_table(own_schema(fcinfo), stream);
  KANTHORQ_TEST_POINT("insert_default");
  PG_RETURN_FULLTRANSACTIONID(GetTopFullTransactionId());
}
