#include "read/id_pieces.hpp"

#include "stream/merge.hpp"
#include "stream/partitions.hpp"

namespace kanthorq {

namespace {

const char* greater(const char* a, const char* b) { return strcmp(a, b) > 0 ? a : b; }

const char* smaller(const char* a, const char* b) { return strcmp(a, b) < 0 ? a : b; }

bool sees_partition(const OpenStream& stream, Snapshot snapshot, Oid partition) {
  const Partitions seen = all_partitions(stream, snapshot);
  return std::any_of(seen.items, seen.items + seen.count,
                     [&](const Partition& one) { return one.table == partition; });
}

}  // namespace

bool IdPiece::operator==(const IdPiece& other) const {
  return partition == other.partition && strcmp(lower, other.lower) == 0 &&
         !upper == !other.upper && (!upper || strcmp(upper, other.upper) == 0);
}

IdPiece piece_with(const OpenStream& stream, const char* id) {
  if (!stream.is_partitioned) return all_ids;
  const RangePartition range = range_around(stream.table, id);
  return {range.lower, range.upper, range.table};
}

bool may_have_events(const OpenStream& stream, const IdPiece& piece) {
  return OidIsValid(piece.partition) || !piece.upper ||
         may_be_in_default(stream, piece.lower, piece.upper);
}

IdRanges ranges_in(const IdPiece& piece, const IdRanges& ranges) {
  IdRanges result;
  for (int i = 0; i < ranges.count; i++) {
    const char* lower = greater(ranges.ranges[i].lower, piece.lower);
    const char* upper =
        piece.upper ? smaller(ranges.ranges[i].upper, piece.upper) : ranges.ranges[i].upper;
    if (strcmp(lower, upper) < 0) result.add(lower, upper);
  }
  return result;
}

void require_no_foreign_code(const OpenStream& stream, const IdPiece& piece) {
  if (!stream.is_partitioned) return;
  const Oid partition =
      OidIsValid(piece.partition) ? piece.partition : default_partition(stream.table);
  if (OidIsValid(partition)) require_no_foreign_code(stream, partition, Access::reads);
}

void add_id_piece(ReadQuery& query, const IdPiece& piece) {
  if (*piece.lower)
    query.add(" AND id OPERATOR(pg_catalog.>=) ", TEXTOID, CStringGetTextDatum(piece.lower));
  if (piece.upper)
    query.add(" AND id OPERATOR(pg_catalog.<) ", TEXTOID, CStringGetTextDatum(piece.upper));
}

// Attaching a partition writes its row of pg_class. If that is older than all that was running when
// the snapshot was taken, the snapshot sees the partition. Else the list is asked.
bool is_newer_than_statement(const OpenStream& stream, Oid partition) {
  Snapshot snapshot = GetActiveSnapshot();
  HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(partition));
  if (!HeapTupleIsValid(row)) return false;
  const TransactionId written = HeapTupleHeaderGetXmin(row->t_data);
  ReleaseSysCache(row);
  return !TransactionIdPrecedes(written, snapshot->xmin) &&
         !sees_partition(stream, snapshot, partition);
}

}  // namespace kanthorq
