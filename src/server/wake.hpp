// Waking: a transaction that commits events wakes the sessions that wait for them, through shared
// memory. This is not done by NOTIFY: its lock makes all notifying commits of a cluster wait for
// each other.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// For _PG_init(): reserves the shared memory if the library is preloaded. If it is not, PostgreSQL
// 17 and later give some when it is first used, and earlier versions give none.
void reserve_wake_memory();

// Sessions that wait for the stream look again when this transaction has committed. If it rolls
// back, nobody is woken. A prepared transaction wakes nobody when it commits. Cheap enough for
// every row.
void wake_at_commit(std::string_view stream);

// The variable on which sessions wait for the stream, null if there is no shared memory.
ConditionVariable* wake_variable(std::string_view stream);

}  // namespace kanthorq
