#include "stream/reading.hpp"

#include "server/known.hpp"
#include "server/privileges.hpp"
#include "stream/partitions.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

namespace {

// Positions must be unique, be found by index, and be handed out one by one and in order.
bool has_good_positions(const OpenStream& stream) {
  return OidIsValid(stream.position_index) && hands_out_in_order(stream.position_sequence);
}

struct KnownCompleteness {
  Known known;
  Oid unlisted;  // a partition that has no row in kanthorq_partition
};

constinit Knowledge<KnownCompleteness> known_completeness;

// Not from the table's partition descriptor: for that, a session's first pull would read the
// catalogs about each partition.
Oid find_unlisted(Relation table, const Partitions& listed) {
  ListCell* cell = nullptr;
  foreach (cell, find_inheritance_children(RelationGetRelid(table), NoLock)) {
    if (!find_partition(listed, lfirst_oid(cell))) return lfirst_oid(cell);
  }
  return InvalidOid;
}

// A partition that nobody has listed: it was attached by hand, or the rows of kanthorq_partition
// were not restored. A pull would move over its events. Nothing tells the session when it is
// listed, so only the good answer is kept.
Oid unlisted_partition(const OpenStream& stream) {
  if (!stream.is_partitioned) return InvalidOid;
  const auto find_out = [&](KnownCompleteness& found) {
    found.unlisted = find_unlisted(stream.table,
                                   partition_states(stream.schema, RelationGetRelid(stream.table)));
    return !OidIsValid(found.unlisted) && !has_listed_partitions();
  };
  return known_completeness
      .about(
          stream.table, [](const KnownCompleteness&) { return true; }, find_out)
      .unlisted;
}

[[noreturn]] void raise_unlisted(const OpenStream& stream, Oid partition) {
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("cannot consume \"%s\": its partition \"%s\" is not listed",
                  RelationGetRelationName(stream.table), get_rel_name(partition)),
           errdetail("It was attached by hand, or kanthorq_partition was not restored. Its events "
                     "would be skipped."),
           errhint("CALL kanthorq_maintain() lists it.")));
}

}  // namespace

bool is_consumable(const OpenStream& stream) {
  return has_good_positions(stream) && !OidIsValid(unlisted_partition(stream));
}

void require_consumable(const OpenStream& stream) {
  if (has_good_positions(stream)) {
    const Oid unlisted = unlisted_partition(stream);
    if (OidIsValid(unlisted)) raise_unlisted(stream, unlisted);
    return;
  }
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
       errmsg("cannot consume \"%s\": its column \"position\" was altered",
              RelationGetRelationName(stream.table)),
       errdetail(
           "It needs a unique index of its own, and an identity sequence with increment 1, cache "
           "1 and no cycle.")));
}

PartitionTables newest_partitions(const OpenStream& stream) {
  const Partitions list = partition_states(stream.schema, RelationGetRelid(stream.table));
  const PartitionTables result{palloc_array_of<Oid>(list.count + 1), list.count};
  for (int i = 0; i < list.count; i++) result.tables[i] = list.items[i].table;
  std::sort(result.tables, result.tables + result.count);
  return result;
}

bool is_same(const PartitionTables& a, const PartitionTables& b) {
  return std::equal(a.tables, a.tables + a.count, b.tables, b.tables + b.count);
}

void require_readable(const OpenStream& stream) { require_direct_access(stream.table, ACL_SELECT); }

}  // namespace kanthorq
