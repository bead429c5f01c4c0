// Names as they stand in SQL text: quoted if need be, and tables with their schema.
#pragma once

#include "core/name.hpp"
#include "server/datum.hpp"
#include "server/pg.hpp"

namespace kanthorq {

inline const char* quoted_schema(Oid schema) {
  return quote_identifier(get_namespace_name(schema));
}

inline const char* quoted_name(const TableName& name) {
  return quote_identifier(cstring_of(name.view()));
}

inline const char* quoted_table_name(Oid schema, const char* table) {
  return quote_qualified_identifier(get_namespace_name(schema), table);
}

inline const char* quoted_table_name(Oid table) {
  return quoted_table_name(get_rel_namespace(table), get_rel_name(table));
}

inline const char* quoted_table_name(Relation table) {
  return quoted_table_name(RelationGetNamespace(table), RelationGetRelationName(table));
}

}  // namespace kanthorq
