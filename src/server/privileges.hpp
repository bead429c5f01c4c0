// Who may do what: the checks that more than one function makes. Everything runs as its caller, and
// what is done without a query is checked by hand.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Raises 42501 where row security is in force on the table for the current user: its rows are read
// or written directly, and it must not be bypassed.
void require_no_row_security(Relation table);

// Raises 42501 where the current user does not own the table.
void require_ownership(Relation table);

// Raises 55000 where `argument` of the call, the confirmation, does not repeat the name of the
// `kind`, a stream or consumer.
void require_confirmation(FunctionCallInfo fcinfo, int argument, const char* kind,
                          std::string_view name);

// Raises 42501 without CREATE on the extension's schema.
void require_create_privilege(Oid schema);

}  // namespace kanthorq
