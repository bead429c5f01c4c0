// A worker session: the statements of one, each written down.
#pragma once

#include "world.hpp"

namespace stress {

// A lease that this worker was given.
struct Held {
  int pull = -1;           // in the log
  std::vector<bool> left;  // of its events: not settled by us so far
  bool any() const;
};

class Worker {
 public:
  Worker(World& world, WorkerLog& log, int number);
  void run();
  bool drain();

 private:
  // The patterns of work (worker.cpp).
  void pull_then_settle();
  void pull_and_settle_at_once();
  void settle_and_pull_on(Held& held);
  void settle_somehow(Held& held);
  void settle_late();
  void cancel_some();
  void resume_some();
  void linger();

  // The statements (settling.cpp).
  Held pull(int size, int visibility_ms, int wait_ms);
  void settle(Action action, Held& held, const std::vector<int>* chosen, int delay_ms,
              bool with_effect = false);
  void ack_with_effect(Held& held);
  std::vector<int> some_of(const Held& held, int share);
  std::string ids_of(const Held& held, const std::vector<int>& chosen, bool with_strangers);
  std::vector<std::string> change(const char* function, const std::vector<std::string>& ids);
  std::string answer_of(const char* function);
  const Pull& pull_of(const Held& held) const { return log_.pulls[held.pull]; }

  // Runs the body alone, each statement its own transaction, or in one transaction that is then
  // committed or rolled back, and notes in the log what became of it. False if nothing did.
  template <typename Body>
  bool attempt(Body body);
  template <typename Body>
  bool in_transaction(Body body);
  void close_log(std::size_t pulls, std::size_t settlements, bool committed);
  void forgive(const SqlError& error);
  bool may_commit_ = false;  // the statement that runs, if it is the last one of its transaction
  int lost_ = 0;             // the number of the last attempt, where its outcome is unknown

  World& world_;
  WorkerLog& log_;
  const int consumer_;
  const std::string& name_;
  Client client_;
  Chance chance_;
  std::deque<Held> aside_;
};

struct GaveUp {};  // the worker rolls back

template <typename Body>
bool Worker::attempt(Body body) {
  const std::size_t pulls = log_.pulls.size();
  const std::size_t settlements = log_.settlements.size();
  bool committed = false;
  may_commit_ = true;
  lost_ = 0;
  try {
    body();
    committed = true;
  } catch (const SqlError& error) {
    if (error.is_lost() && may_commit_) lost_ = ++world_.lost;
    forgive(error);
    client_.reset();
  } catch (const GaveUp&) {
    client_.reset();
  }
  close_log(pulls, settlements, committed);
  return committed;
}

template <typename Body>
bool Worker::in_transaction(Body body) {
  static const char* const levels[] = {"READ COMMITTED", "READ COMMITTED", "REPEATABLE READ",
                                       "SERIALIZABLE"};
  return attempt([&] {
    may_commit_ = false;
    client_.run(std::string("BEGIN ISOLATION LEVEL ") + chance_.one_of(levels));
    body();
    if (chance_.percent(20)) throw GaveUp();
    may_commit_ = true;
    client_.run("COMMIT");
  });
}

}  // namespace stress
