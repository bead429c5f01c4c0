// The two ways of a validated batch into a stream table. They write the same rows.
#pragma once

#include "publish/event.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// Straight into the heap and its indexes. False, with nothing done, where an index of the table is
// out of the ordinary; the table itself is plain. Raises 42501 without INSERT.
bool insert_directly(const OpenStream& stream, const EventBatch& batch);

// By an INSERT, which heeds whatever the table carries.
void insert_by_executor(Relation table, const EventBatch& batch);

}  // namespace kanthorq
