// Publishing by queries that call a function for each row, and fail in one of them: cursors, and
// loops in PL/pgSQL. What the failing call published never is; what others published stays.
#include <algorithm>

#include "statements.hpp"

namespace stress {

Statements::Calls Statements::new_calls(int rows, int failing) {
  const Stream stream = any_stream();
  const std::string name = "'" + world_.stream_names[stream] + "'";
  const std::string ways[] = {
      "kanthorq_publish(" + name + ", e.subjects[1], e.bodies[1], e.metadata[1], e.ids[1])",
      "kanthorq_publish_many(" + name + ", e.subjects, e.bodies, e.metadata, e.ids)",
      world_.inserters[stream] + "(e.subjects, e.bodies, e.metadata, e.ids)"};
  const std::string& way = chance_.one_of(ways);
  std::string values;
  std::vector<std::size_t> first = {log_.events.size()};
  for (int row = 0; row < rows; row++) {
    const Batch batch = new_batch(stream, &way == ways ? 1 : chance_.between(1, 3), true);
    first.push_back(log_.events.size());
    values += std::string(row ? ", (" : "(") + (row == failing ? "0, '" : "1, '") +
              text_array(batch.subjects) + "'::text[], '" + text_array(batch.bodies) +
              "'::bytea[], '" + text_array(batch.metadata) + "'::jsonb[], '" +
              text_array(batch.ids) + "'::text[])";
  }
  return {"(VALUES " + values + ") AS e (one, subjects, bodies, metadata, ids)",
          way + ", 1 / e.one", first};
}

void Statements::publish_by_cursor() {
  const int rows = chance_.between(2, 4);
  const Calls calls = new_calls(rows, rows - 1);
  const std::string cursor = "k" + std::to_string(calls.first[0]);
  client_.run("DECLARE " + cursor + " CURSOR FOR SELECT " + calls.call + " FROM " + calls.table);
  for (int row = 0; row < rows;) {
    const int until = std::min(row + chance_.between(1, 2), rows);
    fetch(cursor, until - row, until == rows, calls.first[row], calls.first[until]);
    row = until;
    linger();
  }
  if (chance_.percent(50)) client_.run("CLOSE " + cursor);
}

void Statements::fetch(const std::string& cursor, int rows, bool fails, std::size_t first,
                       std::size_t end) {
  const bool undo = fails || chance_.percent(15);
  const bool in_savepoint = undo || chance_.percent(30);
  if (in_savepoint) client_.run("SAVEPOINT b");
  try {
    client_.run("FETCH " + std::to_string(rows) + " FROM " + cursor);
    if (fails) world_.tally.surprise("a FETCH did not fail");
  } catch (const SqlError& error) {
    if (!fails || error.state != "22012") throw;
    const std::lock_guard lock(world_.tally.mutex);
    world_.tally.failed_fetches++;
  }
  if (undo) {
    take_back(first, end);
    client_.run("ROLLBACK TO b");
  }
  if (in_savepoint) client_.run("RELEASE b");
}

void Statements::publish_in_loop() {
  const int rows = chance_.between(2, 4);
  const bool by_cursor = chance_.percent(50);
  const int failing = by_cursor ? rows - 1 : chance_.between(0, rows - 1);
  const Calls calls = new_calls(rows, failing);
  take_back(calls.first[failing], calls.first[failing + 1]);
  if (by_cursor)  // which can't be read further after an error
    client_.run("DO $do$ DECLARE k refcursor; answer record; BEGIN OPEN k FOR SELECT " +
                calls.call + " FROM " + calls.table +
                "; LOOP BEGIN FETCH k INTO answer; EXIT WHEN NOT FOUND;"
                " EXCEPTION WHEN division_by_zero THEN EXIT; END; END LOOP; END $do$");
  else
    client_.run("DO $do$ DECLARE e record; BEGIN FOR e IN SELECT * FROM " + calls.table +
                " LOOP BEGIN PERFORM " + calls.call +
                "; EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $do$");
}

}  // namespace stress
