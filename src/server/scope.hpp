// Brackets around the server's open/close pairs. A bracket opens, runs a body, closes, and returns
// what the body returned. After an error the server's resource owners and transaction machinery
// close, which is why there is nothing to destroy here.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Runs `body`, then `close`, and returns what `body` returned: what every bracket ends with. An
// error in `close` jumps over what was returned, so that must not need a destructor.
template <typename Body, typename Close>
auto run_and_close(Body body, Close close) {
  if constexpr (std::is_void_v<decltype(body())>) {
    body();
    close();
  } else {
    const auto result = body();
    static_assert(std::is_trivially_destructible_v<decltype(result)>);
    close();
    return result;
  }
}

// Runs `body` with a connection to the SPI. What `body` allocates is gone afterwards, unless it
// allocates in the caller's context.
template <typename Body>
auto with_spi(Body body) {
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "could not connect to the SPI");
  return run_and_close(body, [] {
    if (SPI_finish() != SPI_OK_FINISH) elog(ERROR, "could not leave the SPI");
  });
}

// Runs a statement that defines something, within with_spi().
inline void run_definition(const char* sql) {
  const int result = SPI_execute(sql, false, 0);
  if (result < 0) elog(ERROR, "could not run a definition: %s", SPI_result_code_string(result));
}

// Runs `body` with `context` as the current memory context.
template <typename Body>
auto with_context(MemoryContext context, Body body) {
  MemoryContext caller = MemoryContextSwitchTo(context);
  return run_and_close(body, [&] { MemoryContextSwitchTo(caller); });
}

// Runs `body(snapshot)` with a snapshot of now, whatever the isolation level of the transaction is.
template <typename Body>
auto with_newest_snapshot(Body body) {
  Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
  return run_and_close([&] { return body(newest); }, [&] { UnregisterSnapshot(newest); });
}

// Memory for what is needed for one row only, so that many rows take no more than one does. After
// an error it is freed with the memory context that was current when it was created.
class RowMemory {
 public:
  RowMemory()
      : context_(
            AllocSetContextCreate(CurrentMemoryContext, "KanthorQ row", ALLOCSET_DEFAULT_SIZES)) {}

  // Runs `body` for a row. What it allocates is gone afterwards, so it returns numbers and the
  // like. It must not call during() of the same memory.
  template <typename Body>
  auto during(Body body) const {
    MemoryContext caller = MemoryContextSwitchTo(context_);
    return run_and_close(body, [&] {
      MemoryContextSwitchTo(caller);
      MemoryContextReset(context_);
    });
  }

  void end() const { MemoryContextDelete(context_); }

 private:
  MemoryContext context_;
};

}  // namespace kanthorq
