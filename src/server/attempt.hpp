// Trying something that may fail. An error of the server usually ends the statement. Here it is
// returned, and what was done before it is rolled back, as a savepoint would do it.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Runs `body(argument)` in a subtransaction. Returns null, or the error after which the
// subtransaction was rolled back, in the caller's memory. The wish of a user or of the server that
// this session stop is no such error: it goes on to the caller.
const ErrorData* attempt_call(void (*body)(void* argument), void* argument);

// The same for a body without an argument. After an error, what the body has changed in the
// caller's variables is still there.
template <typename Body>
const ErrorData* attempt(Body body) {
  return attempt_call([](void* argument) { (*static_cast<Body*>(argument))(); }, &body);
}

}  // namespace kanthorq
