// CALL kanthorq_maintain(): what is done for each stream from time to time, in steps.
//
// A step is a function. Each of its calls is a transaction of its own: READ COMMITTED, with an
// active snapshot, a connection to the SPI, and the time to wait for a lock limited to
// kanthorq.maintain_lock_timeout. It runs as the owner of the stream's table, in a
// security-restricted operation, whoever called (server/as_owner.hpp). So the rights that it needs
// are the owner's. An error of a step rolls its transaction back, becomes a WARNING, and the next
// step goes on.
//
// Only one session maintains a stream at a time (try_lock_maintenance()), and others skip the
// stream. The stream's name is locked (ShareLock), so it is neither dropped nor altered meanwhile.
// Other sessions do everything else to it.
#pragma once

#include "server/pg.hpp"
#include "stream/settings.hpp"

namespace kanthorq {

struct MaintainedStream {
  Oid schema;  // the extension's
  std::string_view name;
  Oid table;  // it is locked (AccessShareLock) and not open
  StreamSettings settings;

  // How far this run of the step has come: 0 at its first call, and later a number that only the
  // step understands. A step that does one thing in a call sets it before it does that. Then the
  // next call goes on with another thing, also after an error.
  int64* progress;

  Oid caller = InvalidOid;  // who has called maintenance, and may have rights that the owner lacks
};

// What a call of a step did.
struct StepResult {
  int64 done = 0;              // how many things: partitions, rows. The calls of a run are added up
  bool has_more = false;       // call it again, in another transaction
  const char* said = nullptr;  // what it did not do, and why: sentences. Null if there is nothing
};

struct MaintenanceStep {
  const char* name;
  StepResult (*run)(const MaintainedStream& stream);
};

// Does all steps (maintain.cpp has the list) for each stream of this database that the current user
// owns; for a superuser that is each. The caller has connected to the SPI with SPI_OPT_NONATOMIC,
// is in no transaction block, and has nothing else to commit: this commits many times, first of all
// what is there. It returns in a new transaction. For the procedure and for the background worker.
void maintain_streams(Oid schema);

// Forgets what kanthorq_maintenance says about the stream.
void forget_maintenance(Oid schema, std::string_view name);

}  // namespace kanthorq
