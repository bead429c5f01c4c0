#include "stream/adoption.hpp"

#include "core/name.hpp"
#include "server/datum.hpp"
#include "server/lock.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/definition.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

namespace {

// A superuser owns every table as far as rights go, but must not adopt what somebody else prepared:
// triggers and defaults on it would run with the rights of whoever publishes.
void require_own(Relation table) {
  if (table->rd_rel->relowner == GetUserId()) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("must be owner of table %s", RelationGetRelationName(table)),
           errdetail("It exists and belongs to role \"%s\".",
                     GetUserNameFromId(table->rd_rel->relowner, false)),
           errhint("If it is a stream of that role, create the stream again as that role.")));
}

void undress(Oid relation, const char* table) {
  for (const StreamCheck& check : stream_checks)
    if (OidIsValid(get_relation_constraint_oid(relation, check.name, true)))
      run_definition(psprintf("ALTER TABLE %s DROP CONSTRAINT %s", table, check.name));
  for (const char* trigger : stream_triggers)
    if (OidIsValid(get_trigger_oid(relation, trigger, true)))
      run_definition(psprintf("DROP TRIGGER %s ON %s", trigger, table));
}

}  // namespace

void adopt_stream_table(Oid schema, std::string_view name, bool subject_index) {
  const TableName mapped = table_name(stream_table_prefix, name);
  const Oid oid = RangeVarGetRelidExtended(
      makeRangeVar(get_namespace_name(schema), cstring_of(mapped.view()), -1), AccessExclusiveLock,
      0, RangeVarCallbackOwnsRelation, nullptr);
  lock_relation(oid, AccessExclusiveLock);

  Relation table = relation_open(oid, NoLock);
  require_own(table);
  require_stream_table(table, schema, name);
  const char* difference = stream_definition_difference(table);
  if (difference) raise_not_stream_table(table, difference);
  const bool lacks_subject_index = subject_index && !has_subject_index(table);
  const char* quoted = quoted_table_name(table);
  relation_close(table, NoLock);  // the definitions below refuse a table that is open

  with_spi([&] {
    undress(oid, quoted);
    KANTHORQ_TEST_POINT("stream_adopt_undressed");
    if (lacks_subject_index) create_subject_index(name, quoted);
    dress_stream_table(schema, name, quoted);
  });
}

}  // namespace kanthorq
