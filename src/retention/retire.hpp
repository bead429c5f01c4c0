// Retiring a partition: its events are no longer delivered, and it is to be dropped.
//
// It is a transaction of its own, because dropping takes locks that nobody should hold for long.
// The row of kanthorq_partition says that it is retired, for whoever drops it (dropping.cpp).
#pragma once

#include "consumer/definition.hpp"
#include "consumer/lease.hpp"
#include "retention/finished.hpp"
#include "server/pg.hpp"
#include "stream/open_stream.hpp"
#include "stream/partitions.hpp"

namespace kanthorq {

struct ClosedPartition {
  Oid table;
  PositionRange range;  // of the positions in it
};

// Is the time in each id that may be in this partition before the time of its upper bound? Ids of
// another form sort by other rules, and may be anywhere, but not in the partitions of recent years.
bool holds_earlier_ids_only(const RangePartition& range);

// What to do if a consumer has not finished events that are to go.
enum class OnUnfinished {
  keep,    // let them stay
  count,   // count them for the consumer, in its turn
  ignore,  // nothing
};

// Who has lost how many events.
class Lost {
 public:
  // Counts them, in the consumer's turn.
  void add(const Consumer& consumer, int64 events);

  // Raises a WARNING for each consumer. To be called when nothing can go wrong any more.
  void report(std::string_view stream) const;

 private:
  struct OfConsumer {
    const char* consumer;
    int64 events;
  };
  MemoryContext context_ = CurrentMemoryContext;
  List* consumers_ = NIL;
};

// Retires a closed partition of the stream `name`. Takes ShareRowExclusiveLock on it, and the turns
// of consumers that lose events. Returns false, with nothing changed, if it is not what it was any
// more, or if somebody has not finished it and it is to be kept.
bool retire_if_finished(const OpenStream& stream, std::string_view name,
                        const ClosedPartition& partition, OnUnfinished on_unfinished, Lost& lost);

// Opens a table with events of the stream: its own table, or a partition. Returns false if it is
// gone, or if its owner has altered it so that it can't be read by position. The lock on it,
// AccessShareLock, is kept.
bool try_open_part(const OpenStream& stream, Oid table, OpenStream& part);
void close_part(const OpenStream& stream, const OpenStream& part);

// Positions that are put together from several ascending lists, each once.
struct PositionSet {
  explicit PositionSet(std::size_t room) : positions{palloc_array_of<int64>(room + 1), 0} {}
  void add(Positions more);

  Positions positions;
};

}  // namespace kanthorq
