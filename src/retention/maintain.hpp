// CALL kanthorq_maintain(): what is done for each stream from time to time, in steps.
//
// A step is a function. Each of its calls is a transaction of its own: READ COMMITTED, with an
// active snapshot, a connection to the SPI, and the time to wait for a lock limited to
// kanthorq.maintain_lock_timeout. It runs as the owner of the stream's table, in a
// security-restricted operation, whoever called (server/as_owner.hpp). So the rights that it needs
// are the owner's. An error of a step rolls its transaction back, becomes a WARNING, and the next
// step goes on.
//
// Only one session maintains a stream at a time: it holds lock_maintenance(), and others skip the
// stream. Other sessions do everything else to it at the same time.
#pragma once

#include "server/pg.hpp"
#include "stream/settings.hpp"

namespace kanthorq {

struct MaintainedStream {
  Oid schema;             // the extension's
  std::string_view name;
  Oid table;              // it exists, and no lock on it is held yet
  StreamSettings settings;
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
// owns, or that a superuser finds. The caller has connected to the SPI with SPI_OPT_NONATOMIC, has
// no transaction block, and nothing else to commit: this commits many times. It returns in a new
// transaction. For the procedure and for the background worker.
void maintain_streams(Oid schema);

// Forgets what kanthorq_maintenance has about the stream.
void forget_maintenance(Oid schema, std::string_view name);

// kanthorq.maintain_lock_timeout, in milliseconds; kanthorq.max_partitions;
// kanthorq.max_moved_rows.
extern int maintain_lock_timeout;
extern int max_partitions;
extern int max_moved_rows;

// For _PG_init().
void define_retention_settings();

}  // namespace kanthorq
