#include "stream/registered_table.hpp"

#include "core/name.hpp"
#include "server/as_owner.hpp"
#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/lock.hpp"
#include "server/privileges.hpp"
#include "server/quoting.hpp"
#include "server/rows.hpp"
#include "server/scope.hpp"

namespace kanthorq {

namespace {

enum RegisteredTableColumn : AttrNumber {
  kind_column = 1,
  name_column,
  table_column,
  owner_column,
};
constexpr Oid column_types[] = {TEXTOID, VARCHAROID, REGCLASSOID, NAMEOID};
constexpr OwnTable registered_tables{"kanthorq_registered_table", column_types,
                                     lengthof(column_types)};

const char* word_for(Kind kind) { return kind == Kind::stream ? "stream" : "consumer"; }

std::string_view prefix_of(Kind kind) {
  return kind == Kind::stream ? stream_table_prefix : consumer_table_prefix;
}

HeapTuple find_row(Relation table, Kind kind, std::string_view name) {
  ScanKeyData keys[2] = {equals_text(kind_column, word_for(kind)), equals_text(name_column, name)};
  return only_row(table, primary_key_index(table), keys, 2);
}

Datum name_datum(const char* text) {
  auto* value = static_cast<NameData*>(palloc0(sizeof(NameData)));
  namestrcpy(value, text);
  return NameGetDatum(value);
}

// Is the current user the role that created the table, or the owner of the extension?
bool is_of_current_user(Oid schema, const RegisteredTable& registered) {
  const Oid owner = get_role_oid(registered.owner, true);
  return (OidIsValid(owner) && has_privs_of_role(GetUserId(), owner)) ||
         is_owner(own_table_oid(schema, registered_tables));
}

bool is_table(Oid relation) {
  if (!OidIsValid(relation)) return false;
  const char kind = get_rel_relkind(relation);
  return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE;
}

[[noreturn]] void raise_elsewhere(Kind kind, std::string_view name, Oid table) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("the table of %s \"%s\" has another name", word_for(kind), clipped(name)),
                  errdetail("It was renamed or moved, and is %s now.", quoted_table_name(table)),
                  errhint("Give it its name and schema back, or drop the table.")));
}

[[noreturn]] void raise_not_owner(Kind kind, std::string_view name, const char* owner) {
  ereport(
      ERROR,
      (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
       errmsg("must be owner of %s \"%s\"", word_for(kind), clipped(name)),
       *owner ? errdetail("Its table was dropped, and the name belongs to role \"%s\", which "
                          "created it.",
                          owner)
              : errdetail("Its table was dropped before this database was restored from a dump."),
       *owner ? errhint("That role, or the owner of the extension, frees the name with "
                        "kanthorq_%s_drop().",
                        word_for(kind))
              : errhint("The owner of the extension frees the name with kanthorq_%s_drop().",
                        word_for(kind))));
}

}  // namespace

RegisteredTable registered_table(Oid schema, Kind kind, std::string_view name) {
  return with_own_table(schema, registered_tables, AccessShareLock, [&](Relation table) {
    HeapTuple row = find_row(table, kind, name);
    if (!row) return RegisteredTable{InvalidOid, ""};
    return RegisteredTable{DatumGetObjectId(row_value(table, row, table_column)),
                           NameStr(*DatumGetName(row_value(table, row, owner_column)))};
  });
}

Oid relation_by_name(Oid schema, Kind kind, std::string_view name) {
  return get_relname_relid(table_name(prefix_of(kind), name).c_str(), schema);
}

Oid table_in_place(Oid schema, Kind kind, std::string_view name) {
  const Oid by_name = relation_by_name(schema, kind, name);
  if (!OidIsValid(by_name)) return InvalidOid;
  return registered_table(schema, kind, name).table == by_name ? by_name : InvalidOid;
}

void register_table(Oid schema, Kind kind, std::string_view name) {
  const Oid registered = relation_by_name(schema, kind, name);
  with_own_table(schema, registered_tables, RowExclusiveLock, [&](Relation table) {
    RowValues values(table);
    values.set(kind_column, text_datum(word_for(kind)));
    values.set(name_column, text_datum(name));
    values.set(table_column, ObjectIdGetDatum(registered));
    values.set(owner_column, name_datum(GetUserNameFromId(table_owner(registered), false)));
    HeapTuple row = find_row(table, kind, name);
    if (row)
      update_row(table, row, values);
    else
      insert_row(table, values);
  });
}

void unregister_table(Oid schema, Kind kind, std::string_view name) {
  with_own_table(schema, registered_tables, RowExclusiveLock, [&](Relation table) {
    HeapTuple row = find_row(table, kind, name);
    if (row) delete_row(table, row);
  });
}

void require_name_ownership(Oid schema, Kind kind, std::string_view name) {
  const RegisteredTable registered = registered_table(schema, kind, name);
  if (!is_table(registered.table)) {
    if (!is_of_current_user(schema, registered)) raise_not_owner(kind, name, registered.owner);
    return;
  }
  require_ownership(registered.table);
  if (registered.table != relation_by_name(schema, kind, name))
    raise_elsewhere(kind, name, registered.table);
}

Oid lock_for_drop(Oid schema, Kind kind, std::string_view name) {
  const Oid table = table_in_place(schema, kind, name);
  if (OidIsValid(table)) lock_relation(table, AccessExclusiveLock);
  require_name_ownership(schema, kind, name);
  return table_in_place(schema, kind, name);
}

void drop_table(Oid table) {
  with_spi([&] { run_definition(psprintf("DROP TABLE %s", quoted_table_name(table))); });
}

void raise_not_registered_table(Relation table, const char* kind, std::string_view name) {
  ereport(
      ERROR,
      (errcode(ERRCODE_DUPLICATE_OBJECT),
       errmsg("table \"%s\" exists and is not the %s's", RelationGetRelationName(table), kind),
       errdetail("The table that %s \"%s\" was created with was dropped, renamed or moved; this "
                 "is another one of the same name.",
                 kind, clipped(name)),
       errhint("Drop or rename this one. If the %s's table was renamed, give it its name back; "
               "if it was dropped, kanthorq_%s_drop() frees the name.",
               kind, kind)));
}

}  // namespace kanthorq
