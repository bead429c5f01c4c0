#include "consumer/task_table.hpp"

#include "core/name.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/indexes.hpp"
#include "server/known.hpp"
#include "server/quoting.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"

namespace kanthorq {

namespace {

const char* quoted_part_name(std::string_view consumer, const char* part) {
  return quoted_name(part_name(consumer_table_prefix, consumer, part));
}

void require_free_name(Oid schema, std::string_view consumer) {
  const TableName table = table_name(consumer_table_prefix, consumer);
  if (OidIsValid(get_relname_relid(table.c_str(), schema)))
    ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
                    errmsg("table \"%s\" exists and is not the consumer's", table.c_str()),
                    errdetail("No consumer \"%s\" is registered.", clipped(consumer)),
                    errhint("Rename or drop the table, or choose another name for the consumer.")));
}

struct TaskColumnType {
  const char* name;
  Oid type;
  Oid collation;
  bool may_be_null;
};

constexpr TaskColumnType task_column_types[task_columns] = {
    {"position", INT8OID, InvalidOid, false},
    {"event_id", VARCHAROID, C_COLLATION_OID, false},
    {"subject", VARCHAROID, C_COLLATION_OID, false},
    {"state", TEXTOID, C_COLLATION_OID, false},
    {"attempt_count", INT2OID, InvalidOid, false},
    {"schedule_at", INT8OID, InvalidOid, true},
    {"attempted_at", INT8OID, InvalidOid, true},
    {"attempted_error", JSONBARRAYOID, InvalidOid, false},
    {"finalized_at", INT8OID, InvalidOid, true},
};

bool is_as_created(TupleDesc descriptor, int index) {
  const Form_pg_attribute found = TupleDescAttr(descriptor, index);
  const TaskColumnType& wanted = task_column_types[index];
  return !found->attisdropped && strcmp(NameStr(found->attname), wanted.name) == 0 &&
         found->atttypid == wanted.type && found->attcollation == wanted.collation &&
         found->attgenerated == '\0' &&
         (wanted.may_be_null ? !found->attnotnull : is_never_null(descriptor, index));
}

// Rows are indexed without the executor, and expressions, conditions and deferred checks need it.
bool has_ordinary_indexes_only(Relation table) {
  bool ordinary = true;
  for_indexes(table, [&](const IndexEntry& index) {
    ordinary =
        ordinary && is_on_columns(index) && !index.form->indisexclusion && index.form->indimmediate;
  });
  return ordinary;
}

// What the table's owner may expect and does not get: rows are written without the executor, which
// follows rules, tests checks and fires triggers. The server's own triggers are those of foreign
// keys.
const char* find_ignored_rule(Relation table) {
  const TupleConstr* constraints = RelationGetDescr(table)->constr;
  if (constraints && constraints->num_check > 0)
    return psprintf("It has the check \"%s\", which KanthorQ does not test.",
                    constraints->check[0].ccname);
  if (table->rd_rules) return "It has rules, which KanthorQ does not follow.";
  if (!table->trigdesc) return nullptr;
  for (int i = 0; i < table->trigdesc->numtriggers; i++) {
    const Trigger& trigger = table->trigdesc->triggers[i];
    if (!trigger.tgisinternal)
      return psprintf("It has the trigger \"%s\", which KanthorQ does not fire.", trigger.tgname);
  }
  return "It has a foreign key, or one refers to it, which KanthorQ does not check.";
}

const char* find_difference(Relation table) {
  if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_rel->relispartition ||
      table->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT ||
      table->rd_tableam != GetHeapamTableAmRoutine())
    return "It is not an ordinary, logged table.";
  TupleDesc descriptor = RelationGetDescr(table);
  if (descriptor->natts != task_columns)
    return "Columns were added to it, which dropping them does not undo.";
  for (int i = 0; i < task_columns; i++)
    if (!is_as_created(descriptor, i))
      return psprintf("Its column \"%s\" was changed.", task_column_types[i].name);
  for (AttrNumber column : {task_position_column, task_event_id_column, task_schedule_at_column})
    if (!OidIsValid(find_index_on(table, column)))
      return psprintf("Its index on \"%s\" is missing.", task_column_types[column - 1].name);
  if (!is_unique(table, task_position_column)) return "Its index on \"position\" is not unique.";
  if (!has_ordinary_indexes_only(table))
    return "It has an index on an expression, with a condition, or with deferred checks.";
  return find_ignored_rule(table);
}

struct KnownTaskTable {
  Known known;
  const char* difference;
};

constinit Knowledge<KnownTaskTable> known_task_tables;

}  // namespace

const char* task_table_difference(Relation table) {
  const auto is_its_entry = [](const KnownTaskTable&) { return true; };
  const auto fill = [&](KnownTaskTable& entry) {
    entry.difference = find_difference(table);
    return entry.difference == nullptr;
  };
  for (;;) {
    const KnownTaskTable& entry = known_task_tables.about(table, is_its_entry, fill);
    if (entry.difference || entry.known.valid) return entry.difference;
    CHECK_FOR_INTERRUPTS();  // it was altered meanwhile
  }
}

void require_task_table(Relation table) {
  const char* difference = task_table_difference(table);
  if (!difference) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("table \"%s\" is no longer the consumer's", RelationGetRelationName(table)),
           errdetail("%s", difference),
           errhint("Undo the change if that is possible, or drop the consumer and create it "
                   "again.")));
}

// An update changes state, attempts and times. Only schedule_at of these is in an index, and the
// pages have room for new versions of rows. An event that was removed may leave its row, and its id
// may be published again, so the key is the position.
void create_task_table(Oid schema, std::string_view consumer) {
  require_free_name(schema, consumer);
  with_spi([&] {
    const char* table =
        quoted_table_name(schema, table_name(consumer_table_prefix, consumer).c_str());
    run_definition(
        psprintf("CREATE TABLE %s ("
                 "position pg_catalog.int8 NOT NULL,"
                 " event_id pg_catalog.varchar(64) COLLATE pg_catalog.\"C\" NOT NULL,"
                 " subject pg_catalog.varchar(128) COLLATE pg_catalog.\"C\" NOT NULL,"
                 " state pg_catalog.text COLLATE pg_catalog.\"C\" NOT NULL,"
                 " attempt_count pg_catalog.int2 NOT NULL,"
                 " schedule_at pg_catalog.int8,"
                 " attempted_at pg_catalog.int8,"
                 " attempted_error pg_catalog.jsonb[] NOT NULL,"
                 " finalized_at pg_catalog.int8,"
                 " CONSTRAINT %s PRIMARY KEY (position))"
                 " USING heap WITH (fillfactor = 70)",
                 table, quoted_part_name(consumer, "pkey")));
    run_definition(psprintf("CREATE INDEX %s ON %s (event_id)",
                            quoted_part_name(consumer, "event_id_idx"), table));
    run_definition(psprintf("CREATE INDEX %s ON %s (schedule_at)",
                            quoted_part_name(consumer, "schedule_at_idx"), table));
    run_definition(psprintf("COMMENT ON TABLE %s IS %s", table,
                            quote_literal_cstr(psprintf(
                                "KanthorQ consumer \"%s\": its events that are retried, discarded, "
                                "cancelled or delivered again; written by KanthorQ only",
                                cstring_of(consumer)))));
  });
}

}  // namespace kanthorq
