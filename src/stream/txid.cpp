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
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/test_point.hpp"
#include "server/wake.hpp"
#include "stream/writers.hpp"

namespace {
namespace txid_argument {
enum : int { stream };
}
}  // namespace

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_stream_writer) {
  const TriggerData* trigger = require_trigger(fcinfo, "kanthorq_stream_writer");
  const TriggerEvent event = trigger->tg_event;
  if (!TRIGGER_FIRED_BY_INSERT(event) || !TRIGGER_FIRED_BEFORE(event) ||
      !TRIGGER_FIRED_FOR_STATEMENT(event))
    raise_trigger_protocol("kanthorq_stream_writer", "triggers BEFORE INSERT FOR EACH STATEMENT");
  become_writer(RelationGetRelid(trigger->tg_relation));
  return Datum{0};
}

KANTHORQ_FUNCTION(kanthorq_txid) {
  wake_at_commit(text_argument(fcinfo, txid_argument::stream));
  KANTHORQ_TEST_POINT("insert_default");
  PG_RETURN_FULLTRANSACTIONID(GetTopFullTransactionId());
}
