// Consumers as a whole: what creating, changing and dropping one have in common.
//
// Creating, altering and dropping one name wait for each other by lock_consumer_name(), which is
// kept to the end of the transaction. The order of the locks: the stream's name and table, the
// consumer's name and table, lock_consumer().
#pragma once

#include "server/pg.hpp"
#include "stream/writers.hpp"

namespace kanthorq {

void lock_consumer_name(Oid schema, std::string_view name);

// Drops the consumer and takes the lock of its name. Returns false if there is none, or if somebody
// else was faster. Raises 42501 unless the current user owns it.
bool drop_consumer(Oid schema, std::string_view name);

// The table of the consumer. If there is none, raise_no_consumer_table() says why, with `sqlstate`.
Oid require_table_of_consumer(Oid schema, std::string_view name,
                              int sqlstate = ERRCODE_UNDEFINED_OBJECT);

// Raises a NOTICE if an ordered consumer waits for these writers: it may get nothing until they
// have ended, and nothing else would say why.
void report_writers_waited_for(std::string_view consumer, std::string_view stream,
                               const OpenWriters& writers);

}  // namespace kanthorq
