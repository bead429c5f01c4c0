#include "server/privileges.hpp"

#include "server/datum.hpp"
#include "server/fault.hpp"

namespace kanthorq {

void require_no_row_security(Relation table) {
  if (check_enable_rls(RelationGetRelid(table), InvalidOid, false) != RLS_ENABLED) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("cannot consume \"%s\" under row security", RelationGetRelationName(table)),
           errdetail("Its row security is in force for role \"%s\".",
                     GetUserNameFromId(GetUserId(), false)),
           errhint("Consume as a role that the table's policies do not limit, or read it with "
                   "kanthorq_events().")));
}

void require_ownership(Relation table) {
  if (!owns_relation(RelationGetRelid(table), GetUserId()))
    aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(table->rd_rel->relkind),
                   RelationGetRelationName(table));
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
