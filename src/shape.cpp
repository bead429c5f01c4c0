#include "shape.hpp"

#include "core/event_id.hpp"
#include "core/name.hpp"
#include "core/subject.hpp"
#include "datum.hpp"
#include "fault.hpp"
#include "lock.hpp"
#include "rows.hpp"
#include "scope.hpp"
#include "test_point.hpp"

namespace kanthorq {

namespace {

struct Column {
  const char* name;
  Oid type;
  int32 typmod;
  Oid collation;
  const char* definition;
};

constexpr Column columns[stream_columns] = {
    {"id", VARCHAROID, VARHDRSZ + int32{max_event_id_bytes}, C_COLLATION_OID,
     "pg_catalog.varchar(64) COLLATE pg_catalog.\"C\""},
    {"subject", VARCHAROID, VARHDRSZ + int32{max_subject_bytes}, C_COLLATION_OID,
     "pg_catalog.varchar(128) COLLATE pg_catalog.\"C\""},
    {"body", BYTEAOID, -1, InvalidOid, "pg_catalog.bytea"},
    {"metadata", JSONBOID, -1, InvalidOid, "pg_catalog.jsonb"},
    {"created_at", INT8OID, -1, InvalidOid, "pg_catalog.int8"},
    {"txid", XID8OID, -1, InvalidOid, "pg_catalog.xid8"},
    {"position", INT8OID, -1, InvalidOid, "pg_catalog.int8"},
};

// The checks, by the column that each is about. Their names are what a client sees when a plain
// INSERT breaks one.
struct Check {
  const char* name;
  StreamColumn column;
  const char* function;  // of KanthorQ; null: the check of metadata, which is the server's own
};

constexpr Check checks[] = {
    {"kanthorq_id_is_sortable", id_column, "kanthorq_is_event_id"},
    {"kanthorq_subject_is_valid", subject_column, "kanthorq_is_subject"},
    {"kanthorq_metadata_is_object", metadata_column, nullptr},
};

// The first trigger, which makes who inserts a publisher (txid.cpp), and the second one, which
// refuses changes, fire for statements on the table itself, in every replication role. The third
// one is for rows that a statement on a parent table changes; it leaves the rows alone that logical
// replication removes, as the publisher's trim did there.
constexpr const char* writer_trigger = "kanthorq_writer";
constexpr const char* statement_trigger = "kanthorq_append_only";
constexpr const char* row_trigger = "kanthorq_append_only_row";
constexpr const char* triggers[] = {writer_trigger, statement_trigger, row_trigger};

char* quoted_schema(Oid schema) { return pstrdup(quote_identifier(get_namespace_name(schema))); }

char* qualified_name(Oid schema, std::string_view table) {
  return quote_qualified_identifier(get_namespace_name(schema), cstring_of(table));
}

char* column_definitions() {
  StringInfoData sql;
  initStringInfo(&sql);
  for (const Column& column : columns)
    appendStringInfo(&sql, "%s%s %s NOT NULL", sql.len > 0 ? ", " : "", column.name,
                     column.definition);
  return sql.data;
}

// An index or the sequence of the stream's table, by what it is.
const char* part(std::string_view name, const char* what) {
  return quote_identifier(cstring_of(part_name(stream_table_prefix, name, what).view()));
}

// Puts the defaults, checks and triggers on a table that has none of them. Calls of our functions
// have arguments of exactly their types, here and in every query: the columns are varchar, and an
// overload on varchar that somebody else put into the schema would be the better match.
void dress(Oid schema, std::string_view name, const char* table) {
  const char* own = quoted_schema(schema);
  run_definition(
      psprintf("ALTER TABLE %s"
               " ALTER id SET DEFAULT %s.kanthorq_ulid(),"
               " ALTER metadata SET DEFAULT '{}',"
               " ALTER created_at SET DEFAULT"
               " EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) OPERATOR(pg_catalog.*) 1000,"
               " ALTER txid SET DEFAULT %s.kanthorq_txid(%s::pg_catalog.text)",
               table, own, own, quote_literal_cstr(cstring_of(name))));
  for (const Check& check : checks) {
    const char* column = columns[check.column - 1].name;
    const char* condition =
        check.function
            ? psprintf("%s.%s(%s::pg_catalog.text)", own, check.function, column)
            : psprintf("pg_catalog.jsonb_typeof(%s) OPERATOR(pg_catalog.=) 'object'", column);
    run_definition(
        psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s)", table, check.name, condition));
  }
  run_definition(
      psprintf("CREATE TRIGGER %s BEFORE INSERT ON %s"
               " FOR EACH STATEMENT EXECUTE FUNCTION %s.kanthorq_stream_writer()",
               writer_trigger, table, own));
  run_definition(
      psprintf("CREATE TRIGGER %s BEFORE UPDATE OR DELETE OR TRUNCATE ON %s"
               " FOR EACH STATEMENT EXECUTE FUNCTION %s.kanthorq_stream_append_only()",
               statement_trigger, table, own));
  run_definition(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s, ENABLE ALWAYS TRIGGER %s",
                          table, writer_trigger, statement_trigger));
  run_definition(
      psprintf("CREATE TRIGGER %s BEFORE UPDATE OR DELETE ON %s"
               " FOR EACH ROW EXECUTE FUNCTION %s.kanthorq_stream_append_only()",
               row_trigger, table, own));
  run_definition(
      psprintf("COMMENT ON TABLE %s IS %s", table,
               quote_literal_cstr(psprintf("KanthorQ stream \"%s\": append-only; events are added "
                                           "by kanthorq_publish(), INSERT or COPY",
                                           cstring_of(name)))));
}

void undress(Oid relation, const char* table) {
  for (const Check& check : checks)
    if (OidIsValid(get_relation_constraint_oid(relation, check.name, true)))
      run_definition(psprintf("ALTER TABLE %s DROP CONSTRAINT %s", table, check.name));
  for (const char* trigger : triggers)
    if (OidIsValid(get_trigger_oid(relation, trigger, true)))
      run_definition(psprintf("DROP TRIGGER %s ON %s", trigger, table));
}

void create_subject_index(std::string_view name, const char* table) {
  run_definition(
      psprintf("CREATE INDEX %s ON %s (subject, id)", part(name, "subject_id_idx"), table));
}

bool has_index(Relation table, bool (*wanted)(Form_pg_index)) {
  bool found = false;
  List* indexes = RelationGetIndexList(table);
  ListCell* cell;
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    const bool ordinary = is_on_columns(index) && index->rd_index->indisvalid;
    if (ordinary && wanted(index->rd_index)) found = true;
    index_close(index, AccessShareLock);
  }
  list_free(indexes);
  return found;
}

