// The settings that concern maintenance.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// For _PG_init().
void define_retention_settings();

// kanthorq.maintain_lock_timeout: how long maintenance waits for a lock, in milliseconds.
extern int maintain_lock_timeout;

// kanthorq.max_partitions: how many partitions with bounds a stream gets.
extern int max_partitions;

// kanthorq.max_moved_rows: how many rows leave the default partition in one transaction.
extern int max_moved_rows;

}  // namespace kanthorq
