#include "world.hpp"

#include <cstdio>

namespace stress {

void Tally::surprise(const std::string& what) {
  const std::lock_guard lock(mutex);
  if (surprises.size() < 20) surprises.insert(what);
}

static bool is_moved(const SqlError& error) {
  return std::string_view(error.what()).find("partition constraint") != std::string_view::npos;
}

bool Tally::forgive(const SqlError& error, bool may_deadlock) {
  const std::lock_guard lock(mutex);
  if (error.is_lost()) {
    lost++;
    losses.push_back(now());
  } else if (error.state == "40P01" && may_deadlock)
    deadlocks++;
  else if (error.state == "40001")
    serialization_failures++;
  else if (error.state == "23514" && is_moved(error))
    moved++;
  else
    return false;
  return true;
}

World::World(std::string connection, std::uint64_t number, int publisher_count)
    : conninfo(std::move(connection)),
      seed(number),
      until(0),
      stream_names{"stressMain", "stressNoise"},
      partitioned(seed % 2 == 0 ? main_stream : noise_stream),
      inserters{"kanthorq_stress_insert_main", "kanthorq_stress_insert_noise"},
      effects("kanthorq_stress_effects"),
      publishers(publisher_count) {
  for (int i = 0; i < consumer_count; i++)
    consumer_names[i] = std::string("stress_") + plans[i].suffix;
}

void World::remember(const std::string& id) {
  const std::lock_guard lock(mutex);
  recent_ids.push_back(id);
  if (recent_ids.size() > 300) recent_ids.pop_front();
}

std::string World::recent(Chance& chance) {
  const std::lock_guard lock(mutex);
  return recent_ids.empty() ? chance.ulid() : chance.one_of(recent_ids);
}

namespace {

void clear_away(World& world, Client& client) {
  const Result left = client.run(
      "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'kanthorq_stress_%'"
      " AND database = current_database()");
  for (int i = 0; i < left.rows(); i++)
    client.run(std::string("ROLLBACK PREPARED '") + left.text(i, 0) + "'");
  for (const std::string& name : world.stream_names)
    client.run("SELECT kanthorq_stream_drop($1, $1)", {name});
  for (const char* name : founded_names) client.run("SELECT kanthorq_stream_drop($1, $1)", {name});
  client.run("DROP TABLE IF EXISTS " + world.effects);
  for (const std::string& name : world.inserters) client.run("DROP FUNCTION IF EXISTS " + name);
}

void create_consumer(World& world, Client& client, int number) {
  const ConsumerPlan& plan = plans[number];
  const bool selects = number == filtered;
  client.run(
      "SELECT kanthorq_consumer_create($1, $2, includes => $3, excludes => $4,"
      " attempt_max => $5, visibility_timeout => '2 seconds', ordered => $6)",
      {world.consumer_names[number], world.stream_names[plan.stream],
       selects ? filtered_includes : "{>}", selects ? filtered_excludes : "{}",
       std::to_string(plan.attempt_max), number == in_order ? "true" : "false"});
}

// The partition of now is the first one.
void find_partition(World& world, Client& client) {
  const Result found = client.run(
      "SELECT min(partition::text), pg_get_serial_sequence($1, 'position')"
      " FROM kanthorq_partition WHERE stream = $1::regclass AND partition::text !~ '__default'",
      {world.tables[world.partitioned]});
  world.partition = found.text(0, 0);
  world.positions = found.text(0, 1);
}

}  // namespace

void set_up(World& world) {
  Client client(world.conninfo);
  client.run("CREATE EXTENSION IF NOT EXISTS kanthorq");
  clear_away(world, client);
  for (int i = 0; i < stream_count; i++) {
    client.run("SELECT kanthorq_stream_create($1, subject_index => $2, partition_interval => $3)",
               {world.stream_names[i], i == main_stream ? "true" : "false",
                i == world.partitioned ? Parameter("1 hour") : Parameter()});
    world.tables[i] =
        client.run("SELECT kanthorq_stream_table($1)", {world.stream_names[i]}).text(0, 0);
    // A function in SQL would lock the table when the query is planned: for the transaction.
    client.run("CREATE FUNCTION " + world.inserters[i] +
               "(subjects text[], bodies bytea[], metadata jsonb[], ids text[]) RETURNS void"
               " LANGUAGE plpgsql AS $$ BEGIN INSERT INTO " +
               world.tables[i] +
               " (id, subject, body, metadata)"
               " SELECT * FROM unnest($4, $1, $2, $3); END $$");
  }
  find_partition(world, client);
  for (int i = 0; i < consumer_count; i++) create_consumer(world, client, i);
  client.run("CREATE TABLE " + world.effects + " (consumer int NOT NULL, id text NOT NULL)");
}

std::string body_of(int publisher, int transaction, int event, std::string_view rest) {
  return std::to_string(publisher) + '/' + std::to_string(transaction) + '/' +
         std::to_string(event) + '/' + std::string(rest);
}

bool parse_body(const std::string& body, int& publisher, int& event) {
  return std::sscanf(body.c_str(), "%d/%*d/%d/", &publisher, &event) == 2;
}

}  // namespace stress
