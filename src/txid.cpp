// kanthorq_txid(stream), the default of a stream table's txid column.
//
// It assigns the transaction's id where it has none yet, before the row's position is taken (the
// column stands before `position`, and defaults are evaluated in column order). So a transaction
// that holds a position always has an id by which readers can tell whether it is still open. It is
// STABLE, as pg_current_xact_id() is, because COPY gives up its multi-insert for volatile defaults.
//
// The argument names the stream, so that a table says whose it is: adoption refuses a table that
// belongs to another stream, and the direct insert path recognises its own.
#include "pg.hpp"

KANTHORQ_FUNCTION(kanthorq_txid) { PG_RETURN_FULLTRANSACTIONID(GetTopFullTransactionId()); }
