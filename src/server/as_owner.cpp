#include "server/as_owner.hpp"

namespace kanthorq {

Oid table_owner(Oid table) {
  HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(row)) elog(ERROR, "cache lookup failed for relation %u", table);
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
  ReleaseSysCache(row);
  return owner;
}

void fire_constraints_at_once() {
  auto* all_immediate = makeNode(ConstraintsSetStmt);
  AfterTriggerSetState(all_immediate);
}

}  // namespace kanthorq
