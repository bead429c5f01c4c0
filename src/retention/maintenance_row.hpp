// The rows of kanthorq_maintenance, which show people what the last run of each step did.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// The last run of one step for one stream.
struct MaintenanceRow {
  int64 duration_ms = 0;
  int64 done = 0;
  const char* said = nullptr;   // null if it left nothing undone
  const char* error = nullptr;  // null if it had none

  bool is_worth_writing() const { return done > 0 || said || error; }
};

// Writes the row, or changes it. A run that did nothing writes none, unless the row of an earlier
// run shows trouble that is over. The caller holds try_lock_maintenance().
void write_maintenance(Oid schema, std::string_view name, const char* step,
                       const MaintenanceRow& row);

}  // namespace kanthorq
