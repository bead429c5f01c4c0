// The background workers that call maintenance, if the library is preloaded.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// kanthorq.databases and kanthorq.maintain_interval; and registers the launcher if the library is
// being preloaded. For _PG_init().
void define_worker_settings();
void register_launcher();

}  // namespace kanthorq
