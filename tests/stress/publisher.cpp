// A publisher session: transactions of every shape, with all ways to publish (statements.hpp).
#include <algorithm>

#include "statements.hpp"

namespace stress {

namespace {

class Publisher : Statements {
 public:
  using Statements::Statements;

  void run() {
    while (!world_.is_over()) {
      log_.transactions.emplace_back();
      if (chance_.percent(35))
        publish_alone();
      else
        publish_in_transaction();
      if (chance_.percent(30)) resolve_prepared(world_, client_, chance_, false);
      linger();
    }
  }

 private:
  Transaction& transaction() { return log_.transactions.back(); }

  void fail(const SqlError& error) {
    if (!world_.tally.forgive(error))
      world_.tally.surprise(std::string("publisher: ") + error.what());
    const bool is_known = !error.is_lost() || transaction().commit_sent == 0;
    transaction().done = now();
    client_.reset();
    transaction().outcome = is_known ? Outcome::failed : Outcome::unknown;
  }

  void publish_alone() {
    transaction().commit_sent = now();
    try {
      statement();
      transaction().outcome = Outcome::committed;
    } catch (const SqlError& error) {
      fail(error);
    }
    transaction().done = now();
  }

  void publish_in_transaction() {
    static const char* const levels[] = {"READ COMMITTED", "READ COMMITTED", "REPEATABLE READ",
                                         "SERIALIZABLE"};
    try {
      client_.run(std::string("BEGIN ISOLATION LEVEL ") + chance_.one_of(levels));
      for (int left = chance_.between(1, 4); left > 0; left--) {
        if (chance_.percent(30))
          publish_in_savepoint();
        else
          publish_somehow();
        linger();
      }
      if (chance_.percent(3)) publish_again();
      end_transaction();
    } catch (const SqlError& error) {
      fail(error);
    }
  }

  void publish_in_savepoint() {
    const std::size_t first = log_.events.size();
    client_.run("SAVEPOINT a");
    publish_somehow();
    if (chance_.percent(20)) publish_in_savepoint();
    linger();
    bool undo = chance_.percent(40);
    if (chance_.percent(15)) {
      fail_on_duplicate();
      undo = true;
    }
    client_.run(undo ? "ROLLBACK TO a" : "RELEASE a");
    if (undo) {
      take_back(first, log_.events.size());
      client_.run("RELEASE a");
    }
  }

  void publish_somehow() {
    if (chance_.percent(15))
      publish_by_cursor();
    else
      statement();
  }

  void end_transaction() {
    if (chance_.percent(15)) {
      client_.run("ROLLBACK");
      transaction().outcome = Outcome::failed;
    } else if (chance_.percent(18)) {
      prepare();
    } else {
      transaction().commit_sent = now();
      client_.run("COMMIT");
      transaction().done = now();
      transaction().outcome = Outcome::committed;
    }
  }

  void prepare() {
    const std::string gid = "kanthorq_stress_" + std::to_string(number_) + "_" +
                            std::to_string(log_.transactions.size());
    bool is_sure = true;
    try {
      client_.run("PREPARE TRANSACTION '" + gid + "'");
    } catch (const SqlError& error) {
      if (!error.is_lost()) throw;
      world_.tally.forgive(error);
      client_.reset();
      is_sure = false;
    }
    const Micros due = now() + chance_.between(500, 400'000);
    const std::lock_guard lock(world_.mutex);
    world_.prepared.push_back({gid, &transaction(), due, is_sure, {}});
  }
};

}  // namespace

void publish(World& world, int publisher) { Publisher(world, publisher).run(); }

namespace {

// What became of a prepared transaction that is not there to be ended.
Outcome outcome_of_missing(World& world, const Prepared& prepared, bool was_tried) {
  if (prepared.is_sure && !was_tried) world.tally.surprise(prepared.gid + " has vanished");
  if (!*prepared.commit || !was_tried) return Outcome::failed;
  return prepared.is_sure ? Outcome::committed : Outcome::unknown;
}

// False if the answer was lost.
bool resolve(World& world, Client& client, Prepared& prepared, bool was_tried) {
  Transaction& transaction = *prepared.transaction;
  Outcome outcome = *prepared.commit ? Outcome::committed : Outcome::failed;
  if (!was_tried) transaction.commit_sent = now();
  try {
    client.run((*prepared.commit ? "COMMIT PREPARED '" : "ROLLBACK PREPARED '") + prepared.gid +
               "'");
  } catch (const SqlError& error) {
    client.reset();
    if (error.is_lost()) return !world.tally.forgive(error);
    if (error.state != "42704") throw;
    outcome = outcome_of_missing(world, prepared, was_tried);
  }
  transaction.done = now();
  transaction.outcome = outcome;
  return true;
}

}  // namespace

// Ends prepared transactions whose time has come, or all, one way or the other.
void resolve_prepared(World& world, Client& client, Chance& chance, bool all) {
  for (;;) {
    Prepared next;
    {
      const std::lock_guard lock(world.mutex);
      const auto due = [&](const Prepared& prepared) { return all || prepared.due <= now(); };
      const auto found = std::find_if(world.prepared.begin(), world.prepared.end(), due);
      if (found == world.prepared.end()) return;
      next = *found;
      world.prepared.erase(found);
    }
    const bool was_tried = next.commit.has_value();
    if (!was_tried) next.commit = chance.percent(70);
    if (resolve(world, client, next, was_tried)) {
      const std::lock_guard lock(world.tally.mutex);
      world.tally.prepared++;
    } else {
      const std::lock_guard lock(world.mutex);
      world.prepared.push_back(next);
    }
  }
}

}  // namespace stress
