#include "worker.hpp"

#include "lock.hpp"
#include "registered_table.hpp"
#include "shape.hpp"

namespace kanthorq {

// Positions must be handed out one by one and in order, be there once, and be found by index.
bool is_consumable(const OpenStream& stream) {
  return OidIsValid(stream.position_index) && hands_out_in_order(stream.position_sequence);
}

void require_consumable(const OpenStream& stream) {
  if (is_consumable(stream)) return;
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
       errmsg("cannot consume \"%s\": its column \"position\" was altered",
              RelationGetRelationName(stream.relation)),
       errdetail(
           "It needs a unique index of its own, and an identity sequence with increment 1, cache "
           "1 and no cycle.")));
}

void require_readable(const OpenStream& stream) {
  const Oid relation = RelationGetRelid(stream.relation);
  const AclResult allowed = pg_class_aclcheck(relation, GetUserId(), ACL_SELECT);
  if (allowed != ACLCHECK_OK)
    aclcheck_error(allowed, OBJECT_TABLE, RelationGetRelationName(stream.relation));
  require_no_row_security(stream.relation);
}

// Whoever drops a stream locks its table first, then those of its consumers. In the other order a
// worker and the drop could wait for each other, with a publisher before them both. But which
// stream it is the consumer says. So a lock on the stream that is not to be had at once is waited
// for without the consumer's.
Consumer open_consumer_after_stream(Oid schema, std::string_view name, LOCKMODE lock,
                                    AclMode privilege) {
  const Consumer consumer = open_consumer(schema, name, lock, privilege);
  const Oid stream = relation_by_name(schema, Kind::stream, consumer.stream);
  if (!OidIsValid(stream) || try_lock_relation(stream, AccessShareLock)) return consumer;
  give_back_consumer(consumer, lock);
  lock_relation(stream, AccessShareLock);
  return open_consumer(schema, name, lock, privilege);
}

Consumer take_turn(const Consumer& consumer, const OpenStream& stream) {
  const Consumer locked = lock_consumer(consumer);
  require_readable(stream);
  return locked;
}

}  // namespace kanthorq
