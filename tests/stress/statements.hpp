// The ways to publish. Each writes its events down in the publisher's log, then sends them.
#pragma once

#include "world.hpp"

namespace stress {

class Statements {
 public:
  Statements(World& world, int number);

 protected:
  // Publishes by one statement, which is good alone as well as in a transaction.
  void statement();
  // Only in a transaction: publishes by the FETCHes of a cursor, the last of which fails.
  void publish_by_cursor();
  // Only in a savepoint that is rolled back: the statement fails.
  void fail_on_duplicate();
  // Safe to repeat: no second event comes of it.
  void publish_again();

  // Writes down that these events, by their place in the log, were rolled back.
  void take_back(std::size_t first, std::size_t end);
  void linger();

  World& world_;
  const int number_;
  PublisherLog& log_;
  Client client_;
  Chance chance_;

 private:
  // Events as arrays, which are what kanthorq_publish_many() takes.
  struct Batch {
    std::vector<std::string> subjects, bodies, metadata, ids;
  };

  // A table that SQL may read as "e", with the events of one call in each row, and that call. It
  // fails in one of the rows after it has published.
  struct Calls {
    std::string table, call;
    std::vector<std::size_t> first;  // event of each row, and the end
  };

  Stream any_stream();
  std::string any_id();
  Event& new_event(Stream stream, bool with_id);
  Batch new_batch(Stream stream, int size, bool with_ids);
  Calls new_calls(int rows, int failing);
  void publish_one(Stream stream);
  void publish_many(Stream stream, int size, bool with_duplicate = false);
  void insert(Stream stream, int size);
  void copy(Stream stream, int size);
  void insert_into_partition();
  void publish_in_loop();
  void fetch(const std::string& cursor, int rows, bool fails, std::size_t first, std::size_t end);
};

}  // namespace stress