bool is_primary_key_on_id(Form_pg_index index) {
  return index->indisprimary && index->indimmediate && index->indnkeyatts == 1 &&
         index->indkey.values[0] == id_column;
}

bool is_on_subject_and_id(Form_pg_index index) {
  return index->indnkeyatts == 2 && index->indkey.values[0] == subject_column &&
         index->indkey.values[1] == id_column;
}

// The columns of a stream by number, name and type; more may follow. Everything that reads a stream
// relies on it.
const char* kind_difference(Relation table) {
  if (table->rd_rel->relkind != RELKIND_RELATION) return "It is not an ordinary table.";
  TupleDesc descriptor = RelationGetDescr(table);
  for (int i = 0; i < stream_columns; i++) {
    const Column& wanted = columns[i];
    if (i >= descriptor->natts || TupleDescAttr(descriptor, i)->attisdropped ||
        strcmp(NameStr(TupleDescAttr(descriptor, i)->attname), wanted.name) != 0)
      return psprintf("Its column %d is not \"%s\".", i + 1, wanted.name);
    Form_pg_attribute found = TupleDescAttr(descriptor, i);
    if (found->atttypid != wanted.type || found->attcollation != wanted.collation)
      return psprintf("Its column \"%s\" is not of the type %s.", wanted.name, wanted.definition);
    if (found->attgenerated != '\0')
      return psprintf("Its column \"%s\" is generated.", wanted.name);
    if (!is_never_null(descriptor, i))
      return psprintf("Its column \"%s\" may be null.", wanted.name);
  }
  return nullptr;
}

// And as they were defined.
const char* definition_difference(TupleDesc descriptor) {
  for (int i = 0; i < stream_columns; i++) {
    const Column& wanted = columns[i];
    Form_pg_attribute found = TupleDescAttr(descriptor, i);
    if (found->atttypmod != wanted.typmod)
      return psprintf("Its column \"%s\" is not of the type %s.", wanted.name, wanted.definition);
  }
  if (TupleDescAttr(descriptor, position_column - 1)->attidentity != ATTRIBUTE_IDENTITY_ALWAYS)
    return "Its column \"position\" is not generated always as identity.";
  return nullptr;
}

