// Leases: which events a worker has, and until when.
//
// A lease is a row of kanthorq_delivery_lease. The rows are slots that are used again, and no index
// is on a column that changes, so every change of one is HOT and a consumer has as many rows as it
// ever had leases open at once. Its events are kept as positions: those that are delivered for the
// first time, and those that have a task row.
//
// A slot that is in use is changed by whoever holds the lock of its row: the worker that settles
// it, or a pull that collects it when its time has run out. A free slot is taken under
// lock_consumer(). So a worker never waits for another worker's pull.
#pragma once

#include "consumer/definition.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"

namespace kanthorq {

// What a pull may return, and so what a lease may cover.
inline constexpr int max_pull_size = 10'000;

struct Positions {
  int64* values;
  std::size_t count;
};

// Is it one of them? They are ascending.
inline bool holds(Positions positions, int64 position) {
  return std::binary_search(positions.values, positions.values + positions.count, position);
}

struct Lease {
  HeapTuple row;
  int64 number;
  int64 deadline;   // milliseconds since the epoch
  Positions fresh;  // ascending, and so is the next
  Positions again;

  std::size_t count() const { return fresh.count + again.count; }
};

// A number for a lease that this consumer never had: the microsecond of the clock, or one more than
// the last committed one. A pull that is rolled back, or lost in a crash, so takes its number
// along.
int64 next_lease_number(int64 last);

// Opens a lease, in a free slot or a new one.
void open_lease(const Consumer& consumer, int64 number, int64 deadline, Positions fresh,
                Positions again);

// The lease, its row locked to the end of the transaction. No row if nobody holds it any more, or,
// with `skip`, if somebody is settling it.
Lease lock_lease(const Consumer& consumer, int64 number, IfLocked if_locked);

// What is left of a lease after some of it was settled; nothing left frees the slot.
void shrink_lease(const Consumer& consumer, const Lease& lease, Positions fresh, Positions again);

void extend_lease(const Consumer& consumer, const Lease& lease, int64 deadline);

// Runs `body(lease)` for each lease in use, as it is committed, in no order, until it returns
// false. The rows are not locked. What it is given and what it allocates is gone afterwards.
template <typename Body>
void for_leases(const Consumer& consumer, Body body);

// The lease that ran out first, unless somebody is about to settle it, its row locked; no row where
// there is none.
Lease take_expired_lease(const Consumer& consumer, int64 now);

// The earliest deadline, PG_INT64_MAX where there is none. Leases that somebody is about to settle
// don't count: nobody could take them.
int64 next_deadline(const Consumer& consumer);

// Ends all leases. Nobody else may be at work on them: the caller has locked the consumer's table.
void free_leases(const Consumer& consumer);
void delete_leases(Oid schema, std::string_view consumer);

namespace lease_table {

enum Column : AttrNumber { consumer = 1, slot, number, deadline, fresh, again };

Relation open(Oid schema, LOCKMODE lock);
Lease read(Relation table, HeapTuple row);

// Runs `body(row)` for each slot of the consumer, the last one first, until it returns false.
template <typename Body>
void for_slots(Relation table, const Consumer& owner, Body body) {
  for_newest_rows(table, primary_key_index(table), equals_text(consumer, owner.name), slot, body);
}

}  // namespace lease_table

template <typename Body>
void for_leases(const Consumer& consumer, Body body) {
  Relation table = lease_table::open(consumer.schema, AccessShareLock);
  const RowMemory memory;
  lease_table::for_slots(table, consumer, [&](HeapTuple row) {
    return memory.during([&] {
      const Lease lease = lease_table::read(table, row);
      return lease.number == 0 || body(lease);
    });
  });
  memory.end();
  table_close(table, AccessShareLock);
}

}  // namespace kanthorq
