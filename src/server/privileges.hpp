// Who may do what: the checks that more than one function makes. Everything runs as its caller.
// What is done without a query is checked here.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Raises 42501 if row security is in force on the table for the current user. Rows are read and
// written directly, and that must not bypass it.
void require_no_row_security(Relation table);

// Raises 42501 if the current user does not own the table.
void require_ownership(Relation table);

// Raises 55000 if the argument "confirm" does not repeat `name`. `kind` is "stream" or "consumer".
void require_confirmation(FunctionCallInfo fcinfo, int argument, const char* kind,
                          std::string_view name);

// Raises 42501 if the current user may not create tables in the extension's schema.
void require_create_privilege(Oid schema);

}  // namespace kanthorq