// What tells this table from a stream's, as a sentence; null where nothing does. Defaults, checks,
// triggers and further columns are not looked at.
const char* shape_difference(Relation table) {
  const char* difference = kind_difference(table);
  if (difference) return difference;
  if (table->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT) return "It is not permanent.";
  if (table->rd_rel->relispartition) return "It is a partition.";
  if (table->rd_tableam != GetHeapamTableAmRoutine()) return "It does not use the heap.";
  difference = definition_difference(RelationGetDescr(table));
  if (difference) return difference;
  if (!hands_out_in_order(identity_sequence(table, position_column)))
    return "The sequence of its column \"position\" must have increment 1, cache 1 and no cycle.";
  if (!has_index(table, is_primary_key_on_id)) return "Its primary key is not \"id\".";
  if (!is_unique(table, position_column)) return "Its column \"position\" is not unique.";
  return nullptr;
}

Oid own_function(Oid schema, const char* name, Oid argument) {
  oidvector* arguments = buildoidvector(&argument, OidIsValid(argument) ? 1 : 0);
  return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
                         PointerGetDatum(arguments), ObjectIdGetDatum(schema));
}

Node* without_relabel(Node* node) {
  return IsA(node, RelabelType) ? reinterpret_cast<Node*>(castNode(RelabelType, node)->arg) : node;
}

bool is_column(Node* node, AttrNumber column) {
  Node* inner = without_relabel(node);
  return IsA(inner, Var) && castNode(Var, inner)->varattno == column;
}

bool is_call_on_column(Node* node, Oid function, AttrNumber column) {
  if (!IsA(node, FuncExpr)) return false;
  FuncExpr* call = castNode(FuncExpr, node);
  return call->funcid == function && list_length(call->args) == 1 &&
         is_column(static_cast<Node*>(linitial(call->args)), column);
}

bool is_text_constant(Node* node) {
  return IsA(node, Const) && castNode(Const, node)->consttype == TEXTOID &&
         !castNode(Const, node)->constisnull;
}

std::string_view constant_text(Node* node) {
  return view_of(DatumGetTextPP(castNode(Const, node)->constvalue));
}

bool is_object_check(Node* node) {
  if (!IsA(node, OpExpr)) return false;
  OpExpr* comparison = castNode(OpExpr, node);
  if (get_opcode(comparison->opno) != F_TEXTEQ) return false;
  Node* constant = static_cast<Node*>(lsecond(comparison->args));
  return is_call_on_column(static_cast<Node*>(linitial(comparison->args)), F_JSONB_TYPEOF,
                           metadata_column) &&
         is_text_constant(constant) && constant_text(constant) == "object";
}

bool is_own_check(const Check& check, Oid schema, const ConstrCheck& found) {
  if (strcmp(found.ccname, check.name) != 0) return false;
  Node* condition = static_cast<Node*>(stringToNode(found.ccbin));
  return check.function
             ? is_call_on_column(condition, own_function(schema, check.function, TEXTOID),
                                 check.column)
             : is_object_check(condition);
}

// Exactly the three checks that the publishing functions make themselves.
bool has_own_checks_only(Relation table, Oid schema) {
  const TupleConstr* constraints = RelationGetDescr(table)->constr;
  if (!constraints || constraints->num_check != lengthof(checks)) return false;
  for (const Check& check : checks) {
    bool found = false;
    for (int i = 0; i < constraints->num_check; i++)
      found = found || is_own_check(check, schema, constraints->check[i]);
    if (!found) return false;
  }
  return true;
}

// The stream that the default of txid names; empty where the default is not kanthorq_txid().
std::string_view stream_in_default(Relation table, Oid schema) {
  if (!TupleDescAttr(RelationGetDescr(table), txid_column - 1)->atthasdef) return {};
  Node* expression = build_column_default(table, txid_column);
  if (!expression || !IsA(expression, FuncExpr)) return {};
  FuncExpr* call = castNode(FuncExpr, expression);
  if (call->funcid != own_function(schema, "kanthorq_txid", TEXTOID)) return {};
  Node* argument = static_cast<Node*>(linitial(call->args));
  return is_text_constant(argument) ? constant_text(argument) : std::string_view{};
}

// Those of the owner: what ours does, a direct insertion does itself.
bool has_other_insert_triggers(const TriggerDesc* on, Oid schema) {
  if (!on) return false;
  const Oid writer = own_function(schema, "kanthorq_stream_writer", InvalidOid);
  for (int i = 0; i < on->numtriggers; i++)
    if (TRIGGER_FOR_INSERT(on->triggers[i].tgtype) && on->triggers[i].tgfoid != writer) return true;
  return false;
}

