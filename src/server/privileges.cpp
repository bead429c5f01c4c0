#include "server/privileges.hpp"

#include "server/datum.hpp"
#include "server/fault.hpp"

namespace kanthorq {

bool has_privilege(Relation table, AclMode privilege) {
  return pg_class_aclcheck(RelationGetRelid(table), GetUserId(), privilege) == ACLCHECK_OK;
}

bool has_row_security(Relation table) {
  return check_enable_rls(RelationGetRelid(table), InvalidOid, true) == RLS_ENABLED;
}

[[noreturn]] static void raise_no_privilege(Relation table) {
  aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(table));
  pg_unreachable();
}

void require_direct_access(Relation table, AclMode privilege) {
  if (!has_privilege(table, privilege)) raise_no_privilege(table);
  // Raises an error itself if the setting row_security is off.
  if (check_enable_rls(RelationGetRelid(table), InvalidOid, false) != RLS_ENABLED) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("cannot consume \"%s\" under row security", RelationGetRelationName(table)),
           errdetail("Its row security is in force for role \"%s\".",
                     GetUserNameFromId(GetUserId(), false)),
           errhint("Consume as a role that the table's policies do not limit, or read it with "
                   "kanthorq_events().")));
}

void require_insert_privilege(Relation table, int columns) {
  if (has_privilege(table, ACL_INSERT)) return;
  for (int column = 1; column <= columns; column++)
    if (pg_attribute_aclcheck(RelationGetRelid(table), static_cast<AttrNumber>(column), GetUserId(),
                              ACL_INSERT) != ACLCHECK_OK)
      raise_no_privilege(table);
}

bool may_insert_some(Oid table) {
  return pg_class_aclcheck(table, GetUserId(), ACL_INSERT) == ACLCHECK_OK ||
         pg_attribute_aclcheck_all(table, GetUserId(), ACL_INSERT, ACLMASK_ANY) == ACLCHECK_OK;
}

bool is_owner(Oid table) { return is_owner(table, GetUserId()); }

bool is_owner(Oid table, Oid role) { return owns_relation(table, role); }

bool lets_others_add_triggers(Oid table, Oid other) {
  HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(row)) return false;
  bool has_none;
  const Datum stored = SysCacheGetAttr(RELOID, row, Anum_pg_class_relacl, &has_none);
  Acl* grants = has_none ? nullptr : DatumGetAclPCopy(stored);
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
  ReleaseSysCache(row);
  for (int i = 0; grants && i < ACL_NUM(grants); i++) {
    const AclItem& grant = ACL_DAT(grants)[i];
    if (grant.ai_grantee != owner && (ACLITEM_GET_PRIVS(grant) & ACL_TRIGGER) != 0 &&
        pg_class_aclcheck(other, grant.ai_grantee, ACL_TRIGGER) != ACLCHECK_OK)
      return true;
  }
  return false;
}

void require_ownership(Oid table) {
  if (!is_owner(table))
    aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(table)),
                   get_rel_name(table));
}

void require_confirmation(FunctionCallInfo fcinfo, int argument, const char* kind,
                          std::string_view name) {
  if (!PG_ARGISNULL(argument) && text_argument(fcinfo, argument) == name) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("confirmation for %s \"%s\" is missing or wrong", kind, clipped(name)),
                  PG_ARGISNULL(argument) ? errdetail("The argument \"confirm\" is null.")
                                         : errdetail("The argument \"confirm\" is \"%s\".",
                                                     clipped(text_argument(fcinfo, argument))),
                  errhint("This can't be undone; repeat the %s's name in the argument \"confirm\".",
                          kind)));
}

void require_create_privilege(Oid schema) {
  const AclResult result = check_schema_privilege(schema, GetUserId(), ACL_CREATE);
  if (result != ACLCHECK_OK) aclcheck_error(result, OBJECT_SCHEMA, get_namespace_name(schema));
}

}  // namespace kanthorq
