// The two ways of a validated batch into a stream's table. They write the same rows.
#pragma once

#include "publish/event.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// Where a batch goes: one table, or several partitions of one.
struct Destination {
  ResultRelInfo** tables;
  int count;
  const int* of_event;  // for each event, which of them; null if there is one only

  int number_of(int event) const { return of_event ? of_event[event] : 0; }
};

// Writes straight into the heaps and their indexes. The caller has checked that an INSERT would do
// nothing else, and the privileges. Positions follow the order of the batch: before the first one
// of several partitions is written to, each event has taken its position.
void insert_rows_directly(const OpenStream& stream, const Destination& destination,
                          const EventBatch& batch);

// Writes by an INSERT, which obeys everything that was added to the table or its partitions. Raises
// 42501 without INSERT.
void insert_by_executor(Relation table, const EventBatch& batch);

}  // namespace kanthorq
