// What the functions of a worker have in common: an open consumer and its open stream.
#pragma once

#include "consumer_table.hpp"
#include "stream_table.hpp"

namespace kanthorq {

// Raises 42501 without SELECT on the stream's table, or where row security is in force there for
// the current user: rows are read directly, and it must not be bypassed.
void require_readable(const OpenStream& stream);

// Could delivery be exact, or was the column position altered?
bool is_consumable(const OpenStream& stream);

// Raises 55000 where it was altered.
void require_consumable(const OpenStream& stream);

// lock_consumer(), and a look whether the stream may still be read after that wait.
[[nodiscard]] Consumer take_turn(const Consumer& consumer, const OpenStream& stream);

// Opens the consumer as open_consumer() does, with its stream's table locked before its own.
Consumer open_consumer_after_stream(Oid schema, std::string_view name, LOCKMODE lock,
                                    AclMode privilege);

// Opens the consumer and its stream for a worker, and checks its privileges: `privilege` on the
// consumer's table and SELECT on the stream's.
template <typename Body>
void with_worker(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege, Body body) {
  const Consumer consumer = open_consumer_after_stream(schema, name, lock, privilege);
  with_stream(schema, consumer.stream, AccessShareLock, [&](const OpenStream& stream) {
    require_readable(stream);
    require_consumable(stream);
    body(consumer, stream);
  });
  relation_close(consumer.table, NoLock);
}

}  // namespace kanthorq
