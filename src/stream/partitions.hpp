// The partitions of a stream: tables that hold its events by their ids, each from one id up to
// another one, and a default partition for all other ids. A plain stream has none.
//
// Positions don't follow the ids. So a reader by position always looks into a partition that is
// open, which means that events may come to it. Some time after its end a partition is closed, and
// the table kanthorq_partition says which positions it holds. An event that comes later notes a
// reopening there, in its own transaction. Ranges and notes are rows of one table, and are read in
// one scan with one snapshot that is not older than the list of open writers (docs/partitions.md
// has the reasons).
#pragma once

#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// A partition and the positions that it may hold.
struct Partition {
  Oid table;
  int64 first;
  int64 last;

  bool is_open() const { return last == PG_INT64_MAX; }
  bool is_retired() const { return last < 0; }  // nobody reads it any more
};

struct Partitions {
  Partition* items;
  int count;
};

// The partitions that may hold positions after `after`, each once, as the snapshot sees it. Open
// ones have all positions. Also those that are not in `stream` as this session knows it: a snapshot
// may see a new partition before the server tells the session of it.
Partitions partitions_after(const OpenStream& stream, Snapshot snapshot, int64 after);

// All of them.
inline Partitions all_partitions(const OpenStream& stream, Snapshot snapshot) {
  return partitions_after(stream, snapshot, 0);
}

// All of them as they are now, with retired ones, for whoever looks after them. `stream` is the
// stream's table.
Partitions partition_states(Oid schema, Oid stream);

// The partition with this table; null if it is not among them.
const Partition* find_partition(const Partitions& partitions, Oid table);

// Has this transaction listed a partition? A savepoint may take that back, and nothing tells the
// session. So that a partition is listed must not be remembered from such a transaction.
bool has_listed_partitions();

// Changes of the rows of kanthorq_partition. `stream` is the stream's table.
void add_open_partition(Oid schema, Oid stream, Oid partition);
void forget_partition(Oid schema, Oid stream, Oid partition);
void forget_partitions(Oid schema, Oid stream);  // all of them
// From now on it holds these positions; first > last if it holds none. All notes of a reopening go.
// The caller holds ShareRowExclusiveLock on the partition, and has read the range with a snapshot
// that it took after that.
void close_partition(Oid schema, Oid stream, Oid partition, int64 first, int64 last);
// From now on nobody reads it. The caller holds that lock, and its trigger of closed partitions is
// there: an event that comes later brings it back, with all that is in it.
void retire_partition(Oid schema, Oid stream, Oid partition);
// What to do about a partition that has no row: whoever can make a table can fire our trigger.
enum class IfUnlisted { skip, list };
// Notes that an event has come to it, unless it is open for this transaction. Waits for nobody.
void note_reopening(Oid schema, Oid stream, Oid partition, IfUnlisted if_unlisted);

// What the server's catalog says. `stream` is the open parent.

// The partition to which an id belongs; InvalidOid if there is none, not even a default one.
Oid partition_for(Relation stream, std::string_view id);

// The partition for all other ids; InvalidOid if it is gone.
Oid default_partition(Relation stream);

// A partition with an upper and a lower bound, in the order of the bounds.
struct RangePartition {
  Oid table;
  const char* lower;  // included
  const char* upper;  // excluded
};
struct RangePartitions {
  RangePartition* items;
  int count;
};
// Those with two bounds that are ids, as all are that this extension makes.
RangePartitions range_partitions(Relation stream);

// The ids that lie together with this one: in a partition's range or, with InvalidOid as the table,
// in a gap between two of them, whose ids are in the default partition. An empty lower bound means
// from the start, and a null upper bound means to the end.
RangePartition range_around(Relation stream, std::string_view id);

// The stream's table of which this is a partition; InvalidOid if it is none.
Oid stream_of_partition(Oid table);

}  // namespace kanthorq
