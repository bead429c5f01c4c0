#include "stream/adoption.hpp"

#include "core/name.hpp"
#include "server/datum.hpp"
#include "server/lock.hpp"
#include "server/quoting.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/definition.hpp"
#include "stream/partition_owner.hpp"
#include "stream/partitions.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

namespace {

// A superuser has the rights of every table's owner, but must not adopt a table of somebody else.
// Its triggers and defaults would run with the rights of each publisher.
void require_direct_owner(Relation table) {
  if (table->rd_rel->relowner == GetUserId()) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("must be owner of table %s", RelationGetRelationName(table)),
           errdetail("It exists and belongs to role \"%s\".",
                     GetUserNameFromId(table->rd_rel->relowner, false)),
           errhint("If it is a stream of that role, create the stream again as that role.")));
}

void drop_trigger(Oid relation, const char* table, const char* trigger) {
  if (OidIsValid(get_trigger_oid(relation, trigger, true)))
    run_definition(psprintf("DROP TRIGGER %s ON %s", trigger, table));
}

void drop_checks_and_triggers(Oid relation, const char* table) {
  for (const StreamCheck& check : stream_checks)
    if (OidIsValid(get_relation_constraint_oid(relation, check.name, true)))
      run_definition(psprintf("ALTER TABLE %s DROP CONSTRAINT %s", table, check.name));
  for (const char* trigger : stream_triggers) drop_trigger(relation, table, trigger);
}

// What the stream's table has, its partitions have, too, but for the triggers for statements.
void adopt_partitions(Oid schema, Oid stream, std::string_view name) {
  ListCell* cell;
  foreach (cell, find_inheritance_children(stream, AccessExclusiveLock)) {
    const Oid partition = lfirst_oid(cell);
    const char* table = quoted_table_name(partition);
    for (const char* trigger : partition_triggers) drop_trigger(partition, table, trigger);
    complete_partition(schema, name, table);
    add_open_partition(schema, stream, partition);
  }
}

// What else they have is changed together with the stream's table, and by its owner.
void require_own_partitions(Oid stream) {
  ListCell* cell;
  foreach (cell, find_inheritance_children(stream, NoLock))
    require_of_stream_owner(stream, lfirst_oid(cell));
}

void require_same_kind(Relation table, const StreamShape& shape) {
  if (is_partitioned(table) == shape.is_partitioned) return;
  ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
                  errmsg("table \"%s\" exists and %s partitioned", RelationGetRelationName(table),
                         shape.is_partitioned ? "is not" : "is"),
                  shape.is_partitioned
                      ? errhint("Adopt it without partition_interval.")
                      : errhint("Adopt it with the partition_interval that it was created with.")));
}

// Raises 42501, and takes no lock, if the caller does not own the table.
Oid lock_table_of_caller(Oid schema, std::string_view name) {
  const TableName table = table_name(stream_table_prefix, name);
  const Oid oid = RangeVarGetRelidExtended(
      makeRangeVar(get_namespace_name(schema), cstring_of(table.view()), -1), AccessExclusiveLock,
      0, RangeVarCallbackOwnsRelation, nullptr);
  lock_relation(oid, AccessExclusiveLock);
  return oid;
}

}  // namespace

void adopt_stream_table(Oid schema, std::string_view name, const StreamShape& shape) {
  const Oid oid = lock_table_of_caller(schema, name);
  Relation table = relation_open(oid, NoLock);
  require_direct_owner(table);
  require_stream_table(table, schema, name);
  const char* difference = stream_definition_difference(table);
  if (difference) raise_not_stream_table(table, difference);
  require_same_kind(table, shape);
  require_own_partitions(oid);
  const bool lacks_subject_index = shape.subject_index && !has_subject_index(table);
  const char* quoted = quoted_table_name(table);
  relation_close(table, NoLock);  // the definitions below refuse a table that is open

  with_spi([&] {
    drop_checks_and_triggers(oid, quoted);
    KANTHORQ_TEST_POINT("stream_adopt_undressed");
    if (lacks_subject_index) create_subject_index(name, quoted);
    complete_stream_table(schema, name, quoted, shape.id_form);
    if (shape.is_partitioned) adopt_partitions(schema, oid, name);
  });
}

}  // namespace kanthorq
