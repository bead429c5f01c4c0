#include "stream/reading.hpp"

#include "server/privileges.hpp"
#include "server/scope.hpp"
#include "stream/partitions.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

// Positions must be unique, be found by index, and be handed out one by one and in order.
bool is_consumable(const OpenStream& stream) {
  return OidIsValid(stream.position_index) && hands_out_in_order(stream.position_sequence);
}

void require_consumable(const OpenStream& stream) {
  if (is_consumable(stream)) return;
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
  const Partitions list =
      with_newest_snapshot([&](Snapshot newest) { return all_partitions(stream, newest); });
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
