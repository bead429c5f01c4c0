#include "stream/reading.hpp"

#include "server/privileges.hpp"
#include "stream/recognition.hpp"

namespace kanthorq {

// Positions must be unique, be found by index, and be handed out one by one and in order.
bool is_consumable(const OpenStream& stream) {
  return OidIsValid(stream.position_index) && hands_out_in_order(stream.position_sequence);
}

void require_consumable(const OpenStream& stream) {
  if (is_consumable(stream)) return;
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
       errmsg("cannot consume \"%s\": its column \"position\" was altered",
              RelationGetRelationName(stream.table)),
       errdetail(
           "It needs a unique index of its own, and an identity sequence with increment 1, cache "
           "1 and no cycle.")));
}

void require_readable(const OpenStream& stream) { require_direct_access(stream.table, ACL_SELECT); }

}  // namespace kanthorq
