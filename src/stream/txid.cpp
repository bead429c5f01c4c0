// How a stream's table meets a publisher's two duties itself, on every way in (docs/delivery.md):
// the trigger kanthorq_writer and the default of the column txid.
//
// kanthorq_stream_writer() is a trigger that each INSERT, MERGE and COPY fires before the server
// evaluates its first row, and so before the first position:
//   - it takes the table's RowExclusiveLock for the transaction (lock.hpp); the statement's own one
//     may belong to a cursor that runs a function;
//   - it assigns the transaction's id. The default alone would not do: a statement may take the
//     position before txid, with OVERRIDING SYSTEM VALUE, or DEFAULT in COPY.
// It fires in every replication role. COPY keeps its multi-insert with a trigger for statements.
//
// kanthorq_txid(stream) is the default of the column. It assigns the id as well, which is enough
// where no trigger for statements fires: logical replication's apply holds its lock for the
// transaction, and evaluates defaults in the order of the columns, position last. It is STABLE, as
// pg_current_xact_id() is, because COPY gives up its multi-insert for volatile defaults. The
// argument names the stream: whose consumers are to be woken at the commit. It also says whose
// table it is: adoption refuses a table that belongs to another stream, and the direct insert path
// recognises its own.
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/test_point.hpp"
#include "server/wake.hpp"
#include "stream/writers.hpp"

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_stream_writer) {
  const TriggerData* trigger = require_trigger(fcinfo, "kanthorq_stream_writer");
  const TriggerEvent event = trigger->tg_event;
  if (!TRIGGER_FIRED_BY_INSERT(event) || !TRIGGER_FIRED_BEFORE(event) ||
      !TRIGGER_FIRED_FOR_STATEMENT(event))
    raise_trigger_protocol("kanthorq_stream_writer", "triggers BEFORE INSERT FOR EACH STATEMENT");
  become_writer(RelationGetRelid(trigger->tg_relation));
  return PointerGetDatum(nullptr);
}

KANTHORQ_FUNCTION(kanthorq_txid) {
  wake_at_commit(text_argument(fcinfo, 0));
  KANTHORQ_TEST_POINT("insert_default");
  PG_RETURN_FULLTRANSACTIONID(GetTopFullTransactionId());
}