[[noreturn]] void raise_other_shape(Relation table, const char* difference) {
  ereport(
      ERROR,
      (errcode(ERRCODE_DUPLICATE_OBJECT),
       errmsg("table \"%s\" exists and is not the stream's", RelationGetRelationName(table)),
       errdetail("%s", difference),
       errhint(
           "Undo the change, rename or drop the table, or choose another name for the stream.")));
}

// A superuser owns every table as far as rights go, but must not adopt what somebody else prepared:
// triggers and defaults on it would run with the rights of whoever publishes.
void require_own(Relation table) {
  if (table->rd_rel->relowner == GetUserId()) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("must be owner of table %s", RelationGetRelationName(table)),
           errdetail("It exists and belongs to role \"%s\".",
                     GetUserNameFromId(table->rd_rel->relowner, false)),
           errhint("If it is a stream of that role, create the stream again as that role.")));
}

}  // namespace

bool hands_out_in_order(Oid sequence) {
  HeapTuple row = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
  if (!HeapTupleIsValid(row)) return false;
  const auto* settings = reinterpret_cast<Form_pg_sequence>(GETSTRUCT(row));
  const bool in_order =
      settings->seqincrement == 1 && settings->seqcache == 1 && !settings->seqcycle;
  ReleaseSysCache(row);
  return in_order;
}

char* quoted_table_name(Relation table) {
  return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)),
                                    RelationGetRelationName(table));
}

void create_stream_table(Oid schema, std::string_view name, bool subject_index) {
  with_spi([&] {
    const char* table = qualified_name(schema, table_name(stream_table_prefix, name).view());
    run_definition(
        psprintf("CREATE TABLE %s (%s GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME %s.%s),"
                 " CONSTRAINT %s PRIMARY KEY (id), CONSTRAINT %s UNIQUE (position)) USING heap",
                 table, column_definitions(), quoted_schema(schema), part(name, "position_seq"),
                 part(name, "pkey"), part(name, "position_key")));
    KANTHORQ_TEST_POINT("stream_create_table");
    if (subject_index) create_subject_index(name, table);
    KANTHORQ_TEST_POINT("stream_create_index");
    dress(schema, name, table);
  });
}

const char* stream_table_difference(Relation table, Oid schema, std::string_view name) {
  const char* difference = kind_difference(table);
  if (difference) return difference;
  const std::string_view other = stream_in_default(table, schema);
  if (other.empty() || other == name) return nullptr;
  return psprintf("It is the table of the stream \"%s\".", clipped(other));
}

void require_stream_table(Relation table, Oid schema, std::string_view name) {
  const char* difference = stream_table_difference(table, schema, name);
  if (difference) raise_other_shape(table, difference);
}

void adopt_stream_table(Oid schema, std::string_view name, bool subject_index) {
  const TableName mapped = table_name(stream_table_prefix, name);
  const Oid oid = RangeVarGetRelidExtended(
      makeRangeVar(get_namespace_name(schema), cstring_of(mapped.view()), -1), AccessExclusiveLock,
      0, RangeVarCallbackOwnsRelation, nullptr);
  lock_relation(oid, AccessExclusiveLock);

  Relation table = relation_open(oid, NoLock);
  require_own(table);
  require_stream_table(table, schema, name);
  const char* difference = shape_difference(table);
  if (difference) raise_other_shape(table, difference);
  const bool lacks_subject_index = subject_index && !has_index(table, is_on_subject_and_id);
  const char* quoted = quoted_table_name(table);
  relation_close(table, NoLock);  // the definitions below refuse a table that is open

  with_spi([&] {
    undress(oid, quoted);
    KANTHORQ_TEST_POINT("stream_adopt_undressed");
    if (lacks_subject_index) create_subject_index(name, quoted);
    dress(schema, name, quoted);
  });
}

bool is_table_of(Oid oid, Oid schema, std::string_view name) {
  Relation table = try_relation_open(oid, AccessShareLock);
  if (!table) return false;  // dropped meanwhile
  const bool is_its_table =
      kind_difference(table) == nullptr && stream_in_default(table, schema) == name;
  relation_close(table, AccessShareLock);
  return is_its_table;
}

bool is_plain_stream_table(Relation table, Oid schema, std::string_view name) {
  return shape_difference(table) == nullptr && RelationGetDescr(table)->natts == stream_columns &&
         table->rd_rules == nullptr && !has_other_insert_triggers(table->trigdesc, schema) &&
         has_own_checks_only(table, schema) && stream_in_default(table, schema) == name;
}

}  // namespace kanthorq
