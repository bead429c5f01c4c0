// The table kanthorq_consumer_<name>: its definition.
#pragma once

#include "pg.hpp"

namespace kanthorq {

// Creates the table, owned by the caller. Raises 42710 where the name is taken.
void create_task_table(Oid schema, std::string_view consumer);

void drop_task_table(Oid schema, std::string_view consumer);

// What tells this table from a consumer's, as a sentence; null where nothing does. Its rows are
// read and written by column number and without a query, so the owner's DDL must not have changed
// it.
const char* task_table_difference(Relation table);

// Raises 55000 where there is a difference. Where there is none, there is none until the next time
// that this session takes a lock, or looks for invalidations otherwise.
void require_task_table(Relation table);

// Deletes all tasks but the cancelled ones: those somebody decided about.
void forget_tasks(Relation table);

}  // namespace kanthorq
