#include "stream/partition_owner.hpp"

#include "server/indexes.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/quoting.hpp"
#include "stream/definition.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

namespace {

// InvalidOid if it is gone.
Oid owner_of(Oid table) {
  HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(row)) return InvalidOid;
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
  ReleaseSysCache(row);
  return owner;
}

const char* owner_name(Oid table) {
  const char* name = GetUserNameFromId(owner_of(table), true);
  return name ? name : "";
}

// The role could put the same on the stream's table itself.
bool has_rights_of_stream_owner(Oid stream, Oid partition) {
  const Oid owner = owner_of(partition);
  return OidIsValid(owner) && has_privs_of_role(owner, owner_of(stream));
}

bool is_function_of_ours(Oid function, Oid schema) {
  for (const char* name : {writer_function, append_only_function, closed_function})
    if (function == own_function(schema, name, InvalidOid)) return true;
  return false;
}

// A condition of a trigger is code, too. Foreign keys run theirs as the owners of their tables.
bool has_own_triggers(Relation partition, Oid schema) {
  const TriggerDesc* triggers = partition->trigdesc;
  if (!triggers) return false;
  for (int i = 0; i < triggers->numtriggers; i++) {
    const Trigger& trigger = triggers->triggers[i];
    if (trigger.tgisinternal || trigger.tgisclone) continue;
    if (trigger.tgqual || !is_function_of_ours(trigger.tgfoid, schema)) return true;
  }
  return false;
}

bool has_own_expressions_in_indexes(Relation partition) {
  return has_index(partition, [](const IndexEntry& index) {
    return !is_on_columns(index) && !get_rel_relispartition(index.form->indexrelid);
  });
}

// It has all checks of the stream's table.
bool has_own_checks(Relation partition, Relation stream) {
  const auto checks = [](Relation table) {
    const TupleConstr* constraints = RelationGetDescr(table)->constr;
    return constraints ? constraints->num_check : 0;
  };
  return checks(partition) != checks(stream);
}

// Also of a generated column.
bool has_own_defaults(Relation partition, Relation stream) {
  TupleDesc columns = RelationGetDescr(partition);
  TupleDesc of_stream = RelationGetDescr(stream);
  if (columns->natts != of_stream->natts) return true;
  for (int i = 0; i < columns->natts; i++) {
    Form_pg_attribute column = TupleDescAttr(columns, i);
    if (column->attisdropped || !column->atthasdef) continue;
    if (!TupleDescAttr(of_stream, i)->atthasdef) return true;
    const AttrNumber number = column->attnum;
    if (!equal(build_column_default(partition, number), build_column_default(stream, number)))
      return true;
  }
  return false;
}

[[noreturn]] void raise_other_owner(Oid stream, Oid partition) {
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
       errmsg("partition \"%s\" belongs to another role than its stream", get_rel_name(partition)),
       errdetail("It belongs to \"%s\", and the stream's table to \"%s\".", owner_name(partition),
                 owner_name(stream)),
       errhint("Use ALTER TABLE %s OWNER TO %s, or call kanthorq_maintain() as a superuser.",
               quoted_table_name(partition), quote_identifier(owner_name(stream)))));
}

[[noreturn]] void raise_foreign_code(Oid stream, Oid partition) {
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
       errmsg("partition \"%s\" has code of another role than the owner of its stream",
              get_rel_name(partition)),
       errdetail("It belongs to \"%s\", and the stream's table to \"%s\". What is on it, such as "
                 "triggers or expressions in indexes, would run with the rights of \"%s\".",
                 owner_name(partition), owner_name(stream), GetUserNameFromId(GetUserId(), false)),
       errhint("Drop what does not belong there, then use ALTER TABLE %s OWNER TO %s.",
               quoted_table_name(partition), quote_identifier(owner_name(stream)))));
}

// Which the server evaluates as far as it is constant, in order to plan a statement.
bool has_own_planned_code(Relation partition, Relation stream) {
  // What is partitioned itself may have all that in its partitions.
  return partition->rd_rel->relkind != RELKIND_RELATION ||
         has_own_expressions_in_indexes(partition) || has_own_checks(partition, stream) ||
         RelationGetStatExtList(partition) != NIL;
}

// Has the partition anything that the server would evaluate or fire, and that it does not have from
// the stream's table or from us?
bool has_own_code(Relation partition, Relation stream, Oid schema) {
  return has_own_planned_code(partition, stream) || has_own_triggers(partition, schema) ||
         has_own_defaults(partition, stream) || partition->rd_rules != nullptr ||
         partition->rd_rel->relrowsecurity;
}

}  // namespace

bool is_of_stream_owner(Oid stream, Oid partition) {
  return owner_of(partition) == owner_of(stream);
}

void require_of_stream_owner(Oid stream, Oid partition) {
  if (!is_of_stream_owner(stream, partition)) raise_other_owner(stream, partition);
}

bool is_safe_to_give(Relation partition, Relation stream, Oid schema) {
  const Oid table = RelationGetRelid(stream);
  return has_rights_of_stream_owner(table, RelationGetRelid(partition)) ||
         (!has_own_code(partition, stream, schema) &&
          !lets_others_add_triggers(RelationGetRelid(partition), table));
}

// The lock keeps out those who add triggers and indexes, and so does that of an INSERT or a DELETE.
void require_no_foreign_code(const OpenStream& stream, Oid partition, Access access) {
  const Oid table = RelationGetRelid(stream.table);
  if (is_of_stream_owner(table, partition) || has_rights_of_stream_owner(table, partition)) return;
  lock_relation(partition, RowExclusiveLock);
  Relation opened = try_relation_open(partition, AccessShareLock);
  if (!opened) return;
  const bool has_code = access == Access::reads ? has_own_planned_code(opened, stream.table)
                                                : has_own_code(opened, stream.table, stream.schema);
  relation_close(opened, AccessShareLock);
  if (has_code) raise_foreign_code(table, partition);
}

void require_no_foreign_code(const OpenStream& stream, Access access) {
  if (!stream.is_partitioned) return;
  PartitionDesc partitions = RelationGetPartitionDesc(stream.table, true);
  Oid* tables = palloc_array_of<Oid>(Max(partitions->nparts, 1));  // locking may change it
  const int count = partitions->nparts;
  std::copy_n(partitions->oids, count, tables);
  for (int i = 0; i < count; i++) require_no_foreign_code(stream, tables[i], access);
  pfree(tables);
}

}  // namespace kanthorq
