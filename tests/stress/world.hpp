// What is tried, and what the clients write down of it while they try it.
//
// Each client appends to a log of its own, so none waits for another; the oracle reads the logs
// when all clients have ended. A time called `sent` was taken before the statement went out, one
// called `done` after its answer (of COMMIT, for a statement in a transaction) had come in.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "client.hpp"

namespace stress {

struct Subject {
  const char* text;
  bool filtered;  // does the filtered consumer want it
};
inline constexpr Subject subjects[] = {
    {"order.created", true},          {"order.paid", true},      {"order.noise", false},
    {"order.eu.created", true},       {"order.eu.noise", false}, {"user.eu.login", true},
    {"user.us.login", false},         {"user.login", false},     {"user.eu.login.again", false},
    {"-1002.subscription.new", false}};
inline constexpr const char* filtered_includes = "{order.>,*.eu.*}";
inline constexpr const char* filtered_excludes = "{order.noise,order.*.noise}";

enum Stream { main_stream, noise_stream, stream_count };
enum ConsumerNumber { everything, filtered, in_order, noise, consumer_count };

struct ConsumerPlan {
  const char* suffix;
  Stream stream;
  int attempt_max;
  int workers;
};
inline constexpr ConsumerPlan plans[consumer_count] = {{"all", main_stream, 60, 4},
                                                       {"filtered", main_stream, 3, 3},
                                                       {"ordered", main_stream, 60, 3},
                                                       {"noise", noise_stream, 5, 1}};

enum class Outcome { open, committed, failed, unknown };

struct Transaction {
  std::atomic<Outcome> outcome = Outcome::open;
  Micros commit_sent = 0;
  Micros done = 0;
};

struct Event {
  Stream stream;
  int transaction;
  bool kept;  // false where its statement or savepoint was rolled back
  Micros sent;
  std::string id;
  int subject;
  std::string body;  // begins with the publisher, the transaction, and the event in the log
  std::string metadata;
  std::optional<std::int64_t> created_at;
};

struct PublisherLog {
  std::deque<Transaction> transactions;
  std::deque<Event> events;
};

struct Delivered {
  int attempt;
  std::int64_t position;
  std::string id, subject, body, metadata;
  std::int64_t created_at;
};

// A transaction that a worker rolled back is written down too. If the answer to a COMMIT, or to
// a statement alone, was lost with the connection, `lost` is a number that all that the transaction
// did has in common, and that no other has; else it is 0.
struct Pull {
  std::int64_t lease;
  Micros sent, seen, done;
  int visibility_ms;
  bool committed;
  std::vector<Delivered> events;  // none where the answer was lost
  int lost = 0;
  bool waited = true;             // its transaction did more, so its commit waited for the disk
  bool may_be_forgotten = false;  // it did not wait, and a crash came: `lost` has a number then
};

enum class Action { ack, nack, extend };
enum class Answer { settled, refused, undone, unknown };

struct Settlement {
  Action action;
  int pull;                 // in the log of the same worker
  std::vector<int> events;  // those of the pull that it named and that were not settled before
  std::int64_t count;       // how many there were, said the server; -1 where it said none
  Micros sent, done;
  std::int64_t delay_ms;  // of a nack: until the retry, at least; of an extend: until the deadline
  Answer answer;
  bool with_effect;
  int lost = 0;

  bool has_written() const {
    return answer == Answer::settled && (action == Action::extend || count > 0);
  }
};

struct Change {
  bool cancel;                       // else resume
  std::vector<std::string> changed;  // or tried, where the answer was lost
  Micros sent, done;
  int lost = 0;
};

struct WorkerLog {
  int consumer;
  std::deque<Pull> pulls;
  std::deque<Settlement> settlements;
  std::deque<Change> changes;
  std::int64_t empty_pulls = 0;
};

// Streams that come and go, and whether they were there last, by what was answered.
inline constexpr const char* founded_names[] = {"stressComing", "stressGoing"};
enum class Founded { absent, present, unknown };

struct Prepared {
  std::string gid;
  Transaction* transaction;
  Micros due;
  bool is_sure;                // else the answer to PREPARE TRANSACTION was lost
  std::optional<bool> commit;  // was tried, and the answer was lost; else rollback was
};

// Counts of what happened, for the summary, and errors that nobody expected.
struct Tally {
  std::mutex mutex;
  std::set<std::string> surprises;
  std::vector<Micros> losses;  // when a client saw that its connection was lost
  int deadlocks = 0, serialization_failures = 0, prepared = 0, lost = 0, failed_fetches = 0;
  int closed = 0, reopened = 0, moved = 0;

  void surprise(const std::string& what);
  // An error that there may be: a serialization failure, a lost connection, and among workers a
  // deadlock. An INSERT or COPY may have waited while the partition of its events was made, and
  // then fails. False if it is none of them.
  bool forgive(const SqlError& error, bool may_deadlock = false);
};

struct World {
  std::string conninfo;
  std::uint64_t seed;
  std::atomic<Micros> until;

  std::array<std::string, stream_count> stream_names;
  std::array<std::string, stream_count> tables;
  Stream partitioned;                // the one of the two that is
  std::string partition, positions;  // a partition of it, and the sequence of its positions
  std::array<std::string, consumer_count> consumer_names;
  std::array<std::string, stream_count> inserters;  // functions that INSERT, see set_up()
  std::string effects;

  std::vector<PublisherLog> publishers;
  std::deque<WorkerLog> workers;
  std::array<Founded, std::size(founded_names)> founded{};
  Tally tally;
  std::atomic<int> lost = 0;  // numbers given to lost answers

  std::mutex mutex;  // of what follows
  std::deque<Prepared> prepared;
  std::deque<std::string> recent_ids;
  std::array<std::deque<std::string>, consumer_count> cancelled_ids;

  World(std::string connection, std::uint64_t seed, int publishers);
  bool is_over() const { return now() >= until; }
  void remember(const std::string& id);
  std::string recent(Chance& chance);
};

inline bool wants(int consumer, const Event& event) {
  return event.stream == plans[consumer].stream &&
         (consumer != filtered || subjects[event.subject].filtered);
}

void set_up(World& world);
void publish(World& world, int publisher);
void resolve_prepared(World& world, Client& client, Chance& chance, bool all);
void work(World& world, WorkerLog& log, int worker);
// Creates and drops streams and consumers of its own.
void found(World& world);
// Makes and closes partitions.
void maintain(World& world);
// Gives numbers to the pulls that a crash may have forgotten, as if their answers had been lost.
void find_forgotten(World& world);
// Consumes what is left. False if a consumer does not come to an end.
bool drain(World& world, WorkerLog& log, int worker);

// The name of the file's place in the log, as the body of each event has it.
std::string body_of(int publisher, int transaction, int event, std::string_view rest);
bool parse_body(const std::string& body, int& publisher, int& event);

}  // namespace stress
