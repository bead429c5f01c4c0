#include "retention/blocked.hpp"

#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/rows.hpp"
#include "server/time.hpp"

namespace kanthorq {

namespace {

enum BlockColumn : AttrNumber {
  stream_column = 1,
  consumer_column,
  since_column,
  seen_column,
  partitions_column,
  events_column,
};
constexpr Oid block_types[] = {VARCHAROID, VARCHAROID, INT8OID, INT8OID, INT8OID, INT8OID};
constexpr OwnTable block_table{"kanthorq_retention_block", block_types, lengthof(block_types)};

int64 number_in(Relation table, HeapTuple row, AttrNumber column) {
  return DatumGetInt64(row_value(table, row, column));
}

std::string_view consumer_in(Relation table, HeapTuple row) {
  return view_of(DatumGetTextPP(row_value(table, row, consumer_column)));
}

HeapTuple find_row(Relation table, std::string_view stream, std::string_view consumer) {
  ScanKeyData keys[2] = {equals_text(stream_column, stream),
                         equals_text(consumer_column, consumer)};
  return only_row(table, primary_key_index(table), keys, 2);
}

// Copies of the stream's rows, in the order of the consumers' names.
List* rows_of(Relation table, std::string_view stream) {
  List* rows = NIL;
  ScanKeyData key = equals_text(stream_column, stream);
  for_rows(table, primary_key_index(table), &key, 1, [&](HeapTuple row) {
    rows = lappend(rows, heap_copytuple(row));
    return true;
  });
  return rows;
}

void describe(StringInfo said, Relation table, HeapTuple row) {
  const int64 partitions = number_in(table, row, partitions_column);
  const TimestampTz since =
      timestamp_of(static_cast<std::uint64_t>(number_in(table, row, since_column)));
  appendStringInfo(said, "%sConsumer \"%s\" keeps ", said->len > 0 ? " " : "",
                   clipped(consumer_in(table, row)));
  if (partitions > 0)
    appendStringInfo(said, INT64_FORMAT " partition%s with ", partitions,
                     partitions == 1 ? "" : "s");
  appendStringInfo(said, "up to " INT64_FORMAT " events that are too old, since %s.",
                   number_in(table, row, events_column), timestamptz_to_str(since));
}

}  // namespace

void note_blocked(Oid schema, std::string_view stream, std::string_view consumer, int64 run_started,
                  Blocked blocked) {
  with_own_table(schema, block_table, RowExclusiveLock, [&](Relation table) {
    HeapTuple row = find_row(table, stream, consumer);
    const bool goes_on = row && number_in(table, row, seen_column) >= run_started;
    if (goes_on) {
      blocked.partitions += number_in(table, row, partitions_column);
      blocked.events += number_in(table, row, events_column);
    }
    const int64 now = Max(now_ms(), run_started);
    RowValues values(table);
    values.set(seen_column, Int64GetDatum(now));
    values.set(partitions_column, Int64GetDatum(blocked.partitions));
    values.set(events_column, Int64GetDatum(blocked.events));
    if (row) {
      update_row(table, row, values);
      return;
    }
    values.set(stream_column, text_datum(stream));
    values.set(consumer_column, text_datum(consumer));
    values.set(since_column, Int64GetDatum(now));
    insert_row(table, values);
  });
}

void forget_blocked(Oid schema, std::string_view stream, std::string_view consumer) {
  with_own_table(schema, block_table, RowExclusiveLock,
                 [&](Relation table) { delete_row(table, find_row(table, stream, consumer)); });
}

const char* end_blocked(Oid schema, std::string_view stream, int64 run_started) {
  return with_own_table(schema, block_table, RowExclusiveLock, [&](Relation table) -> const char* {
    StringInfoData said;
    initStringInfo(&said);
    ListCell* cell;
    foreach (cell, rows_of(table, stream)) {
      auto* row = static_cast<HeapTuple>(lfirst(cell));
      if (number_in(table, row, seen_column) < run_started)
        delete_row(table, row);
      else
        describe(&said, table, row);
    }
    return said.len > 0 ? said.data : nullptr;
  });
}

}  // namespace kanthorq
