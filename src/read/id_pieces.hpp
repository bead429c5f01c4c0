// The ids of a stream in pieces, each of which lies in one table.
//
// A query on a partitioned stream that is not limited to a few partitions plans and locks all of
// them. So a page is read piece by piece, each by a query on the stream's table with bounds that
// leave one partition to read. The privileges and the row security of that table count.
#pragma once

#include "read/time_range.hpp"
#include "server/pg.hpp"
#include "server/scope.hpp"
#include "server/test_point.hpp"
#include "stream/open_stream.hpp"
#include "stream/partition_owner.hpp"

namespace kanthorq {

struct IdPiece {
  const char* lower;  // included; empty: from the start
  const char* upper;  // excluded; null: to the end
  Oid partition;      // InvalidOid if there is none for these ids only

  bool operator==(const IdPiece& other) const;
};

// The piece that has this id: the range of a partition, or a gap before, between or after them,
// whose ids are in the default partition. A stream that is not partitioned is one piece.
IdPiece piece_with(const OpenStream& stream, const char* id);

inline constexpr IdPiece all_ids{"", nullptr, InvalidOid};

// Those of the ranges, or parts of them, that are in the piece.
IdRanges ranges_in(const IdPiece& piece, const IdRanges& ranges);

// May an event be in the piece? A gap is looked into, because a query for one costs more. Most have
// none. The last piece is not looked into.
bool may_have_events(const OpenStream& stream, const IdPiece& piece);

// Adds the condition that a row's id is in the piece.
void add_id_piece(ReadQuery& query, const IdPiece& piece);

// Is this partition newer than the snapshot of the calling statement? Then this snapshot still sees
// the events of the partition in the default one, from which they were moved.
bool is_newer_than_statement(const OpenStream& stream, Oid partition);

// Raises 55000 if planning a query for the piece might run code of a stranger
// (partition_owner.hpp).
void require_no_foreign_code(const OpenStream& stream, const IdPiece& piece);

// Runs `body` with plans that read all partitions, whatever the bounds are.
template <typename Body>
auto with_all_partitions(Body body) {
  const int level = NewGUCNestLevel();
  set_config_option("enable_partition_pruning", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                    true, 0, false);
  return run_and_close(body, [&] { AtEOXact_GUC(false, level); });
}

// Runs `body`, which makes a query for ids of the piece, so that it finds what the snapshot of the
// calling statement sees.
template <typename Body>
void with_piece_of_statement(const OpenStream& stream, const IdPiece& piece, Body body) {
  const bool is_newer =
      OidIsValid(piece.partition) && is_newer_than_statement(stream, piece.partition);
  KANTHORQ_TEST_POINT("piece_found");
  if (is_newer) {
    require_no_foreign_code(stream, Access::reads);
    with_all_partitions(body);
  } else {
    require_no_foreign_code(stream, piece);
    body();
  }
}

}  // namespace kanthorq
