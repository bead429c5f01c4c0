#include "consumer/lease.hpp"

#include "core/positions.hpp"
#include "server/datum.hpp"

namespace kanthorq {

namespace {

// Slots up to this one stay when their leases end, so that a consumer with so many leases open at
// once writes HOT updates only. Those above are deleted. Each look at the leases reads all slots,
// and without this it would read for ever as many as there ever were.
constexpr int32 kept_slots = 64;

Datum encoded(Positions positions) {
  auto* bytes =
      static_cast<bytea*>(palloc(VARHDRSZ + max_encoded_positions_bytes(positions.count)));
  const std::size_t size = encode_positions(positions.values, positions.count,
                                            reinterpret_cast<unsigned char*>(VARDATA(bytes)));
  SET_VARSIZE(bytes, VARHDRSZ + size);
  return PointerGetDatum(bytes);
}

Positions decoded(Datum value) {
  bytea* bytes = DatumGetByteaPP(value);
  const auto* data = reinterpret_cast<const unsigned char*>(VARDATA_ANY(bytes));
  const std::size_t size = VARSIZE_ANY_EXHDR(bytes);
  const std::size_t count = count_positions(data, size, max_pull_size);
  if (count > max_pull_size)
    ereport(ERROR,
            (errcode(ERRCODE_DATA_CORRUPTED), errmsg("the positions of a lease are damaged"),
             errdetail("A lease has at most %d, in the encoding of KanthorQ.", max_pull_size),
             errhint("Nobody but KanthorQ may write kanthorq_delivery_lease. A seek ends all "
                     "leases of a consumer.")));
  Positions positions{palloc_array_of<int64>(count + 1), 0};
  PositionReader reader(data, size);
  std::int64_t position = 0;
  while (reader.next(position)) positions.values[positions.count++] = position;
  return positions;
}

int32 slot_in(Relation table, HeapTuple row) {
  return DatumGetInt32(row_value(table, row, lease_slot_column));
}

int64 number_in(Relation table, HeapTuple row) {
  return DatumGetInt64(row_value(table, row, lease_number_column));
}

int64 deadline_in(Relation table, HeapTuple row) {
  return DatumGetInt64(row_value(table, row, lease_deadline_column));
}

void set_lease(RowValues& values, int64 number, int64 deadline, Positions fresh, Positions again) {
  values.set(lease_number_column, Int64GetDatum(number));
  values.set(lease_deadline_column, Int64GetDatum(deadline));
  values.set(lease_fresh_column, encoded(fresh));
  values.set(lease_again_column, encoded(again));
}

void update_slot(Relation table, HeapTuple row, int64 number, int64 deadline, Positions fresh,
                 Positions again) {
  RowValues values(table);
  set_lease(values, number, deadline, fresh, again);
  update_row(table, row, values);
}

void insert_slot(Relation table, const Consumer& consumer, int32 slot, int64 number, int64 deadline,
                 Positions fresh, Positions again) {
  RowValues values(table);
  values.set(lease_consumer_column, text_datum(consumer.name));
  values.set(lease_slot_column, Int32GetDatum(slot));
  set_lease(values, number, deadline, fresh, again);
  insert_row(table, values);
}

void clear_slot(Relation table, HeapTuple row) {
  if (slot_in(table, row) > kept_slots)
    delete_row(table, row);
  else
    update_slot(table, row, free_slot, 0, {}, {});
}

// A copy of a free slot. If there is none, the row is null, and `unused` is the lowest number that
// no slot has.
struct FreeSlot {
  HeapTuple row;
  int32 unused;
};

FreeSlot find_free_slot(Relation table, const Consumer& consumer) {
  FreeSlot free{nullptr, 1};
  int32 above = 0;
  for_slots(table, consumer, [&](HeapTuple row) {
    const int32 slot = slot_in(table, row);
    if (slot + 1 != above) free.unused = slot + 1;
    above = slot;
    if (number_in(table, row) == free_slot) free.row = heap_copytuple(row);
    return free.row == nullptr;
  });
  if (above != 1) free.unused = 1;
  return free;
}

// A copy of the slot that has the lease with this number; null if no slot has it.
HeapTuple find_slot_of(Relation table, const Consumer& consumer, int64 number) {
  HeapTuple slot = nullptr;
  if (number == free_slot) return nullptr;
  for_slots(table, consumer, [&](HeapTuple row) {
    if (number_in(table, row) == number) slot = heap_copytuple(row);
    return slot == nullptr;
  });
  return slot;
}

// Did it run out before the other one, or at the same time with an earlier pull?
bool is_before(const ExpiredLease& lease, const ExpiredLease& other) {
  return lease.deadline < other.deadline ||
         (lease.deadline == other.deadline && lease.seen.number < other.seen.number);
}

// Of the leases that it is given, the first ones to have run out. They are a heap, with the last of
// them on top.
class FirstExpired {
 public:
  explicit FirstExpired(std::size_t most) : most_(most) {}

  bool wants(const ExpiredLease& lease) const {
    return count_ < most_ || is_before(lease, leases_[0]);
  }

  void add(const ExpiredLease& lease) {
    if (count_ == most_) std::pop_heap(leases_, leases_ + count_--, is_before);
    if (count_ == room_) grow();
    leases_[count_++] = lease;
    std::push_heap(leases_, leases_ + count_, is_before);
  }

