// From a consumer's name to its open table, its definition and its open stream.
#pragma once

#include "consumer/definition.hpp"
#include "server/pg.hpp"
#include "server/scope.hpp"
#include "stream/open_stream.hpp"
#include "stream/reading.hpp"

namespace kanthorq {

// Opens the consumer with a lock on its table that is kept to the end of the transaction. Raises
// 22023 if `name` is not a name, 42704 if there is no such consumer or it has no table, 42710 if
// another table has the name of its table, 55000 if its table was altered, and 42501 without
// `privilege` on it.
Consumer open_consumer(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege);

// The same without checks of the name, the table's definition and privileges. Returns false, with
// nothing open, if there is no such consumer or no table of its own.
bool try_open_consumer(Oid schema, std::string_view name, LOCKMODE lock, Consumer& consumer);

// Closes it and gives back the lock that its opening took. Nothing may have been done under it.
void give_back_consumer(const Consumer& consumer, LOCKMODE lock);

// Runs `body(consumer)` with the open consumer.
template <typename Body>
auto with_consumer(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege, Body body) {
  const Consumer consumer = open_consumer(schema, name, lock, privilege);
  return run_and_close([&] { return body(consumer); },
                       [&] { relation_close(consumer.table, NoLock); });
}

// Raises 42501 unless the current user has the privilege that open_consumer() was asked to require.
// Call it again after each wait, since the privilege may have been taken away.
void require_privilege(const Consumer& consumer);

// Takes the consumer's turn: waits until no other transaction moves its cursor or changes its
// settled tasks, and keeps it so until this transaction ends. Then it reads the definition and
// checks the privilege again, since somebody may have altered the one or taken away the other
// meanwhile. Pull, cancel, resume, seek and alter take the turn. Ack, nack and extend don't: the
// row of the lease protects what they change.
[[nodiscard]] Consumer lock_consumer(const Consumer& consumer);

// Has this transaction taken the turn already?
bool has_turn(const Consumer& consumer);

// The consumer with its definition as it is now. Raises 42704 if it was dropped, and 42501 without
// the privilege.
[[nodiscard]] Consumer read_again(const Consumer& consumer);

// Keeps events that the consumer has finished as they are, to the end of the transaction:
// kanthorq_resume() waits. Else it could bring back an event of whoever removes it. Waits for
// transactions that have resumed events.
void keep_finished(const Consumer& consumer);

// For kanthorq_resume(), before the turn: waits for those who keep finished events as they are.
void begin_resuming(const Consumer& consumer);

// Gives the turn back early. Nothing may have been changed under it.
void unlock_consumer(const Consumer& consumer);

// Says why a consumer can't be opened: 42704 if there is none, 42710 if another table has the name
// of its table, `sqlstate` if nothing has it.
[[noreturn]] void raise_no_consumer_table(Oid schema, std::string_view name, int sqlstate);

// lock_consumer(), and after that wait a check that the stream may still be read.
[[nodiscard]] Consumer take_turn(const Consumer& consumer, const OpenStream& stream);

// A consumer and its stream, open for a worker.
struct Worker {
  Consumer consumer;
  OpenStream stream;
};

// Opens both, the stream's table locked before the consumer's, and checks the privileges of a
// worker: `privilege` on the consumer's table and SELECT on the stream's. Raises what
// open_consumer() and open_stream() raise, and 55000 if the stream's positions were altered.
Worker open_worker(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege);

// Closes both. Their locks are kept.
void close_worker(const Worker& worker);

// Closes both and gives back the locks that their opening took. Nothing may have been done under
// them.
void give_back_worker(const Worker& worker, LOCKMODE lock);

// Runs `body(consumer, stream)` with both open.
template <typename Body>
auto with_worker(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege, Body body) {
  const Worker worker = open_worker(schema, name, lock, privilege);
  return run_and_close([&] { return body(worker.consumer, worker.stream); },
                       [&] { close_worker(worker); });
}

}  // namespace kanthorq
