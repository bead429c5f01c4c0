// kanthorq_txid(stream), the default of a stream table's txid column.
//
// It assigns the transaction's id where it has none yet, before the row's position is taken (the
// column stands before `position`, and defaults are evaluated in column order). So a transaction
// that holds a position always has an id by which readers can tell whether it is still open. It is
// STABLE, as pg_current_xact_id() is, because COPY gives up its multi-insert for volatile defaults.
//
// The argument names the stream: whose consumers are to be woken at the commit. It also says whose
// table it is: adoption refuses a table that belongs to another stream, and the direct insert path
// recognises its own.
#include "datum.hpp"
#include "test_point.hpp"
#include "wake.hpp"

using namespace kanthorq;

KANTHORQ_FUNCTION(kanthorq_txid) {
  wake_at_commit(text_argument(fcinfo, 0));
  KANTHORQ_TEST_POINT("insert_default");
  PG_RETURN_FULLTRANSACTIONID(GetTopFullTransactionId());
}
