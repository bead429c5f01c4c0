// A client that calls maintenance all the time, and closes partitions in which events are published
// just then.
#include <map>

#include "world.hpp"

namespace stress {

namespace {

class Maintainer {
 public:
  explicit Maintainer(World& world)
      : world_(world), client_(world.conninfo), chance_(world.seed, 6000) {}

  void run() {
    while (!world_.is_over()) {
      attempt([&] { look(); });
      if (chance_.percent(50)) attempt([&] { close_one(); });
      attempt([&] { look(); });
      attempt([&] { client_.run("CALL kanthorq_maintain()"); });
      attempt([&] { look(); });
      attempt([&] { find_errors(); });
      pause_for(chance_.between(0, 200'000));
    }
  }

 private:
  enum class State { open, closed, reopened };

  template <typename Body>
  void attempt(Body body) {
    try {
      body();
    } catch (const SqlError& error) {
      const bool has_no_lock = error.state == "55P03";
      if (!has_no_lock && !world_.tally.forgive(error))
        world_.tally.surprise(std::string("maintainer: ") + error.what());
      client_.reset();
    }
  }

  // Counts what has changed since the last look. Only this client closes partitions.
  void look() {
    const Result rows = client_.run(
        "SELECT partition, bool_or(last_position < 9223372036854775807),"
        " bool_or(last_position = 9223372036854775807)"
        " FROM kanthorq_partition WHERE stream = kanthorq_stream_table($1) GROUP BY partition",
        {world_.stream_names[world_.partitioned]});
    const std::lock_guard lock(world_.tally.mutex);
    for (int i = 0; i < rows.rows(); i++) {
      const bool has_range = rows.text(i, 1) == std::string("t");
      const bool is_open = rows.text(i, 2) == std::string("t");
      const State is = !has_range ? State::open : is_open ? State::reopened : State::closed;
      State& was = states_.try_emplace(rows.text(i, 0), State::open).first->second;
      if (is == State::closed && was != State::closed) world_.tally.closed++;
      if (is == State::reopened && was == State::closed) world_.tally.reopened++;
      was = is;
    }
  }

  void close_one() {
    if (states_.empty()) return;
    auto chosen = states_.begin();
    std::advance(chosen, chance_.between(0, static_cast<int>(states_.size()) - 1));
    if (chosen->first.find("__default") != std::string::npos) return;
    client_.run("BEGIN");
    client_.run("SET LOCAL lock_timeout = '300ms'");
    client_.run("SELECT kanthorq_partition_close($1, $2::text::regclass)",
                {world_.stream_names[world_.partitioned], chosen->first});
    if (chance_.percent(20)) pause_for(chance_.between(0, 100'000));
    client_.run(chance_.percent(85) ? "COMMIT" : "ROLLBACK");
  }

  // An error of a step is a row. A lock that was not to be had is none.
  void find_errors() {
    const Result rows = client_.run(
        "SELECT stream_name || ', ' || step || ': ' || error FROM kanthorq_maintenance"
        " WHERE error IS NOT NULL AND error !~ 'lock timeout'");
    for (int i = 0; i < rows.rows(); i++)
      world_.tally.surprise(std::string("maintenance: ") + rows.text(i, 0));
  }

  World& world_;
  Client client_;
  Chance chance_;
  std::map<std::string, State> states_;
};

}  // namespace

void maintain(World& world) { Maintainer(world).run(); }

}  // namespace stress
