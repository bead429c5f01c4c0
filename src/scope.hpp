// Brackets around the server's open/close pairs. They close on success; after an error the server's
// resource owners and transaction machinery do, which is why there is nothing to destroy here.
#pragma once

#include "pg.hpp"

namespace kanthorq {

// Runs `body` with a connection to the SPI. What `body` allocates is gone afterwards, unless it
// allocates in the caller's context.
template <typename Body>
void with_spi(Body body) {
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "could not connect to the SPI");
  body();
  if (SPI_finish() != SPI_OK_FINISH) elog(ERROR, "could not leave the SPI");
}

// Runs a statement that defines something, within with_spi().
inline void run_definition(const char* sql) {
  const int result = SPI_execute(sql, false, 0);
  if (result < 0) elog(ERROR, "could not run a definition: %s", SPI_result_code_string(result));
}

// Runs `body` with `context` as the current memory context.
template <typename Body>
void with_context(MemoryContext context, Body body) {
  MemoryContext caller = MemoryContextSwitchTo(context);
  body();
  MemoryContextSwitchTo(caller);
}

}  // namespace kanthorq
