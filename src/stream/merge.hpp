// Rows of a stream's partitions, in the order of their positions or of their ids, or one row.
//
// Each partition has a scan of its own, and the next row is the first of those that the scans are
// at. A partition is opened when none of the rows that come before it is left, and closed, its lock
// given back, when its own are. So a partition that can't have the next row costs nothing. Open
// ones (partitions.hpp) may have any position.
//
// The caller holds a lock on the stream's table, so no partition is dropped meanwhile. A snapshot
// may be older than a drop, so a partition that is gone is skipped. If its owner has altered a
// partition so that it lacks a stream's columns or an index, that raises 55000. But if the caller
// limits how much is looked at, the merge ends there as if that were reached: a view shows less,
// and does not fail.
#pragma once

#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

struct MergedRows;

// The rows with after < position <= upto in the order of their positions, each position once: an
// owner may give one to several rows. Looks at `most` entries of all indexes at most.
MergedRows* merge_by_position(const OpenStream& stream, Snapshot snapshot, int64 after, int64 upto,
                              std::size_t most);

// The rows with lower <= id < upper in the order of their ids, or against it. A null leaves its
// side open. If the snapshot sees what is not committed, see search_until_partitions_stay()
// (reading.hpp).
MergedRows* merge_by_id(const OpenStream& stream, Snapshot snapshot, const char* lower,
                        const char* upper, ScanDirection direction, std::size_t most);

// One row, if there is one: with this position, or with this id.
MergedRows* find_by_position(const OpenStream& stream, Snapshot snapshot, int64 position);
MergedRows* find_by_id(const OpenStream& stream, Snapshot snapshot, std::string_view id);

// Has the default partition an index entry of an id from `lower` to `upper`? If not, no snapshot
// sees such a row there.
bool may_be_in_default(const OpenStream& stream, const char* lower, const char* upper);

// The next row, valid until the next call; null after the last one. Checks for interrupts.
TupleTableSlot* next_row(MergedRows* rows);

// Closes what is open. Returns false if there was more to look at.
bool end_rows(MergedRows* rows);

}  // namespace kanthorq
