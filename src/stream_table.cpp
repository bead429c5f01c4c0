// What is known about each stream's table is kept for the session, by the table's oid, and worked
// out again after the server says that the table's definition may have changed (a relcache
// invalidation, which arrives at the latest when the table is locked for the next use). So a single
// publish looks up one name in the server's cache and one entry here.
#include "stream_table.hpp"

#include "core/name.hpp"
#include "datum.hpp"
#include "fault.hpp"
#include "registry.hpp"
#include "rows.hpp"
#include "shape.hpp"

namespace kanthorq {

namespace {

struct KnownTable {
  Oid relation;  // the key
  bool valid;
  bool changed;  // since finding out began
  bool registered;
  bool plain;
  Oid position_sequence;
  Oid position_index;
  std::uint8_t name_size;
  char name[max_name_bytes];
};

HTAB* known_tables;
Oid registry_table;  // in which the known ones are registered

void mark_changed(KnownTable& known) {
  known.valid = false;
  known.changed = true;
}

void forget(Datum, Oid relation) {
  if (OidIsValid(relation) && relation != registry_table) {
    auto* known =
        static_cast<KnownTable*>(hash_search(known_tables, &relation, HASH_FIND, nullptr));
    if (known) mark_changed(*known);
    return;
  }
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, known_tables);
  while (auto* known = static_cast<KnownTable*>(hash_seq_search(&scan))) mark_changed(*known);
}

void remember_tables() {
  HASHCTL control{};
  control.keysize = sizeof(Oid);
  control.entrysize = sizeof(KnownTable);
  known_tables = hash_create("KanthorQ stream tables", 16, &control, HASH_ELEM | HASH_BLOBS);
  CacheRegisterRelcacheCallback(forget, 0);
}

bool is_for(const KnownTable& known, std::string_view name) {
  return std::string_view(known.name, known.name_size) == name;
}

// Nothing that matters to a publisher changes meanwhile, because its lock on the table keeps such
// definitions out. A change of another kind only means that the next use looks again.
void find_out(KnownTable& known, Relation table, Oid schema, std::string_view name) {
  known.valid = false;  // and so it stays should finding out fail
  known.changed = false;
  known.name_size = static_cast<std::uint8_t>(name.size());
  memcpy(known.name, name.data(), name.size());
  registry_table = registry_oid(schema);
  known.registered = is_registered(schema, name);
  known.plain = false;
  if (known.registered) {
    require_stream_table(table, schema, name);
    known.position_sequence = identity_sequence(table, position_column);
    known.position_index = find_index_on(table, position_column);
    known.plain = is_plain_stream_table(table, schema, name);
  }
  // What is not registered may be the next moment, without a change of the table.
  known.valid = known.registered && !known.changed;
}

const KnownTable& knowledge_of(Relation table, Oid schema, std::string_view name) {
  if (!known_tables) remember_tables();
  Oid relation = RelationGetRelid(table);
  bool found = false;
  auto* known = static_cast<KnownTable*>(hash_search(known_tables, &relation, HASH_ENTER, &found));
  if (!found || !known->valid || !is_for(*known, name)) find_out(*known, table, schema, name);
  return *known;
}

}  // namespace

bool try_open_stream(Oid schema, std::string_view name, LOCKMODE lock, OpenStream& stream) {
  TableName mapped = table_name(stream_table_prefix, name);
  RangeVar* range = makeRangeVar(get_namespace_name(schema), mapped.bytes.data(), -1);
  const Oid oid = RangeVarGetRelid(range, lock, true);
  if (!OidIsValid(oid)) return false;
  Relation table = relation_open(oid, NoLock);  // whatever has the name
  const KnownTable& known = knowledge_of(table, schema, name);
  stream = {table, known.plain, known.position_sequence, known.position_index};
  if (!known.registered) relation_close(table, NoLock);
  return known.registered;
}

OpenStream open_stream(Oid schema, std::string_view name, LOCKMODE lock) {
  require_name(name);
  OpenStream stream;
  if (try_open_stream(schema, name, lock, stream)) return stream;
  if (is_registered(schema, name))
    raise_no_stream_table(name, table_name(stream_table_prefix, name).c_str());
  raise_no_such_stream(schema, name);
}

void require_no_row_security(Relation table) {
  if (check_enable_rls(RelationGetRelid(table), InvalidOid, false) != RLS_ENABLED) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("cannot consume \"%s\" under row security", RelationGetRelationName(table)),
           errdetail("Its row security is in force for role \"%s\".",
                     GetUserNameFromId(GetUserId(), false)),
           errhint("Consume as a role that the table's policies do not limit, or read it with "
                   "kanthorq_events().")));
}

void require_ownership(Relation table) {
  if (!owns_relation(RelationGetRelid(table), GetUserId()))
    aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(table->rd_rel->relkind),
                   RelationGetRelationName(table));
}

void require_confirmation(FunctionCallInfo fcinfo, int argument, const char* kind,
                          std::string_view name) {
  if (!PG_ARGISNULL(argument) && text_argument(fcinfo, argument) == name) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("confirmation for %s \"%s\" is missing or wrong", kind, clipped(name)),
                  PG_ARGISNULL(argument) ? errdetail("The argument \"confirm\" is null.")
                                         : errdetail("The argument \"confirm\" is \"%s\".",
                                                     clipped(text_argument(fcinfo, argument))),
                  errhint("This can't be undone; repeat the %s's name in the argument \"confirm\".",
                          kind)));
}

void require_create_privilege(Oid schema) {
  const AclResult result = check_schema_privilege(schema, GetUserId(), ACL_CREATE);
  if (result != ACLCHECK_OK) aclcheck_error(result, OBJECT_SCHEMA, get_namespace_name(schema));
}

}  // namespace kanthorq
