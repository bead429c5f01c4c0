// The only PG_TRY of the library. The function is not inlined, and nothing is inlined into it. So
// no variable of a caller is in a register that the jump sets back.
#include "server/attempt.hpp"

namespace kanthorq {

// Is it the wish of a user or of the server that this session stop? The SQLSTATE does not prove it,
// because anybody's code may raise it. Only the server's function for interrupts is meant.
static bool is_cancel(const ErrorData& error) {
  return error.sqlerrcode == ERRCODE_QUERY_CANCELED && error.funcname &&
         strcmp(error.funcname, "ProcessInterrupts") == 0;
}

// Its message and hint may be as long as a gigabyte. They are shown, logged and stored.
static void shorten(char* text) {
  constexpr int longest = 1000;
  if (text) text[pg_mbcliplen(text, static_cast<int>(strlen(text)), longest)] = '\0';
}

const ErrorData* attempt_call(void (*body)(void* argument), void* argument) {
  MemoryContext memory = CurrentMemoryContext;
  const ResourceOwner owner = CurrentResourceOwner;
  ErrorData* volatile error = nullptr;

  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(memory);
  PG_TRY();
  {
    body(argument);
    ReleaseCurrentSubTransaction();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(memory);
    error = CopyErrorData();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
  }
  PG_END_TRY();
  MemoryContextSwitchTo(memory);
  CurrentResourceOwner = owner;
  if (!error) return nullptr;
  if (is_cancel(*error)) ReThrowError(error);
  shorten(error->message);
  shorten(error->hint);
  return error;
}

}  // namespace kanthorq
