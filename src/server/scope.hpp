// Brackets around the server's open/close pairs. They close on success; after an error the server's
// resource owners and transaction machinery do, which is why there is nothing to destroy here.
#pragma once

#include "server/pg.hpp"

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

// Memory for what is needed for one row only, so that many rows take no more than one does. After
// an error it goes with the memory that was current when it began.
class RowMemory {
 public:
  RowMemory()
      : context_(
            AllocSetContextCreate(CurrentMemoryContext, "KanthorQ row", ALLOCSET_DEFAULT_SIZES)) {}

  // Runs `body` for a row and returns what it returns. What it allocated is gone then. It must not
  // use the same memory once more.
  template <typename Body>
  auto during(Body body) const {
    MemoryContext caller = MemoryContextSwitchTo(context_);
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      back_to(caller);
    } else {
      const auto result = body();
      back_to(caller);
      return result;
    }
  }

  void end() const { MemoryContextDelete(context_); }

 private:
  void back_to(MemoryContext caller) const {
    MemoryContextSwitchTo(caller);
    MemoryContextReset(context_);
  }

  MemoryContext context_;
};

}  // namespace kanthorq
