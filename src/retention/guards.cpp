// Putting back what a stream's tables lack. A dump that is restored with --disable-triggers leaves
// our triggers behind as ordinary ones, which don't fire for replicas. A partition that was
// attached by hand has none of them, and no row in kanthorq_partition: nobody would read it.
//
// A closed partition whose trigger did not fire may hold events of which nobody has noted that they
// came. So it is open again, and the step that closes partitions looks at it anew.
#include "retention/partition_steps.hpp"
#include "server/datum.hpp"
#include "server/lock.hpp"
#include "server/quoting.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/definition.hpp"
#include "stream/partitions.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

namespace {

constexpr int guards_of_table = 2;  // the triggers for statements

// What the catalog says of a table of the stream: of a partition, or of the table itself.
struct Guarded {
  Oid table;
  int64 guards;         // how many of them it has
  int64 always_guards;  // and how many of these fire in every replication role
  bool has_closed_trigger;
};

struct GuardedTables {
  Guarded* items;
  int count;
};

// Reads the catalog only: opening each of hundreds of partitions would cost much more. The table
// itself is the first row.
const char* guarded_query(Oid schema) {
  const auto is = [&](const char* trigger, const char* function) {
    return psprintf(
        "(tgname OPERATOR(pg_catalog.=) '%s' AND tgfoid OPERATOR(pg_catalog.=)"
        " %s::pg_catalog.regprocedure)",
        trigger, quote_literal_cstr(psprintf("%s.%s()", quoted_schema(schema), function)));
  };
  const char* guard = psprintf("(%s OR %s)", is(writer_trigger, writer_function),
                               is(statement_trigger, "kanthorq_stream_append_only"));
  const char* always = "tgenabled OPERATOR(pg_catalog.=) 'A'";
  return psprintf(
      "SELECT tables.oid, pg_catalog.count(*) FILTER (WHERE %s),"
      " pg_catalog.count(*) FILTER (WHERE %s AND %s),"
      " pg_catalog.count(*) FILTER (WHERE %s AND %s)"
      " FROM (SELECT $1 AS oid, 0 AS place"
      " UNION ALL SELECT inhrelid, 1 FROM pg_catalog.pg_inherits"
      " WHERE inhparent OPERATOR(pg_catalog.=) $1) AS tables"
      " LEFT JOIN pg_catalog.pg_trigger ON tgrelid OPERATOR(pg_catalog.=) tables.oid"
      " GROUP BY tables.oid, tables.place ORDER BY tables.place, tables.oid",
      guard, guard, always, is(closed_trigger, closed_function), always);
}

int64 number_at(HeapTuple row, int column) {
  bool is_null;
  return DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, column, &is_null));
}

GuardedTables guarded_tables(const MaintainedStream& stream) {
  MemoryContext caller = CurrentMemoryContext;
  return with_spi([&] {
    Oid type = OIDOID;
    Datum value = ObjectIdGetDatum(stream.table);
    const int result =
        SPI_execute_with_args(guarded_query(stream.schema), 1, &type, &value, nullptr, false, 0);
    if (result != SPI_OK_SELECT)
      elog(ERROR, "could not read triggers: %s", SPI_result_code_string(result));
    const int count = static_cast<int>(SPI_processed);
    GuardedTables tables{
        with_context(caller, [&] { return palloc_array_of<Guarded>(Max(count, 1)); }), count};
    for (int i = 0; i < count; i++) {
      HeapTuple row = SPI_tuptable->vals[i];
      bool is_null;
      const Datum table = SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &is_null);
      tables.items[i] = {DatumGetObjectId(table), number_at(row, 2), number_at(row, 3),
                         number_at(row, 4) > 0};
    }
    return tables;
  });
}

const Partition* find(const Partitions& partitions, Oid table) {
  for (int i = 0; i < partitions.count; i++)
    if (partitions.items[i].table == table) return &partitions.items[i];
  return nullptr;
}

bool is_closed(const Partition* state) { return state && !state->is_open(); }

bool is_among(const GuardedTables& tables, Oid table) {
  for (int i = 0; i < tables.count; i++)
    if (tables.items[i].table == table) return true;
  return false;
}

Partitions newest_states(const MaintainedStream& stream) {
  return with_newest_snapshot(
      [&](Snapshot newest) { return partition_states(stream.schema, stream.table, newest); });
}

// Rows of what is no partition any more, because it was detached or dropped by hand.
int64 forget_strangers(const MaintainedStream& stream, const Partitions& states,
                       const GuardedTables& tables) {
  int64 forgotten = 0;
  for (int i = 0; i < states.count; i++) {
    if (is_among(tables, states.items[i].table)) continue;
    forget_partition(stream.schema, stream.table, states.items[i].table);
    forgotten++;
  }
  return forgotten;
}

// Has the table the guards that it should have? The stream's own table is not to get back what its
// owner has dropped.
bool has_its_guards(const MaintainedStream& stream, const Guarded& found) {
  const int64 wanted = found.table == stream.table ? found.guards : guards_of_table;
  return found.always_guards == wanted;
}

void mend_triggers(const MaintainedStream& stream, const Guarded& found) {
  const char* quoted = quoted_table_name(found.table);
  const bool is_complete = found.table == stream.table || found.guards == guards_of_table;
  with_spi([&] {
    for (const char* name : {writer_trigger, statement_trigger})
      if (OidIsValid(get_trigger_oid(found.table, name, true)))
        run_definition(is_complete
                           ? psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", quoted, name)
                           : psprintf("DROP TRIGGER %s ON %s", name, quoted));
    if (!is_complete) complete_partition(stream.schema, stream.name, quoted);
  });
  KANTHORQ_TEST_POINT("maintain_mended");
}

// Whoever writes into the partition is done, and who comes later finds it mended.
void mend_partition(const MaintainedStream& stream, const Guarded& found) {
  lock_relation(found.table, ShareRowExclusiveLock);
  if (stream_of_partition(found.table) != stream.table) return;  // gone meanwhile
  if (!has_its_guards(stream, found)) mend_triggers(stream, found);
  const Partitions states = newest_states(stream);
  const Partition* state = find(states, found.table);
  if (!state || (is_closed(state) && !found.has_closed_trigger))
    add_open_partition(stream.schema, stream.table, found.table);
}

// The table that comes after those that this run has tried; null if all is well.
const Guarded* next_to_mend(const MaintainedStream& stream, const GuardedTables& tables,
                            const Partitions& states) {
  for (int i = 0; i < tables.count; i++) {
    const Guarded& table = tables.items[i];
    if (i + 1 <= *stream.progress) continue;
    const Partition* state = find(states, table.table);
    const bool is_known =
        table.table == stream.table || (state && (table.has_closed_trigger || state->is_open()));
    if (has_its_guards(stream, table) && is_known) continue;
    *stream.progress = i + 1;
    return &table;
  }
  return nullptr;
}

}  // namespace

StepResult mend_guards(const MaintainedStream& stream) {
  // In this order: what is attached meanwhile seems to lack its row, and is looked at again.
  const Partitions states = newest_states(stream);
  const GuardedTables tables = guarded_tables(stream);
  const bool is_first = *stream.progress == 0;
  const int64 forgotten = is_first ? forget_strangers(stream, states, tables) : 0;
  const Guarded* table = next_to_mend(stream, tables, states);
  if (!table) return {.done = forgotten};
  if (table->table == stream.table)
    mend_triggers(stream, *table);
  else
    mend_partition(stream, *table);
  return {.done = forgotten + 1, .has_more = true};
}

}  // namespace kanthorq
