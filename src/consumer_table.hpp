// From a consumer's name to its definition and its open table.
#pragma once

#include "core/selection.hpp"
#include "pg.hpp"
#include "rows.hpp"

namespace kanthorq {

enum ConsumerColumn : AttrNumber {
  consumer_name_column = 1,
  consumer_stream_column,
  consumer_includes_column,
  consumer_excludes_column,
  consumer_metadata_column,
  consumer_attempt_max_column,
  consumer_visibility_column,
  consumer_ordered_column,
  consumer_created_at_column,
  consumer_updated_at_column,
};
inline constexpr Oid consumer_types[] = {VARCHAROID, VARCHAROID, TEXTARRAYOID, TEXTARRAYOID,
                                         JSONBOID,   INT2OID,    INT8OID,      BOOLOID,
                                         INT8OID,    INT8OID};
inline constexpr int consumer_columns = lengthof(consumer_types);
inline constexpr OwnTable consumer_registry{"kanthorq_consumer_registry", consumer_types,
                                            consumer_columns};

struct Consumer {
  Oid schema;
  std::string_view name;
  std::string_view stream;
  Selection selection;
  Jsonb* metadata_contains;  // null where every metadata will do
  int attempt_max;
  int64 visibility_ms;
  bool ordered;
  Relation table;         // of its tasks
  AclMode privilege;      // on that table, which its opening asked for
  TransactionId version;  // who wrote this definition: another one may differ

  bool wants(std::string_view subject) const { return selection.selects(subject); }
  // Leaves memory behind, so many rows want a RowMemory.
  bool wants_metadata(Datum metadata) const;
};

// The registered definition; null where there is none.
HeapTuple find_consumer(Oid schema, std::string_view name);

// Opens the consumer with a lock on its table that is kept to the end of the transaction. Raises
// 22023 for what is no name, 42704 where there is no such consumer, 55000 where its table was
// altered, 42501 without `privilege` on it.
Consumer open_consumer(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege);

// The same without a look at privileges, but false, with nothing open, where there is no such
// consumer.
bool try_open_consumer(Oid schema, std::string_view name, LOCKMODE lock, Consumer& consumer);

// Closes it and gives back the lock that its opening took; nothing was done under it.
void give_back_consumer(const Consumer& consumer, LOCKMODE lock);

// The stream of the consumer with this registered definition.
std::string_view stream_of_consumer(Oid schema, HeapTuple row);

template <typename Body>
void with_consumer(Oid schema, std::string_view name, LOCKMODE lock, AclMode privilege, Body body) {
  const Consumer consumer = open_consumer(schema, name, lock, privilege);
  body(consumer);
  relation_close(consumer.table, NoLock);
}

// Raises 42501 unless the current user has the right that the opening asked for; again after each
// wait, since it may have been taken away.
void require_privilege(const Consumer& consumer);

// Waits until no other transaction moves this consumer's cursor or changes its settled tasks, and
// keeps it so until this transaction ends; then the definition is read and the right checked again,
// since somebody may have altered the one or taken away the other meanwhile. Pull, cancel, resume,
// seek and alter take it; ack, nack and extend don't: the row of the lease protects what they
// change.
[[nodiscard]] Consumer lock_consumer(const Consumer& consumer);

// The consumer with its definition, and the right to use it, as they are now.
[[nodiscard]] Consumer read_again(const Consumer& consumer);

// Gives the lock back early, which is right only where nothing was changed under it.
void unlock_consumer(const Consumer& consumer);

[[noreturn]] void raise_no_such_consumer(Oid schema, std::string_view name);

// Says why a consumer can't be opened: 42704 if there is none, 42710 if another table has the name
// of its table, `sqlstate` if nothing has it.
[[noreturn]] void raise_no_consumer_table(Oid schema, std::string_view name, int sqlstate);

}  // namespace kanthorq
