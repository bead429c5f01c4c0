#include "consumer/open_consumer.hpp"

#include "consumer/task_table.hpp"
#include "core/name.hpp"
#include "server/fault.hpp"
#include "server/known.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/rows.hpp"
#include "stream/registered_table.hpp"

namespace kanthorq {

namespace {

struct KnownConsumer {
  Known known;
  std::uint8_t name_size;
  char name[max_name_bytes];
};

constinit Knowledge<KnownConsumer> known_consumers;

// Is the open table the very one that the consumer was created with? The registry forgets it only
// after the table is dropped, so the answer is kept as long as the table is not changed.
bool is_registered_table(const Consumer& consumer) {
  const auto is_its_entry = [&](const KnownConsumer& entry) {
    return std::string_view(entry.name, entry.name_size) == consumer.name;
  };
  const auto fill = [&](KnownConsumer& entry) {
    const Oid registered = registered_table(consumer.schema, Kind::consumer, consumer.name).table;
    const bool is_registered = registered == RelationGetRelid(consumer.table);
    entry.name_size = is_registered ? static_cast<std::uint8_t>(consumer.name.size()) : 0;
    memcpy(entry.name, consumer.name.data(), entry.name_size);
    return is_registered;
  };
  return is_its_entry(known_consumers.about(consumer.table, is_its_entry, fill));
}

}  // namespace

bool try_open_consumer(Oid schema, std::string_view name, LOCKMODE lock, Consumer& consumer) {
  TableName table = table_name(consumer_table_prefix, name);
  const Oid oid = RangeVarGetRelid(makeRangeVar(get_namespace_name(schema), table.bytes.data(), -1),
                                   lock, true);
  if (!OidIsValid(oid)) return false;
  HeapTuple row = find_consumer(schema, name);
  if (!row) {
    UnlockRelationOid(oid, lock);  // it is somebody else's table
    return false;
  }
  consumer = read_definition(schema, row);
  consumer.table = relation_open(oid, NoLock);
  if (is_registered_table(consumer)) return true;
  relation_close(consumer.table, lock);
  return false;
}

Consumer open_consumer(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege) {
  require_name(name);
  Consumer consumer;
  if (!try_open_consumer(schema, name, lock, consumer))
    raise_no_consumer_table(schema, name, ERRCODE_UNDEFINED_OBJECT);
  lock_relation(RelationGetRelid(consumer.table), lock);
  require_task_table(consumer.table);
  consumer.privilege = privilege;
  require_privilege(consumer);
  return consumer;
}

// The lock was taken twice: by the server to find the table by its name, and by open_consumer().
void give_back_consumer(const Consumer& consumer, LOCKMODE lock) {
  const Oid table = RelationGetRelid(consumer.table);
  relation_close(consumer.table, lock);
  unlock_relation(table, lock);
}

void require_privilege(const Consumer& consumer) {
  if (consumer.privilege == ACL_NO_RIGHTS) return;
  require_direct_access(consumer.table, consumer.privilege);
}

Consumer lock_consumer(const Consumer& consumer) {
  lock_object(own_table_oid(consumer.schema, consumer_registry), RelationGetRelid(consumer.table),
              0, AccessExclusiveLock);
  return read_again(consumer);
}

bool has_turn(const Consumer& consumer) {
  return has_locked_object(own_table_oid(consumer.schema, consumer_registry),
                           RelationGetRelid(consumer.table), 0, AccessExclusiveLock);
}

// Object number 2 of the consumer's table. Number 0 is its turn, and number 1 of the class a name.
static constexpr uint16 finished_part = 2;

void keep_finished(const Consumer& consumer) {
  lock_object(own_table_oid(consumer.schema, consumer_registry), RelationGetRelid(consumer.table),
              finished_part, ShareLock);
}

void begin_resuming(const Consumer& consumer) {
  lock_object(own_table_oid(consumer.schema, consumer_registry), RelationGetRelid(consumer.table),
              finished_part, RowExclusiveLock);
}

Consumer read_again(const Consumer& consumer) {
  HeapTuple row = find_consumer(consumer.schema, consumer.name);
  if (!row) raise_no_such_consumer(consumer.schema, consumer.name);
  Consumer again = read_definition(consumer.schema, row);
  again.table = consumer.table;
  again.privilege = consumer.privilege;
  require_privilege(again);
  return again;
}

void unlock_consumer(const Consumer& consumer) {
  unlock_object(own_table_oid(consumer.schema, consumer_registry), RelationGetRelid(consumer.table),
                0, AccessExclusiveLock);
}

void raise_no_consumer_table(Oid schema, std::string_view name, int sqlstate) {
  if (!find_consumer(schema, name)) raise_no_such_consumer(schema, name);
  const Oid oid = relation_by_name(schema, Kind::consumer, name);
  Relation other = OidIsValid(oid) ? try_relation_open(oid, AccessShareLock) : nullptr;
  if (other) raise_not_registered_table(other, "consumer", name);
  ereport(ERROR,
          (errcode(sqlstate), errmsg("consumer \"%s\" has no table", clipped(name)),
           errdetail("It is registered, but its table \"%s\" was dropped, renamed or moved to "
                     "another schema.",
                     table_name(consumer_table_prefix, name).c_str()),
           errhint("Rename it or move it back. If it was dropped, kanthorq_consumer_drop() "
                   "forgets the consumer, and then it can be created again.")));
}

Consumer take_turn(const Consumer& consumer, const OpenStream& stream) {
  const Consumer locked = lock_consumer(consumer);
  require_readable(stream);
  return locked;
}

namespace {

// Whoever drops a stream locks its table first, then those of its consumers. In the other order a
// worker and the drop could wait for each other, if a publisher keeps both waiting. But only the
// consumer says which stream it is. So a worker that must wait for the stream gives the consumer
// back before it waits.
Consumer open_consumer_after_stream(Oid schema, std::string_view name, LOCKMODE lock,
                                    AclMode privilege) {
  const Consumer consumer = open_consumer(schema, name, lock, privilege);
  const Oid stream = relation_by_name(schema, Kind::stream, consumer.stream);
  if (!OidIsValid(stream) || try_lock_relation(stream, AccessShareLock)) return consumer;
  give_back_consumer(consumer, lock);
  lock_relation(stream, AccessShareLock);
  return open_consumer(schema, name, lock, privilege);
}

}  // namespace

Worker open_worker(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege) {
  const Consumer consumer = open_consumer_after_stream(schema, name, lock, privilege);
  const OpenStream stream = open_stream(schema, consumer.stream, AccessShareLock);
  require_readable(stream);
  require_consumable(stream);
  return {consumer, stream};
}

void close_worker(const Worker& worker) {
  table_close(worker.stream.table, NoLock);
  relation_close(worker.consumer.table, NoLock);
}

// The stream's was taken three times: by open_consumer_after_stream(), by the server to find the
// table by its name, and by open_stream().
void give_back_worker(const Worker& worker, LOCKMODE lock) {
  const Oid stream = RelationGetRelid(worker.stream.table);
  table_close(worker.stream.table, AccessShareLock);
  unlock_relation(stream, AccessShareLock);
  unlock_relation(stream, AccessShareLock);
  give_back_consumer(worker.consumer, lock);
}

}  // namespace kanthorq
