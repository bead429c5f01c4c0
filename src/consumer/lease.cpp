#include "consumer/lease.hpp"

#include "core/positions.hpp"
#include "server/datum.hpp"

namespace kanthorq {

namespace {

using namespace lease_table;

constexpr int64 free_slot = 0;

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

void set_lease(RowValues& values, int64 lease, int64 until, Positions first, Positions more) {
  values.set(number, Int64GetDatum(lease));
  values.set(deadline, Int64GetDatum(until));
  values.set(fresh, encoded(first));
  values.set(again, encoded(more));
}

void update(Relation table, HeapTuple row, int64 lease, int64 until, Positions first,
            Positions more) {
  RowValues values(table);
  set_lease(values, lease, until, first, more);
  update_row(table, row, values);
}

void insert(Relation table, const Consumer& owner, int32 number_of_slot, int64 lease, int64 until,
            Positions first, Positions more) {
  RowValues values(table);
  values.set(consumer, text_datum(owner.name));
  values.set(slot, Int32GetDatum(number_of_slot));
  set_lease(values, lease, until, first, more);
  insert_row(table, values);
}

template <typename Wanted>
HeapTuple find_slot(Relation table, const Consumer& owner, Wanted wanted) {
  HeapTuple found = nullptr;
  for_slots(table, owner, [&](HeapTuple row) {
    if (wanted(row)) found = heap_copytuple(row);
    return found == nullptr;
  });
  return found;
}

int64 number_in(Relation table, HeapTuple row) {
  return DatumGetInt64(row_value(table, row, number));
}

int64 deadline_in(Relation table, HeapTuple row) {
  return DatumGetInt64(row_value(table, row, deadline));
}

// Did it run out before the other one, or at the same time with an earlier pull?
bool is_before(Relation table, HeapTuple row, HeapTuple other) {
  const int64 own = deadline_in(table, row);
  const int64 others = deadline_in(table, other);
  return own < others || (own == others && number_in(table, row) < number_in(table, other));
}

}  // namespace

namespace lease_table {

constexpr Oid types[] = {VARCHAROID, INT4OID, INT8OID, INT8OID, BYTEAOID, BYTEAOID};
constexpr OwnTable known{"kanthorq_delivery_lease", types, lengthof(types)};

Relation open(Oid schema, LOCKMODE lock) { return open_own_table(schema, known, lock); }

Lease read(Relation table, HeapTuple row) {
  return {
      .row = row,
      .number = number_in(table, row),
      .deadline = DatumGetInt64(row_value(table, row, deadline)),
      .fresh = decoded(row_value(table, row, fresh)),
      .again = decoded(row_value(table, row, again)),
  };
}

}  // namespace lease_table

int64 next_lease_number(int64 last) {
  return Max(last + 1, GetCurrentTimestamp() + microseconds_from_1970_to_2000);
}

void open_lease(const Consumer& owner, int64 lease, int64 until, Positions first, Positions more) {
  Relation table = lease_table::open(owner.schema, RowExclusiveLock);
  int32 slots = 0;
  HeapTuple free = find_slot(table, owner, [&](HeapTuple row) {
    slots++;
    return number_in(table, row) == free_slot;
  });
  if (free)
    update(table, free, lease, until, first, more);
  else
    insert(table, owner, slots + 1, lease, until, first, more);
  table_close(table, NoLock);
}

Lease lock_lease(const Consumer& owner, int64 lease, IfLocked if_locked) {
  Lease locked{};
  Relation table = lease_table::open(owner.schema, RowExclusiveLock);
  HeapTuple row = find_slot(table, owner, [&](HeapTuple candidate) {
    return lease != free_slot && number_in(table, candidate) == lease;
  });
  if (row) row = lock_row(table, row, if_locked);
  // Whoever held the lock may have settled or collected the lease meanwhile, and the slot may even
  // have the next lease in it.
  if (row && number_in(table, row) == lease) locked = lease_table::read(table, row);
  table_close(table, NoLock);
  return locked;
}

void shrink_lease(const Consumer& owner, const Lease& lease, Positions first, Positions more) {
  Relation table = lease_table::open(owner.schema, RowExclusiveLock);
  const bool done = first.count + more.count == 0;
  update(table, lease.row, done ? free_slot : lease.number, done ? 0 : lease.deadline, first, more);
  table_close(table, NoLock);
}

void extend_lease(const Consumer& owner, const Lease& lease, int64 until) {
  Relation table = lease_table::open(owner.schema, RowExclusiveLock);
  update(table, lease.row, lease.number, until, lease.fresh, lease.again);
  table_close(table, NoLock);
}

// Not the newest version of its row where that was changed since it was read: it may be a lease
// that did not run out, and its lock would be kept.
Lease take_expired_lease(const Consumer& owner, int64 now) {
  Relation table = lease_table::open(owner.schema, RowExclusiveLock);
  HeapTuple oldest = nullptr;
  for_slots(table, owner, [&](HeapTuple row) {
    if (number_in(table, row) != free_slot && deadline_in(table, row) <= now &&
        (!oldest || is_before(table, row, oldest)) && !is_held_by_other(table, row))
      oldest = heap_copytuple(row);
    return true;
  });
  HeapTuple locked = oldest ? lock_row(table, oldest, IfLocked::skip_changed) : nullptr;
  const Lease taken = locked ? lease_table::read(table, locked) : Lease{};
  table_close(table, NoLock);
  return taken;
}

int64 next_deadline(const Consumer& owner) {
  int64 next = PG_INT64_MAX;
  Relation table = lease_table::open(owner.schema, AccessShareLock);
  find_slot(table, owner, [&](HeapTuple row) {
    if (number_in(table, row) != free_slot && !is_held_by_other(table, row))
      next = Min(next, deadline_in(table, row));
    return false;
  });
  table_close(table, AccessShareLock);
  return next;
}

// Without reading what is in them, so that it is the way out where that is damaged.
void free_leases(const Consumer& owner) {
  Relation table = lease_table::open(owner.schema, RowExclusiveLock);
  for_slots(table, owner, [&](HeapTuple row) {
    if (number_in(table, row) != free_slot)
      update(table, heap_copytuple(row), free_slot, 0, {}, {});
    return true;
  });
  table_close(table, NoLock);
}

void delete_leases(Oid schema, std::string_view name) {
  Relation table = lease_table::open(schema, RowExclusiveLock);
  ScanKeyData key = equals_text(consumer, name);
  for_rows(table, primary_key_index(table), &key, 1, [&](HeapTuple row) {
    delete_row(table, row);
    return true;
  });
  table_close(table, NoLock);
}

}  // namespace kanthorq
