// Leases: which events a worker has, and until when.
//
// A lease is a row of kanthorq_delivery_lease. The rows are slots that are used again. No index is
// on a column that changes, so every change of a slot is HOT. A new lease takes a free slot, or
// makes one with the lowest number that is unused. The slots of a burst of leases are deleted when
// these end; the first ones stay. A lease keeps its events as positions: those that are delivered
// for the first time (fresh), and those that have a task row (again).
//
// A slot in use is changed by whoever holds the lock of its row: the worker that settles the lease,
// or a pull that collects it after its deadline. Free slots are taken and new ones made only under
// lock_consumer(), so an unused number stays unused until then. So a worker never waits for another
// worker's pull.
#pragma once

#include "consumer/definition.hpp"
#include "server/pg.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"

namespace kanthorq {

enum LeaseColumn : AttrNumber {
  lease_consumer_column = 1,
  lease_slot_column,
  lease_number_column,
  lease_deadline_column,
  lease_fresh_column,
  lease_again_column,
};
inline constexpr Oid lease_types[] = {VARCHAROID, INT4OID, INT8OID, INT8OID, BYTEAOID, BYTEAOID};
inline constexpr OwnTable lease_table{"kanthorq_delivery_lease", lease_types,
                                      lengthof(lease_types)};

// The number in a slot that has no lease.
inline constexpr int64 free_slot = 0;

// Instead of the number of a lease: none.
inline constexpr int64 no_lease = 0;

// How many events a pull may return, and so how many a lease may have.
inline constexpr int max_pull_size = 10'000;

struct Positions {
  int64* values;  // ascending, unless said otherwise
  std::size_t count;
};

// Is it one of them? They are ascending.
inline bool holds(Positions positions, int64 position) {
  return std::binary_search(positions.values, positions.values + positions.count, position);
}

struct Lease {
  HeapTuple row;
  int64 number;
  int64 deadline;  // milliseconds since the epoch
  Positions fresh;
  Positions again;

  std::size_t count() const { return fresh.count + again.count; }
  bool has(int64 position) const { return holds(fresh, position) || holds(again, position); }
};

// A number for a new lease that this consumer never had: the microsecond of the clock. If `last`,
// the number of its last committed lease, is not before that, because the clock was set back, the
// numbers are counted on from there. Those of the clock are even, and the others odd.
//
// So the number of a pull that is rolled back is lost with it. It may have been forgotten by a
// crash, and a worker may still have it. If it was the clock's, no number that is counted will ever
// be the same. If it was counted, the commit of the pull has waited for the disk
// (pull_commit.hpp), so it is not forgotten.
int64 next_lease_number(int64 last);

inline bool is_of_clock(int64 number) { return number % 2 == 0; }

// When the lease with this number was opened, in milliseconds since the epoch.
inline int64 lease_opened_at(int64 number) { return number / 1000; }

// Opens a lease in a free slot or in a new one. `deadline` is in milliseconds since the epoch.
void open_lease(const Consumer& consumer, int64 number, int64 deadline, Positions fresh,
                Positions again);

// Returns the lease after it has locked its row to the end of the transaction. There is no row if
// nobody holds the lease any more, or, with `skip`, if somebody is settling it.
Lease lock_lease(const Consumer& consumer, int64 number, IfLocked if_locked);

// The number of a lease, and where its row was when it was read.
struct SeenLease {
  int64 number;
  ItemPointerData row;
};

// The same without a search. The caller has a snapshot from before it saw the lease, so that no
// VACUUM has put another row there, and a lock that keeps the table from being rewritten. With
// `skip_changed` a lease that was changed since is skipped, too: its deadline may have moved, and a
// lock on its row would stay to the end of the transaction.
Lease lock_seen_lease(const Consumer& consumer, const SeenLease& seen, IfLocked if_locked);

// Leaves these events in a lease whose row is locked. If none is left, the slot becomes free
// or is deleted.
void shrink_lease(const Consumer& consumer, const Lease& lease, Positions fresh, Positions again);

// Moves the deadline of a lease whose row is locked.
void extend_lease(const Consumer& consumer, const Lease& lease, int64 deadline);

struct ExpiredLease {
  int64 deadline;
  SeenLease seen;
};

struct ExpiredLeases {
  ExpiredLease* leases;
  std::size_t count;
};

// Finds the leases that had run out by `now`, at most `most` of them, those that ran out first. It
// reads the slots once. Leases that somebody is about to settle are left out.
ExpiredLeases find_expired_leases(const Consumer& consumer, int64 now, std::size_t most);

// The earliest deadline, PG_INT64_MAX if there is none. Leases that somebody is about to settle
// don't count, because nobody could take them.
int64 next_deadline(const Consumer& consumer);

// Ends all leases. Nobody else may be at work on them: the caller has locked the consumer's table.
void free_leases(const Consumer& consumer);
void delete_leases(Oid schema, std::string_view consumer);

// The lease in this row of the table. Raises XX001 if its positions are damaged.
Lease read_lease(Relation table, HeapTuple row);

// Runs `body(row)` for each slot of the consumer, the last one first, until it returns false.
template <typename Body>
void for_slots(Relation table, const Consumer& consumer, Body body) {
  for_newest_rows(table, primary_key_index(table),
                  equals_text(lease_consumer_column, consumer.name), lease_slot_column, body);
}

// Runs `body(lease)` for each lease in use, as it is committed, in no order, until it returns
// false. The rows are not locked. What `body` gets and what it allocates is gone afterwards.
template <typename Body>
void for_leases(const Consumer& consumer, Body body) {
  const RowMemory memory;
  const auto visit = [&](Relation table, HeapTuple row) {
    return memory.during([&] {
      const Lease lease = read_lease(table, row);
      return lease.number == free_slot || body(lease);
    });
  };
  with_own_table(consumer.schema, lease_table, AccessShareLock, [&](Relation table) {
    for_slots(table, consumer, [&](HeapTuple row) { return visit(table, row); });
  });
  memory.end();
}

}  // namespace kanthorq
