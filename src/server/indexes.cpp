#include "server/indexes.hpp"

#include "server/known.hpp"

namespace kanthorq {

namespace {

constexpr AttrNumber searchable_columns = 9;  // no table of ours has an index on a later one

struct KnownIndexes {
  Known known;
  Oid on[searchable_columns];  // by the number of the column, less one
  bool unique[searchable_columns];
};

constinit Knowledge<KnownIndexes> known_indexes;

// The order of the column's type: ascending, nulls last, by the default operators and the column's
// own collation. Only btrees have that.
bool is_in_natural_order(const IndexEntry& index, Form_pg_attribute column) {
  const TypeCacheEntry* type = lookup_type_cache(column->atttypid, TYPECACHE_BTREE_OPFAMILY);
  return index.first_of<int2vector>(Anum_pg_index_indoption) == 0 &&
         index.first_of<oidvector>(Anum_pg_index_indcollation) == column->attcollation &&
         get_opclass_family(index.first_of<oidvector>(Anum_pg_index_indclass)) == type->btree_opf;
}

bool keeps_unique(Form_pg_index index) {
  return index->indisunique && index->indimmediate && index->indnkeyatts == 1;
}

void note_index(KnownIndexes& indexes, Relation table, const IndexEntry& index) {
  const AttrNumber column = index.form->indkey.values[0];
  if (column < 1 || column > searchable_columns || !is_on_columns(index) ||
      !index.form->indisvalid ||
      !is_in_natural_order(index, TupleDescAttr(RelationGetDescr(table), column - 1)))
    return;
  Oid& on = indexes.on[column - 1];
  if (!OidIsValid(on)) on = index.form->indexrelid;
  if (keeps_unique(index.form)) indexes.unique[column - 1] = true;
}

const KnownIndexes& indexes_of(Relation table) {
  return known_indexes.about(
      table, [](const KnownIndexes&) { return true; },
      [&](KnownIndexes& indexes) {
        std::fill_n(indexes.on, searchable_columns, InvalidOid);
        std::fill_n(indexes.unique, searchable_columns, false);
        for_indexes(table, [&](const IndexEntry& index) { note_index(indexes, table, index); });
        return true;
      });
}

}  // namespace

bool is_on_columns(const IndexEntry& index) {
  return heap_attisnull(index.row, Anum_pg_index_indexprs, nullptr) &&
         heap_attisnull(index.row, Anum_pg_index_indpred, nullptr);
}

Oid find_index_on(Relation table, AttrNumber column) { return indexes_of(table).on[column - 1]; }

Oid index_on(Relation table, AttrNumber column) {
  const Oid index = find_index_on(table, column);
  if (!OidIsValid(index))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("table \"%s\" has no index on \"%s\"", RelationGetRelationName(table),
                           NameStr(TupleDescAttr(RelationGetDescr(table), column - 1)->attname)),
                    errdetail("The index that it was created with was dropped, or is not valid.")));
  return index;
}

bool is_unique(Relation table, AttrNumber column) { return indexes_of(table).unique[column - 1]; }

}  // namespace kanthorq
