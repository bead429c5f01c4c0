// The indexes of a table that somebody else owns.
//
// An index is used only if the catalog says that it is an ordinary one. What the session has found
// out about a table's indexes is kept (known.hpp).
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// What the catalog says of an index. The index is not open: opening each index of a table that is
// looked at for the first time costs several times as much, in buffers, time and memory.
struct IndexEntry {
  HeapTuple row;
  Form_pg_index form;

  // The first of a vector's values: of its operator classes, collations or options.
  template <typename Vector>
  auto first_of(AttrNumber column) const {
    bool is_null;  // it never is
    const Datum vector = SysCacheGetAttr(INDEXRELID, row, column, &is_null);
    return reinterpret_cast<const Vector*>(DatumGetPointer(vector))->values[0];
  }
};

// Runs `body(index)` for each index of the table.
template <typename Body>
void for_indexes(Relation table, Body body) {
  List* indexes = RelationGetIndexList(table);
  ListCell* cell;
  foreach (cell, indexes) {
    HeapTuple row = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
    if (!HeapTupleIsValid(row)) continue;  // dropped just now, concurrently
    body(IndexEntry{row, reinterpret_cast<Form_pg_index>(GETSTRUCT(row))});
    ReleaseSysCache(row);
  }
  list_free(indexes);
}

// Has the table an index for which `is_wanted(index)` holds?
template <typename IsWanted>
bool has_index(Relation table, IsWanted is_wanted) {
  bool found = false;
  for_indexes(table, [&](const IndexEntry& index) { found = found || is_wanted(index); });
  return found;
}

// Is it an index on columns, of all rows? The server's own functions for an index's expressions and
// condition evaluate what is constant in them. That is code of the table's owner, and it would run
// with the rights of the current user.
bool is_on_columns(const IndexEntry& index);

// The ordinary index of `table` whose first column is `column`, in the order of the column's type.
// The column is one of the first nine. If there is no such index, the first one returns
// InvalidOid, and the second one raises 55000.
Oid find_index_on(Relation table, AttrNumber column);
Oid index_on(Relation table, AttrNumber column);

// Is there such an index, on nothing else, that is unique?
bool is_unique(Relation table, AttrNumber column);

}  // namespace kanthorq
