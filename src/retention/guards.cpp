// Putting back what a stream's tables lack. A dump that is restored with --disable-triggers leaves
// our triggers behind as ordinary ones, which don't fire for replicas. A partition that was
// attached by hand has none of them, and no row in kanthorq_partition: nobody would read it.
//
// A partition of another owner is given to the owner of the stream's table, with the rights of the
// caller, if the caller may do so and nothing on it is in the way (partition_owner.hpp). Else it
// stays as it is, and that is said.
//
// A closed partition whose trigger did not fire may hold events of which nobody has noted that they
// came. So it is open again, and the step that closes partitions looks at it anew.
#include "retention/partition_steps.hpp"
#include "server/as_owner.hpp"
#include "server/attempt.hpp"
#include "server/datum.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/quoting.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/definition.hpp"
#include "stream/partition_owner.hpp"
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
  bool is_of_stream_owner;
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
                               is(statement_trigger, append_only_function));
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
                         number_at(row, 4) > 0,
                         !get_rel_name(DatumGetObjectId(table)) ||  // dropped just now
                             is_of_stream_owner(stream.table, DatumGetObjectId(table))};
    }
    return tables;
  });
}

bool is_among(const GuardedTables& tables, Oid table) {
  for (int i = 0; i < tables.count; i++)
    if (tables.items[i].table == table) return true;
  return false;
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

// False also if it is the owner's already, or gone.
bool may_be_given(const MaintainedStream& stream, Oid partition) {
  if (is_of_stream_owner(stream.table, partition)) return false;
  Relation opened = try_relation_open(partition, AccessShareLock);
  if (!opened) return false;
  Relation table = table_open(stream.table, NoLock);
  const bool is_safe = is_safe_to_give(opened, table, stream.schema);
  table_close(table, NoLock);
  relation_close(opened, AccessShareLock);
  return is_safe;
}

const char* give_statement(const MaintainedStream& stream, Oid partition) {
  return psprintf("ALTER TABLE %s OWNER TO %s", quoted_table_name(partition),
                  quote_identifier(GetUserNameFromId(table_owner(stream.table), false)));
}

// Gives the partition to the owner of the stream's table. Returns false if it must not be given as
// it is, or if the caller may not give it.
bool give_to_stream_owner(const MaintainedStream& stream, Oid partition) {
  if (!may_be_given(stream, partition)) return false;  // so nobody has to wait for the lock
  lock_relation(partition, AccessExclusiveLock);
  if (!may_be_given(stream, partition) || stream_of_partition(partition) != stream.table)
    return false;
  const ErrorData* error = attempt([&] {
    as_role(stream.caller,
            [&] { with_spi([&] { run_definition(give_statement(stream, partition)); }); });
  });
  if (error && error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE)
    ReThrowError(const_cast<ErrorData*>(error));
  return !error;
}

// Whoever writes into the partition is done, and who comes later finds it mended. Returns whether
// anything was to be done.
bool mend_partition(const MaintainedStream& stream, const Guarded& found) {
  bool is_mended = !found.is_of_stream_owner && give_to_stream_owner(stream, found.table);
  lock_relation(found.table, ShareRowExclusiveLock);
  if (stream_of_partition(found.table) != stream.table) return is_mended;  // gone meanwhile
  if (is_of_stream_owner(stream.table, found.table) && !has_its_guards(stream, found)) {
    mend_triggers(stream, found);
    is_mended = true;
  }
  const Partitions states = partition_states(stream.schema, stream.table);
  const Partition* state = find_partition(states, found.table);
  if (state && (state->is_open() || found.has_closed_trigger)) return is_mended;
  add_open_partition(stream.schema, stream.table, found.table);
  return true;
}

// Is anything to be done that may be done? The caller may give away what is the caller's.
bool is_to_mend(const MaintainedStream& stream, const Guarded& table, const Partition* state) {
  const bool is_known =
      table.table == stream.table || (state && (table.has_closed_trigger || state->is_open()));
  const bool is_well = table.is_of_stream_owner ? has_its_guards(stream, table)
                                                : !is_owner(table.table, stream.caller);
  return !is_known || !is_well;
}

// The table that comes after those that this run has tried; null if all is well.
const Guarded* next_to_mend(const MaintainedStream& stream, const GuardedTables& tables,
                            const Partitions& states) {
  for (int i = 0; i < tables.count; i++) {
    const Guarded& table = tables.items[i];
    if (i + 1 <= *stream.progress ||
        !is_to_mend(stream, table, find_partition(states, table.table)))
      continue;
    *stream.progress = i + 1;
    return &table;
  }
  return nullptr;
}

// Which partitions stay with other owners, and what is to be done about it. Null if there are none.
const char* say_other_owners(const MaintainedStream& stream, const GuardedTables& tables) {
  StringInfoData said;
  initStringInfo(&said);
  int others = 0;
  for (int i = 0; i < tables.count; i++) {
    const Oid partition = tables.items[i].table;
    if (tables.items[i].is_of_stream_owner || !get_rel_name(partition) || others++ > 0) continue;
    appendStringInfo(
        &said,
        "Partition \"%s\" belongs to role \"%s\", and the stream's table to \"%s\". So "
        "it is not closed, emptied or dropped. %s: %s.",
        get_rel_name(partition), GetUserNameFromId(table_owner(partition), false),
        GetUserNameFromId(table_owner(stream.table), false),
        is_owner(partition, stream.caller)
            ? "Drop what that role has put on it, such as triggers, expressions in "
              "indexes and grants of triggers; then use"
            : "Use, or call kanthorq_maintain() as a superuser",
        give_statement(stream, partition));
  }
  if (others > 1)
    appendStringInfo(&said, " The same is true of %d more of its partitions.", others - 1);
  return others > 0 ? said.data : nullptr;
}

}  // namespace

StepResult mend_guards(const MaintainedStream& stream) {
  // In this order: what is attached meanwhile seems to lack its row, and is looked at again.
  const Partitions states = partition_states(stream.schema, stream.table);
  const GuardedTables tables = guarded_tables(stream);
  const bool is_first = *stream.progress == 0;
  const int64 forgotten = is_first ? forget_strangers(stream, states, tables) : 0;
  const Guarded* table = next_to_mend(stream, tables, states);
  if (!table) return {.done = forgotten, .said = say_other_owners(stream, tables)};
  bool is_mended = true;
  if (table->table == stream.table)
    mend_triggers(stream, *table);
  else
    is_mended = mend_partition(stream, *table);
  return {.done = forgotten + is_mended, .has_more = true};
}

}  // namespace kanthorq
