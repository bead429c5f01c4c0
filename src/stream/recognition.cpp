#include "stream/recognition.hpp"

#include "server/datum.hpp"
#include "server/fault.hpp"
#include "server/indexes.hpp"
#include "stream/definition.hpp"

namespace kanthorq {

namespace {

bool has_valid_index(Relation table, bool (*is_wanted)(Form_pg_index)) {
  return has_index(table, [&](const IndexEntry& index) {
    return is_on_columns(index) && index.form->indisvalid && is_wanted(index.form);
  });
}

bool is_primary_key_on_id(Form_pg_index index) {
  return index->indisprimary && index->indimmediate && index->indnkeyatts == 1 &&
         index->indkey.values[0] == id_column;
}

bool is_on_subject_and_id(Form_pg_index index) {
  return index->indnkeyatts == 2 && index->indkey.values[0] == subject_column &&
         index->indkey.values[1] == id_column;
}

// Of a partition or of a stream that is not partitioned.
const char* storage_difference(Relation table) {
  if (table->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT) return "It is not permanent.";
  if (table->rd_tableam != GetHeapamTableAmRoutine()) return "It does not use the heap.";
  return nullptr;
}

const char* column_difference(TupleDesc descriptor, int index) {
  const StreamColumnDefinition& wanted = stream_column_definitions[index];
  if (index >= descriptor->natts || TupleDescAttr(descriptor, index)->attisdropped ||
      strcmp(NameStr(TupleDescAttr(descriptor, index)->attname), wanted.name) != 0)
    return psprintf("Its column %d is not \"%s\".", index + 1, wanted.name);
  Form_pg_attribute column = TupleDescAttr(descriptor, index);
  if (column->atttypid != wanted.type || column->attcollation != wanted.collation)
    return psprintf("Its column \"%s\" is not of the type %s.", wanted.name, wanted.definition);
  if (column->attgenerated != '\0') return psprintf("Its column \"%s\" is generated.", wanted.name);
  if (!is_never_null(descriptor, index))
    return psprintf("Its column \"%s\" may be null.", wanted.name);
  return nullptr;
}

// An ordinary table, or a partitioned one, has the columns of a stream, by number, name and type.
// More columns may follow. Everything that reads a stream relies on this.
const char* columns_difference(Relation table) {
  if (table->rd_rel->relkind != RELKIND_RELATION && !is_partitioned(table))
    return "It is not an ordinary table.";
  for (int i = 0; i < stream_columns; i++) {
    const char* difference = column_difference(RelationGetDescr(table), i);
    if (difference) return difference;
  }
  return nullptr;
}

// The columns also have the greatest lengths with which they were created.
const char* lengths_difference(TupleDesc descriptor) {
  for (int i = 0; i < stream_columns; i++) {
    const StreamColumnDefinition& wanted = stream_column_definitions[i];
    if (TupleDescAttr(descriptor, i)->atttypmod != wanted.typmod)
      return psprintf("Its column \"%s\" is not of the type %s.", wanted.name, wanted.definition);
  }
  return nullptr;
}

// And the identity. A partition may have none.
const char* modifiers_difference(TupleDesc descriptor) {
  const char* difference = lengths_difference(descriptor);
  if (difference) return difference;
  if (TupleDescAttr(descriptor, position_column - 1)->attidentity != ATTRIBUTE_IDENTITY_ALWAYS)
    return "Its column \"position\" is not generated always as identity.";
  return nullptr;
}

Node* strip_relabel(Node* node) {
  return IsA(node, RelabelType) ? reinterpret_cast<Node*>(castNode(RelabelType, node)->arg) : node;
}

bool is_column(Node* node, AttrNumber column) {
  Node* inner = strip_relabel(node);
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

bool is_check(const ConstrCheck& constraint, const StreamCheck& check, Oid schema) {
  if (strcmp(constraint.ccname, check.name) != 0) return false;
  Node* condition = static_cast<Node*>(stringToNode(constraint.ccbin));
  return check.function
             ? is_call_on_column(condition, own_function(schema, check.function, TEXTOID),
                                 check.column)
             : is_object_check(condition);
}

bool has_check(const TupleConstr& constraints, const StreamCheck& check, Oid schema) {
  for (int i = 0; i < constraints.num_check; i++)
    if (is_check(constraints.check[i], check, schema)) return true;
  return false;
}

// Has it exactly the three checks that the publishing functions make themselves?
bool has_stream_checks_only(Relation table, Oid schema) {
  const TupleConstr* constraints = RelationGetDescr(table)->constr;
  if (!constraints || constraints->num_check != lengthof(stream_checks)) return false;
  for (const StreamCheck& check : stream_checks)
    if (!has_check(*constraints, check, schema)) return false;
  return true;
}

// The stream that the default of txid names; empty if the default is not kanthorq_txid().
std::string_view stream_in_default(Relation table, Oid schema) {
  if (!TupleDescAttr(RelationGetDescr(table), txid_column - 1)->atthasdef) return {};
  Node* expression = build_column_default(table, txid_column);
  if (!expression || !IsA(expression, FuncExpr)) return {};
  FuncExpr* call = castNode(FuncExpr, expression);
  if (call->funcid != own_function(schema, "kanthorq_txid", TEXTOID)) return {};
  Node* argument = static_cast<Node*>(linitial(call->args));
  return is_text_constant(argument) ? constant_text(argument) : std::string_view{};
}

// Has it triggers of its owner for INSERT? What our own triggers do, a direct insertion does
// itself.
bool has_other_insert_triggers(Relation table, Oid schema) {
  const TriggerDesc* triggers = table->trigdesc;
  if (!triggers) return false;
  const Oid writer = own_function(schema, writer_function, InvalidOid);
  const Oid closed = own_function(schema, closed_function, InvalidOid);
  for (int i = 0; i < triggers->numtriggers; i++) {
    const Trigger& trigger = triggers->triggers[i];
    if (TRIGGER_FOR_INSERT(trigger.tgtype) && trigger.tgfoid != writer && trigger.tgfoid != closed)
      return true;
  }
  return false;
}

}  // namespace

Oid own_function(Oid schema, const char* name, Oid argument) {
  oidvector* arguments = buildoidvector(&argument, OidIsValid(argument) ? 1 : 0);
  return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
                         PointerGetDatum(arguments), ObjectIdGetDatum(schema));
}

bool is_partitioned_by_id(Relation table) {
  PartitionKey key = RelationGetPartitionKey(table);
  return key->strategy == PARTITION_STRATEGY_RANGE && key->partnatts == 1 &&
         key->partattrs[0] == id_column && key->partcollation[0] == C_COLLATION_OID &&
         key->partopfamily[0] == TEXT_BTREE_FAM_OID;
}

bool hands_out_in_order(Oid sequence) {
  HeapTuple row = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
  if (!HeapTupleIsValid(row)) return false;
  const auto* settings = reinterpret_cast<Form_pg_sequence>(GETSTRUCT(row));
  const bool in_order =
      settings->seqincrement == 1 && settings->seqcache == 1 && !settings->seqcycle;
  ReleaseSysCache(row);
  return in_order;
}

const char* stream_definition_difference(Relation table) {
  const char* difference = columns_difference(table);
  if (difference) return difference;
  if (table->rd_rel->relispartition) return "It is a partition.";
  if (!is_partitioned(table))
    difference = storage_difference(table);
  else if (!is_partitioned_by_id(table))
    difference = "It is not partitioned by ranges of \"id\".";
  if (difference) return difference;
  difference = modifiers_difference(RelationGetDescr(table));
  if (difference) return difference;
  if (!hands_out_in_order(identity_sequence(table, position_column)))
    return "The sequence of its column \"position\" must have increment 1, cache 1 and no cycle.";
  if (!has_valid_index(table, is_primary_key_on_id)) return "Its primary key is not \"id\".";
  if (is_partitioned(table)) {
    if (!OidIsValid(find_index_on(table, position_column)))
      return "Its column \"position\" has no index.";
  } else if (!is_unique(table, position_column)) {
    return "Its column \"position\" is not unique.";
  }
  return nullptr;
}

bool has_subject_index(Relation table) { return has_valid_index(table, is_on_subject_and_id); }

void raise_not_stream_table(Relation table, const char* difference) {
  ereport(
      ERROR,
      (errcode(ERRCODE_DUPLICATE_OBJECT),
       errmsg("table \"%s\" exists and is not the stream's", RelationGetRelationName(table)),
       errdetail("%s", difference),
       errhint(
           "Undo the change, rename or drop the table, or choose another name for the stream.")));
}

const char* stream_table_difference(Relation table, Oid schema, std::string_view name) {
  const char* difference = columns_difference(table);
  if (difference) return difference;
  const std::string_view other = stream_in_default(table, schema);
  if (other.empty() || other == name) return nullptr;
  return psprintf("It is the table of the stream \"%s\".", clipped(other));
}

bool has_stream_columns(Relation table) { return columns_difference(table) == nullptr; }

void require_stream_columns(Relation partition, Oid stream) {
  if (!has_stream_columns(partition)) raise_altered_partition(partition, stream);
}

void raise_altered_partition(Relation partition, Oid stream) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("cannot read the partition \"%s\" of table \"%s\": it was altered",
                         RelationGetRelationName(partition), get_rel_name(stream)),
                  errdetail("It must be an ordinary table, with the columns of a stream in their "
                            "order, and the indexes of the stream's table.")));
}

