// The settings that concern consuming.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// For _PG_init().
void define_consumer_settings();

// kanthorq.pull_max_bytes: the limit of a pull that names none.
extern int pull_max_bytes;

// kanthorq.durable_pull: the commit of a pull waits for the disk (pull_commit.hpp).
extern bool durable_pull;

}  // namespace kanthorq
