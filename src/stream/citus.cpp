#include "stream/citus.hpp"

namespace kanthorq {

// Citus has its metadata in pg_catalog, where only superusers create tables. A change there
// invalidates the relcache like any other change of the table, so the answer may be kept
// (known.hpp).
bool is_managed_by_citus(Oid table) {
  const Oid catalog = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
  if (!OidIsValid(catalog) || get_rel_relkind(catalog) != RELKIND_RELATION) return false;
  const AttrNumber column = get_attnum(catalog, "logicalrelid");
  if (column == InvalidAttrNumber || get_atttype(catalog, column) != REGCLASSOID) return false;
  ScanKeyData key;
  ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(table));
  Relation distributed = table_open(catalog, AccessShareLock);
  SysScanDesc scan = systable_beginscan(distributed, InvalidOid, false, nullptr, 1, &key);
  const bool found = HeapTupleIsValid(systable_getnext(scan));
  systable_endscan(scan);
  table_close(distributed, AccessShareLock);
  return found;
}

}  // namespace kanthorq
