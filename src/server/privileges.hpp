// Who may do what: the checks that more than one function makes. Everything runs as its caller.
// What is done without a query is checked here.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Has the current user this one privilege on the table?
bool has_privilege(Relation table, AclMode privilege);

// Is row security in force on the table for the current user?
bool has_row_security(Relation table);

// For reading and writing rows without a query, which must not bypass row security. Raises 42501 if
// the current user lacks this one privilege on the table, or if row security is in force for it.
void require_direct_access(Relation table, AclMode privilege);

// Raises 42501 if the current user may insert neither into the table nor into each of its first
// `columns` columns.
void require_insert_privilege(Relation table, int columns);

// May the current user insert rows, with a value for one column at least?
bool may_insert_some(Oid table);

// Is the current user the owner of the table, or has it the owner's rights?
bool is_owner(Oid table);

// Is this role the owner of the table, or has it the owner's rights?
bool is_owner(Oid table, Oid role);

// Raises 42501 if the current user is not.
void require_ownership(Oid table);

// Has somebody else than its owner the privilege to put triggers on `table`, and not on `other`?
bool lets_others_add_triggers(Oid table, Oid other);

// Raises 55000 if the argument "confirm" does not repeat `name`. `kind` is "stream" or "consumer".
void require_confirmation(FunctionCallInfo fcinfo, int argument, const char* kind,
                          std::string_view name);

// Raises 42501 if the current user may not create tables in the extension's schema.
void require_create_privilege(Oid schema);

}  // namespace kanthorq
