// The two ways of a validated batch into a stream's table. They write the same rows.
#pragma once

#include "publish/event.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// Writes straight into the heap and its indexes. The table is plain. False, with nothing done, if
// one of its indexes needs the executor. Raises 42501 without INSERT.
bool insert_directly(const OpenStream& stream, const EventBatch& batch);

// Writes by an INSERT, which obeys everything that was added to the table. Raises 42501 without
// INSERT.
void insert_by_executor(Relation table, const EventBatch& batch);

}  // namespace kanthorq
