// A connection to the server that the environment names, the time, and the options of a command.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::int64_t epoch_ms();

// Options are words of the form name=value.
class Options {
 public:
  Options(int count, char** words);
  // Throws if there is no such option.
  const std::string& text(const std::string& name) const;
  std::string text(const std::string& name, const std::string& otherwise) const;
  long number(const std::string& name) const { return std::stol(text(name)); }
  long number(const std::string& name, long otherwise) const;

 private:
  std::map<std::string, std::string> values_;
};

class Result {
 public:
  explicit Result(PGresult* result) : result_(result, PQclear) {}
  int rows() const { return PQntuples(result_.get()); }
  const char* text(int row, int column) const { return PQgetvalue(result_.get(), row, column); }
  std::int64_t number(int row, int column) const { return std::stoll(text(row, column)); }

 private:
  std::unique_ptr<PGresult, void (*)(PGresult*)> result_;
};

// Binary parameters.
using Parameters = std::vector<std::string>;

// A prepared statement with its parameters.
struct Execution {
  const char* name;
  std::vector<std::string> parameters;
};

// If the server refuses something, the function throws what it says.
class Session {
 public:
  Session();
  Result run(const std::string& sql) { return checked(PQexec(connection_.get(), sql.c_str())); }
  void prepare(const char* name, const std::string& sql);
  Result execute(const char* name, const std::vector<std::string>& parameters = {});
  Result execute_binary(const char* name, const Parameters& parameters);
  // In one transaction and one round trip.
  std::vector<Result> execute_at_once(const std::vector<Execution>& executions);
  void copy_in(const std::string& sql, const std::string& data);
  PGconn* connection() const { return connection_.get(); }

 private:
  Result checked(PGresult* result);
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

// What a pull found, counted in the server unless the rows are wanted.
struct Batch {
  long events = 0;
  std::string lease;
};

// What a pull selects from.
std::string from_pull(const std::string& consumer, long size, const std::string& wait);

// A worker: pulls and acknowledges, one transaction each, or both in one.
class Worker {
 public:
  Worker(const std::string& consumer, long size, const std::string& wait, bool with_rows = false);
  Batch pull() { return batch_of(session_.execute("pull")); }
  // The ack and the next pull in one transaction: BEGIN, a statement each, COMMIT.
  Batch ack_and_pull(const Batch& batch);
  // The same in one round trip.
  Batch ack_and_pull_at_once(const Batch& batch);
  void ack(const Batch& batch) { session_.execute("ack", {batch.lease}); }
  Session& session() { return session_; }

 private:
  Batch batch_of(const Result& result) const;
  bool with_rows_;
  Session session_;
};

// A string as a literal of SQL.
std::string literal(const std::string& text);

}  // namespace bench
