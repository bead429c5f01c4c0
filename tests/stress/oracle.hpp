// What must be true of the logs of all clients and of the tables in the end.
#pragma once

#include <map>
#include <unordered_map>

#include "story.hpp"
#include "world.hpp"

namespace stress {

class Report {
 public:
  void check(const std::string& name) { failures_[name]; }
  void fail(const std::string& name, const std::string& detail);
  // Prints TAP, a test for each check; true if all are well.
  bool print() const;

 private:
  struct Failures {
    std::size_t count = 0;
    std::vector<std::string> first;
  };
  std::map<std::string, Failures> failures_;
};

// All events that were tried, numbered through.
struct Register {
  struct Entry {
    const Event* event;
    const Transaction* transaction;
    std::string id;  // where no answer told it, the table does
    bool committed = false;
    std::int64_t position = 0;  // 0 where the table has no such event
    std::int64_t created_at = 0;
  };
  std::vector<Entry> events;
  std::vector<int> first_of;  // by publisher
  std::unordered_map<std::string, int> by_id;

  int find(const std::string& body) const;  // -1: nobody tried that
};

Register read_tables(const World& world, Client& client, Report& report);

// Of one consumer, each event's story by its number.
using Stories = std::vector<std::vector<Step>>;
Stories collect_stories(const World& world, const Register& events, int consumer, Report& report);
// The pulls of which only the sending is known.
std::vector<Step> unseen_pulls(const World& world, int consumer);

// What the view and the tables say of a consumer while nobody is at work.
struct Counts {
  std::int64_t lag, running, retryable, discarded, cancelled, open_leases, late;
  std::map<std::string, std::int64_t> rows;  // by state
};
Counts count(const World& world, Client& client, int consumer);

void check_counts(const World& world, const Register& events, const Stories& stories, int consumer,
                  const Counts& counts, Report& report);
void check_stories(const World& world, Client& client, const Register& events,
                   const Stories& stories, int consumer, Report& report);
void check_order(const World& world, const Register& events, const Stories& stories, int consumer,
                 Report& report);
void check_answers(const World& world, const Register& events, const Stories& stories, int consumer,
                   Report& report);
void check_effects(const World& world, Client& client, Report& report);
void check_founded(const World& world, Client& client, Report& report);

std::string name_in_log(const Register& events, int number);

}  // namespace stress
