// The indexes of a table that somebody else owns.
//
// An index is used only if the catalog says that it is an ordinary one. What the session has found
// out about a table's indexes is kept (known.hpp).
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Runs `body(index)` for each open index of the table.
template <typename Body>
void for_indexes(Relation table, Body body) {
  List* indexes = RelationGetIndexList(table);
  ListCell* cell;
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    body(index);
    index_close(index, AccessShareLock);
  }
  list_free(indexes);
}

// Has the table an index for which `is_wanted(index)` holds?
template <typename IsWanted>
bool has_index(Relation table, IsWanted is_wanted) {
  bool found = false;
  for_indexes(table, [&](Relation index) { found = found || is_wanted(index); });
  return found;
}

// Is it an index on columns, of all rows? Reads the catalog's row only. The server's own functions
// for an index's expressions and condition evaluate what is constant in them. That is code of the
// table's owner, and it would run with the rights of the current user.
bool is_on_columns(Relation index);

// The ordinary index of `table` whose first column is `column`, in the order of the column's type.
// The column is one of the first nine. If there is no such index, the first one returns
// InvalidOid, and the second one raises 55000.
Oid find_index_on(Relation table, AttrNumber column);
Oid index_on(Relation table, AttrNumber column);

// Is there such an index, on nothing else, that is unique?
bool is_unique(Relation table, AttrNumber column);

}  // namespace kanthorq
