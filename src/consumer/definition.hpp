// What a consumer is: its row in kanthorq_consumer_registry, and which events it selects.
#pragma once

#include "core/selection.hpp"
#include "server/datum.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

enum ConsumerColumn : AttrNumber {
  consumer_name_column = 1,
  consumer_stream_column,
  consumer_includes_column,
  consumer_excludes_column,
  consumer_metadata_column,
  consumer_attempt_max_column,
  consumer_visibility_column,
  consumer_ordered_column,
  consumer_created_at_column,
  consumer_updated_at_column,
};
inline constexpr Oid consumer_types[] = {VARCHAROID, VARCHAROID, TEXTARRAYOID, TEXTARRAYOID,
                                         JSONBOID,   INT2OID,    INT8OID,      BOOLOID,
                                         INT8OID,    INT8OID};
inline constexpr int consumer_columns = lengthof(consumer_types);
inline constexpr OwnTable consumer_registry{"kanthorq_consumer_registry", consumer_types,
                                            consumer_columns};

struct Consumer {
  Oid schema;
  std::string_view name;
  std::string_view stream;
  Selection selection;
  Jsonb* metadata_contains;  // null if any metadata will do
  int attempt_max;
  int64 visibility_ms;
  bool ordered;
  Relation table;         // of its tasks
  AclMode privilege;      // what open_consumer() was asked to require on that table
  TransactionId version;  // the transaction that wrote this definition: another one may differ
};

// Do the consumer's filters select this event? The answer takes memory: whoever asks for many rows
// asks within RowMemory::during().
bool selects(const Consumer& consumer, const StreamRow& row);

// A copy of the consumer's row in the registry; null if there is no such consumer.
HeapTuple find_consumer(Oid schema, std::string_view name);

// What such a row says. The consumer's table is not open.
Consumer read_definition(Oid schema, HeapTuple row);

// The name of the stream that stands in such a row.
std::string_view stream_of_consumer(Oid schema, HeapTuple row);

// Raises 42704.
[[noreturn]] void raise_no_such_consumer(Oid schema, std::string_view name);

// Runs `body(name)` for each consumer of the stream.
template <typename Body>
void for_consumers_of(Oid schema, std::string_view stream, Body body) {
  const auto visit = [&](Relation registry, HeapTuple row) {
    if (view_of(DatumGetTextPP(row_value(registry, row, consumer_stream_column))) == stream)
      body(view_of(DatumGetTextPP(row_value(registry, row, consumer_name_column))));
    return true;
  };
  with_own_table(schema, consumer_registry, AccessShareLock, [&](Relation registry) {
    for_rows(registry, primary_key_index(registry), nullptr, 0,
             [&](HeapTuple row) { return visit(registry, heap_copytuple(row)); });
  });
}

}  // namespace kanthorq
