// Consumers as a whole.
#pragma once

#include "consumer_table.hpp"

namespace kanthorq {

// Drops the consumer; its owner only. Takes the lock of its name. False where somebody else was
// faster.
bool drop_consumer(Oid schema, std::string_view name);

// Runs `body(name)` for each consumer of the stream.
template <typename Body>
void for_consumers_of(Oid schema, std::string_view stream, Body body) {
  Relation registry = open_own_table(schema, consumer_registry, AccessShareLock);
  for_rows(registry, primary_key_index(registry), nullptr, 0, [&](HeapTuple found) {
    HeapTuple row = heap_copytuple(found);
    if (view_of(DatumGetTextPP(row_value(registry, row, consumer_stream_column))) == stream)
      body(view_of(DatumGetTextPP(row_value(registry, row, consumer_name_column))));
    return true;
  });
  table_close(registry, AccessShareLock);
}

}  // namespace kanthorq
