// What the session finds out about each stream's table is kept (known.hpp). So a single publish
// looks up one name in the server's cache and one entry here.

#include "stream/open_stream.hpp"

#include "core/name.hpp"
#include "server/fault.hpp"
#include "server/indexes.hpp"
#include "server/known.hpp"
#include "server/lock.hpp"
#include "stream/citus.hpp"
#include "stream/definition.hpp"
#include "stream/recognition.hpp"
#include "stream/registered_table.hpp"
#include "stream/registry.hpp"
#include "stream/settings.hpp"

namespace kanthorq {

namespace {

struct KnownTable {
  Known known;
  bool intact;  // this very table is registered, and it is a stream's
  bool plain;
  bool is_partitioned;
  IdForm id_form;
  Oid position_sequence;
  Oid position_index;
  std::uint8_t name_size;
  char name[max_name_bytes];
};

constinit Knowledge<KnownTable> known_tables;

// For example, it is not so after the table was renamed.
bool is_known_as(const KnownTable& table, std::string_view name) {
  return std::string_view(table.name, table.name_size) == name;
}

// Nothing that matters to a publisher changes meanwhile, because its lock on the table keeps such
// changes out. Returns whether the answer may be kept: a table that is not registered may be so the
// next moment, without a change of the table.
bool find_out(KnownTable& table, Relation relation, Oid schema, std::string_view name) {
  table.name_size = static_cast<std::uint8_t>(name.size());
  memcpy(table.name, name.data(), name.size());
  known_tables.depend_on(registry_oid(schema));
  const Oid oid = RelationGetRelid(relation);
  table.intact = is_registered(schema, name) &&
                 registered_table(schema, Kind::stream, name).table == oid &&
                 !stream_table_difference(relation, schema, name) && !is_managed_by_citus(oid);
  table.plain = table.is_partitioned = false;
  table.id_form = {};
  table.position_sequence = table.position_index = InvalidOid;
  if (table.intact) {
    table.position_sequence = identity_sequence(relation, position_column);
    table.is_partitioned = is_partitioned(relation);
    table.id_form = stream_settings(schema, name).id_form;
    // In partitions, a position is unique only in each of them, if at all.
    table.position_index = table.is_partitioned || is_unique(relation, position_column)
                               ? find_index_on(relation, position_column)
                               : InvalidOid;
    table.plain = is_plain_stream_table(relation, schema, name);
  }
  return table.intact;
}

const KnownTable& knowledge_of(Relation relation, Oid schema, std::string_view name) {
  return known_tables.about(
      relation, [&](const KnownTable& table) { return is_known_as(table, name); },
      [&](KnownTable& table) { return find_out(table, relation, schema, name); });
}

[[noreturn]] void raise_distributed(std::string_view name) {
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("the table of stream \"%s\" is managed by Citus", clipped(name)),
           errdetail("It is in pg_dist_partition: its rows may be in shards, where consumers would "
                     "not see them."),
           errhint("Make it an ordinary table again with undistribute_table().")));
}

// Finds out why there is no such stream to open.
[[noreturn]] void raise_not_open(Oid schema, std::string_view name) {
  if (!is_registered(schema, name)) raise_no_such_stream(schema, name);
  const TableName expected = table_name(stream_table_prefix, name);
  const Oid oid = get_relname_relid(expected.c_str(), schema);
  Relation table = OidIsValid(oid) ? try_relation_open(oid, AccessShareLock) : nullptr;
  if (!table) raise_no_stream_table(name, expected.c_str());
  require_stream_table(table, schema, name);
  if (is_managed_by_citus(oid)) raise_distributed(name);
  raise_not_registered_table(table, "stream", name);
}

}  // namespace

// Anybody may ask for the status of a stream of any name, and a long one may have the same hash as
// another one's table.
bool try_open_stream(Oid schema, std::string_view name, LOCKMODE lock, OpenStream& stream) {
  if (name.size() > max_name_bytes) return false;
  TableName expected = table_name(stream_table_prefix, name);
  RangeVar* range = makeRangeVar(get_namespace_name(schema), expected.bytes.data(), -1);
  const Oid oid = RangeVarGetRelid(range, lock, true);
  if (!OidIsValid(oid)) return false;
  Relation table = relation_open(oid, NoLock);  // it may be no table at all
  const KnownTable& known = knowledge_of(table, schema, name);
  stream = {table,
            schema,
            known.plain,
            known.is_partitioned,
            known.position_sequence,
            known.position_index,
            known.id_form};
  if (!known.intact) relation_close(table, lock);  // gives the lock back
  return known.intact;
}

OpenStream open_stream(Oid schema, std::string_view name, LOCKMODE lock) {
  require_name(name);
  OpenStream stream;
  if (!try_open_stream(schema, name, lock, stream)) raise_not_open(schema, name);
  lock_relation(RelationGetRelid(stream.table), lock);
  return stream;
}

}  // namespace kanthorq
