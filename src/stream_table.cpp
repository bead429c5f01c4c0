// What is known about each stream's table is kept for the session, by the table's oid, and worked
// out again after the server says that the table's definition may have changed (a relcache
// invalidation, which arrives at the latest when the table is locked for the next use). So a single
// publish looks up one name in the server's cache and one entry here.
#include "stream_table.hpp"

#include "core/name.hpp"
#include "datum.hpp"
#include "fault.hpp"
#include "registry.hpp"
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
  if (known.registered) require_stream_table(table, schema, name);
  const bool plain = known.registered && is_plain_stream_table(table, schema, name);
  known.position_sequence = plain ? identity_sequence(table, position_column) : InvalidOid;
  known.plain = OidIsValid(known.position_sequence);
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

OpenStream open_stream(Oid schema, std::string_view name, LOCKMODE lock) {
  require_name(name);
  TableName mapped = table_name(stream_table_prefix, name);
  RangeVar* range = makeRangeVar(get_namespace_name(schema), mapped.bytes.data(), -1);
  const Oid oid = RangeVarGetRelid(range, lock, true);
  if (!OidIsValid(oid)) {
    if (is_registered(schema, name)) raise_no_stream_table(name, mapped.c_str());
    raise_no_such_stream(schema, name);
  }
  Relation table = relation_open(oid, NoLock);  // whatever has the name
  const KnownTable& known = knowledge_of(table, schema, name);
  if (!known.registered) raise_no_such_stream(schema, name);
  return {table, known.plain, known.position_sequence};
}

void require_ownership(Relation table) {
  if (!owns_relation(RelationGetRelid(table), GetUserId()))
    aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(table->rd_rel->relkind),
                   RelationGetRelationName(table));
}

void require_confirmation(FunctionCallInfo fcinfo, int argument, std::string_view name) {
  if (!PG_ARGISNULL(argument) && text_argument(fcinfo, argument) == name) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("confirmation for stream \"%s\" is missing or wrong", clipped(name)),
           PG_ARGISNULL(argument) ? errdetail("The argument \"confirm\" is null.")
                                  : errdetail("The argument \"confirm\" is \"%s\".",
                                              clipped(text_argument(fcinfo, argument))),
           errhint("This removes events; repeat the stream's name in the argument \"confirm\".")));
}

}  // namespace kanthorq
