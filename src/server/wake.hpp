// Waking: transactions that commit events tell the sessions that wait for them, through shared
// memory. Not NOTIFY, whose lock makes all notifying commits of a cluster wait for each other.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// For _PG_init(): reserves the shared memory where the library is preloaded. Where it is not,
// PostgreSQL 17 and later give some when it is first asked for, and before 17 there is none.
void reserve_wake_memory();

// Those that wait for the stream look again when this transaction has committed; nobody is woken
// where it rolls back. A prepared transaction wakes nobody when it commits. Cheap enough for every
// row.
void wake_at_commit(std::string_view stream);

// What those wait on that wait for the stream; null where there is no shared memory.
ConditionVariable* wake_variable(std::string_view stream);

}  // namespace kanthorq
