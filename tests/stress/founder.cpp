// A client that creates, uses and drops streams and consumers, and what must be true of them in the
// end: each is there as a whole, or nothing is left of it.
#include "oracle.hpp"

namespace stress {

namespace {

constexpr const char* as_answered = "streams are there or not, as was answered";
constexpr const char* whole = "nothing is left of a stream or consumer that is not there";

class Founder {
 public:
  explicit Founder(World& world)
      : world_(world), client_(world.conninfo), chance_(world.seed, 5000) {}

  void run() {
    while (!world_.is_over()) {
      number_ = chance_.between(0, static_cast<int>(world_.founded.size()) - 1);
      is_ = world_.founded[number_];
      attempt();
      pause_for(chance_.between(0, 60'000));
    }
  }

 private:
  Founded& answered() { return world_.founded[number_]; }
  std::string name() const { return founded_names[number_]; }

  void attempt() {
    alone_ = chance_.percent(60);
    bool may_commit = alone_;
    try {
      if (!alone_) client_.run("BEGIN");
      if (is_ != Founded::present || chance_.percent(10))
        create();
      else if (chance_.percent(40))
        drop();
      else
        use();
      if (alone_) return;
      const bool commit = chance_.percent(75);
      may_commit = commit;
      client_.run(commit ? "COMMIT" : "ROLLBACK");
      if (commit) answered() = is_;
    } catch (const SqlError& error) {
      if (!world_.tally.forgive(error))
        world_.tally.surprise(std::string("founder: ") + error.what());
      if (error.is_lost() && may_commit) answered() = Founded::unknown;
      client_.reset();
    }
  }

  void now_is(Founded is) {
    is_ = is;
    if (alone_) answered() = is;
  }

  void create() {
    client_.run("SELECT kanthorq_stream_create($1, partition_interval => $2)",
                {name(), chance_.percent(50) ? Parameter("1 day") : Parameter()});
    now_is(Founded::present);
    for (int i = chance_.between(0, 2); i > 0; i--) create_consumer(i);
  }

  void create_consumer(int number) {
    client_.run("SELECT kanthorq_consumer_create($1, $2)",
                {name() + std::to_string(number), name()});
  }

  void drop() {
    client_.run("SELECT kanthorq_stream_drop($1, $1)", {name()});
    now_is(Founded::absent);
  }

  void use() {
    client_.run("SELECT kanthorq_publish_text($1, 'a', i::text) FROM generate_series(1, 5) AS i(i)",
                {name()});
    create_consumer(1);
    client_.run(
        "SELECT kanthorq_nack($1, max(lease), retry_in => '0')"
        " FROM kanthorq_pull($1, 3) HAVING count(*) > 0",
        {name() + "1"});
    if (chance_.percent(30)) client_.run("SELECT kanthorq_consumer_drop($1, $1)", {name() + "1"});
  }

  World& world_;
  Client client_;
  Chance chance_;
  int number_ = 0;
  bool alone_ = true;
  Founded is_ = Founded::absent;
};

constexpr const char* leftovers =
    "SELECT 'table ' || relname FROM pg_class LEFT JOIN pg_inherits ON inhrelid = oid"
    " WHERE relkind IN ('r', 'p') AND relname ~ '^kanthorq_(stream|consumer)_'"
    " AND relname !~ '_registry$' AND coalesce(inhparent, oid) NOT IN"
    " (SELECT kanthorq_stream_table(name) FROM kanthorq_stream_registry"
    " UNION ALL SELECT kanthorq_consumer_table(name) FROM kanthorq_consumer_registry)"
    " UNION ALL SELECT 'partition ' || coalesce(partition, inhrelid::regclass)"
    " FROM kanthorq_partition FULL JOIN"
    " (pg_inherits JOIN kanthorq_stream_registry ON inhparent = kanthorq_stream_table(name))"
    " ON partition = inhrelid AND stream = inhparent"
    " WHERE partition IS NULL OR inhrelid IS NULL"
    " UNION ALL SELECT 'setting of ' || name FROM kanthorq_setting_of_stream"
    " WHERE name NOT IN (SELECT name FROM kanthorq_stream_registry)"
    " UNION ALL SELECT 'maintenance of ' || stream_name FROM kanthorq_maintenance"
    " WHERE stream_name NOT IN (SELECT name FROM kanthorq_stream_registry)"
    " UNION ALL SELECT 'lease of ' || consumer FROM kanthorq_delivery_lease"
    " WHERE consumer NOT IN (SELECT name FROM kanthorq_consumer_registry)"
    " UNION ALL SELECT 'consumer of ' || name FROM kanthorq_consumer_registry"
    " WHERE stream_name NOT IN (SELECT name FROM kanthorq_stream_registry)"
    " UNION ALL SELECT 'place of ' || coalesce(consumer, name) FROM kanthorq_delivery_state"
    " FULL JOIN kanthorq_consumer_registry ON name = consumer WHERE name IS NULL OR consumer IS "
    "NULL";

}  // namespace

void found(World& world) { Founder(world).run(); }

void check_founded(const World& world, Client& client, Report& report) {
  report.check(as_answered);
  report.check(whole);
  const auto report_leftovers = [&] {
    const Result left = client.run(leftovers);
    for (int i = 0; i < left.rows(); i++) report.fail(whole, left.text(i, 0));
  };
  report_leftovers();
  for (std::size_t i = 0; i < world.founded.size(); i++) {
    const Result dropped = client.run("SELECT kanthorq_stream_drop($1, $1)", {founded_names[i]});
    const bool was_there = dropped.text(0, 0) == std::string("t");
    if (world.founded[i] != Founded::unknown && was_there != (world.founded[i] == Founded::present))
      report.fail(as_answered, founded_names[i]);
  }
  report_leftovers();
}

}  // namespace stress