  ExpiredLeases in_order() {
    std::sort_heap(leases_, leases_ + count_, is_before);
    return {leases_, count_};
  }

 private:
  void grow() {
    room_ = Min(most_, Max(std::size_t{16}, 2 * room_));
    auto* grown = palloc_array_of<ExpiredLease>(room_);
    std::copy_n(leases_, count_, grown);
    leases_ = grown;
  }

  std::size_t most_;
  std::size_t room_ = 0;
  std::size_t count_ = 0;
  ExpiredLease* leases_ = nullptr;
};

}  // namespace

Lease read_lease(Relation table, HeapTuple row) {
  return {
      .row = row,
      .number = number_in(table, row),
      .deadline = deadline_in(table, row),
      .fresh = decoded(row_value(table, row, lease_fresh_column)),
      .again = decoded(row_value(table, row, lease_again_column)),
  };
}

int64 next_lease_number(int64 last) {
  const int64 clock = (GetCurrentTimestamp() + microseconds_from_1970_to_2000) & ~int64{1};
  return clock > last ? clock : (last + 1) | 1;
}

void open_lease(const Consumer& consumer, int64 number, int64 deadline, Positions fresh,
                Positions again) {
  with_own_table(consumer.schema, lease_table, RowExclusiveLock, [&](Relation table) {
    const FreeSlot free = find_free_slot(table, consumer);
    if (free.row)
      update_slot(table, free.row, number, deadline, fresh, again);
    else
      insert_slot(table, consumer, free.unused, number, deadline, fresh, again);
  });
}

static Lease lock_slot(Relation table, HeapTuple row, int64 number, IfLocked if_locked) {
  row = lock_row(table, row, if_locked);
  // Whoever held the lock may have settled or collected the lease meanwhile, and the slot may
  // even have the next lease in it.
  const bool is_still_there = row && number_in(table, row) == number;
  return is_still_there ? read_lease(table, row) : Lease{};
}

Lease lock_lease(const Consumer& consumer, int64 number, IfLocked if_locked) {
  return with_own_table(consumer.schema, lease_table, RowExclusiveLock, [&](Relation table) {
    HeapTuple row = find_slot_of(table, consumer, number);
    return row ? lock_slot(table, row, number, if_locked) : Lease{};
  });
}

Lease lock_seen_lease(const Consumer& consumer, const SeenLease& seen, IfLocked if_locked) {
  return with_own_table(consumer.schema, lease_table, RowExclusiveLock, [&](Relation table) {
    HeapTupleData row{};
    row.t_self = seen.row;
    return lock_slot(table, &row, seen.number, if_locked);
  });
}

void shrink_lease(const Consumer& consumer, const Lease& lease, Positions fresh, Positions again) {
  with_own_table(consumer.schema, lease_table, RowExclusiveLock, [&](Relation table) {
    if (fresh.count + again.count == 0)
      clear_slot(table, lease.row);
    else
      update_slot(table, lease.row, lease.number, lease.deadline, fresh, again);
  });
}

void extend_lease(const Consumer& consumer, const Lease& lease, int64 deadline) {
  with_own_table(consumer.schema, lease_table, RowExclusiveLock, [&](Relation table) {
    update_slot(table, lease.row, lease.number, deadline, lease.fresh, lease.again);
  });
}

ExpiredLeases find_expired_leases(const Consumer& consumer, int64 now, std::size_t most) {
  FirstExpired first(most);
  with_own_table(consumer.schema, lease_table, RowExclusiveLock, [&](Relation table) {
    for_slots(table, consumer, [&](HeapTuple row) {
      const ExpiredLease lease{deadline_in(table, row), {number_in(table, row), row->t_self}};
      if (lease.seen.number != free_slot && lease.deadline <= now && first.wants(lease) &&
          !is_held_by_other(table, row))
        first.add(lease);
      return true;
    });
  });
  return first.in_order();
}

int64 next_deadline(const Consumer& consumer) {
  int64 next = PG_INT64_MAX;
  with_own_table(consumer.schema, lease_table, AccessShareLock, [&](Relation table) {
    for_slots(table, consumer, [&](HeapTuple row) {
      if (number_in(table, row) != free_slot && !is_held_by_other(table, row))
        next = Min(next, deadline_in(table, row));
      return true;
    });
  });
  return next;
}

// It does not read what is in them, so a seek is the way out if that is damaged.
void free_leases(const Consumer& consumer) {
  with_own_table(consumer.schema, lease_table, RowExclusiveLock, [&](Relation table) {
    for_slots(table, consumer, [&](HeapTuple row) {
      if (number_in(table, row) != free_slot) clear_slot(table, heap_copytuple(row));
      return true;
    });
  });
}

void delete_leases(Oid schema, std::string_view consumer) {
  with_own_table(schema, lease_table, RowExclusiveLock, [&](Relation table) {
    ScanKeyData key = equals_text(lease_consumer_column, consumer);
    for_rows(table, primary_key_index(table), &key, 1, [&](HeapTuple row) {
      delete_row(table, row);
      return true;
    });
  });
}

}  // namespace kanthorq
