// The definition of the table kanthorq_consumer_<name>.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

enum TaskColumn : AttrNumber {
  task_position_column = 1,
  task_event_id_column,
  task_subject_column,
  task_state_column,
  task_attempt_count_column,
  task_schedule_at_column,  // null unless the event is to be delivered
  task_attempted_at_column,
  task_error_column,
  task_finalized_at_column,
};
inline constexpr int task_columns = 9;

// Creates the table, owned by the caller. Raises 42710 if the name is taken.
void create_task_table(Oid schema, std::string_view consumer);

// How this table differs from a consumer's, as a sentence; null if it does not. Its rows are read
// and written by column number and without a query, so the owner's DDL must not have changed it.
const char* task_table_difference(Relation table);

// Raises 55000 if there is a difference. If there is none, there is none until this session takes
// the next lock or accepts invalidations in another way.
void require_task_table(Relation table);

}  // namespace kanthorq
