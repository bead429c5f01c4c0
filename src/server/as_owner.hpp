// Running something as the owner of a table, whoever called.
//
// A table is its owner's. If a superuser inserts into it or creates an index on it, the owner's
// triggers, defaults and index expressions run with the rights of the superuser. So what is done to
// other people's tables is done as their owner, in a security-restricted operation, as the server
// does it for VACUUM and REINDEX. Whoever is in it can't become the caller again, can't leave
// anything for later, and finds only what it names with a schema.
#pragma once

#include "server/pg.hpp"
#include "server/scope.hpp"

namespace kanthorq {

Oid table_owner(Oid table);

// Runs `body` as the owner of the table. After an error, the end of the subtransaction makes the
// session its user's again.
template <typename Body>
auto as_owner_of(Oid table, Body body) {
  Oid user = InvalidOid;
  int context = 0;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(table_owner(table), context | SECURITY_RESTRICTED_OPERATION);
  const int settings = NewGUCNestLevel();
  restrict_search_path();
  return run_and_close(body, [&] {
    AtEOXact_GUC(false, settings);
    SetUserIdAndSecContext(user, context);
  });
}

// Runs `body` as this role, with the same restrictions as now.
template <typename Body>
auto as_role(Oid role, Body body) {
  Oid user = InvalidOid;
  int context = 0;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(role, context);
  return run_and_close(body, [&] { SetUserIdAndSecContext(user, context); });
}

// From now on the transaction fires the triggers of constraints at once, among them those that wait
// for its end. Nothing else may be under way.
void fire_constraints_at_once();

}  // namespace kanthorq