void require_stream_table(Relation table, Oid schema, std::string_view name) {
  const char* difference = stream_table_difference(table, schema, name);
  if (difference) raise_not_stream_table(table, difference);
}

bool is_table_of(Oid oid, Oid schema, std::string_view name) {
  Relation table = try_relation_open(oid, AccessShareLock);
  if (!table) return false;  // dropped meanwhile
  const bool is_its_table =
      columns_difference(table) == nullptr && stream_in_default(table, schema) == name;
  relation_close(table, AccessShareLock);
  return is_its_table;
}

static const Trigger* find_closed_trigger(Relation partition, Oid schema) {
  const TriggerDesc* triggers = partition->trigdesc;
  if (!triggers) return nullptr;
  const Oid closed = own_function(schema, closed_function, InvalidOid);
  for (int i = 0; i < triggers->numtriggers; i++)
    if (triggers->triggers[i].tgfoid == closed) return &triggers->triggers[i];
  return nullptr;
}

bool has_closed_trigger(Relation partition, Oid schema) {
  const Trigger* trigger = find_closed_trigger(partition, schema);
  return trigger && trigger->tgenabled == TRIGGER_FIRES_ALWAYS;
}

bool may_be_closed(Relation partition, Oid schema) {
  return find_closed_trigger(partition, schema) != nullptr;
}

bool is_plain_partition(Relation partition, Relation stream, Oid schema, std::string_view name) {
  return columns_difference(partition) == nullptr && storage_difference(partition) == nullptr &&
         lengths_difference(RelationGetDescr(partition)) == nullptr &&
         RelationGetDescr(partition)->natts == RelationGetDescr(stream)->natts &&
         partition->rd_rules == nullptr && has_stream_checks_only(partition, schema) &&
         !has_other_insert_triggers(partition, schema) &&
         OidIsValid(find_index_on(partition, id_column)) &&
         OidIsValid(find_index_on(partition, position_column)) &&
         stream_in_default(partition, schema) == name;
}

bool is_plain_stream_table(Relation table, Oid schema, std::string_view name) {
  return stream_definition_difference(table) == nullptr &&
         RelationGetDescr(table)->natts == stream_columns && table->rd_rules == nullptr &&
         !has_other_insert_triggers(table, schema) && has_stream_checks_only(table, schema) &&
         stream_in_default(table, schema) == name;
}

}  // namespace kanthorq
