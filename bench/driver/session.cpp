#include "session.hpp"

namespace bench {

std::int64_t epoch_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Options::Options(int count, char** words) {
  for (int i = 0; i < count; i++) {
    const std::string word = words[i];
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos)
      throw std::runtime_error("not of the form name=value: " + word);
    values_[word.substr(0, equals)] = word.substr(equals + 1);
  }
}

const std::string& Options::text(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) throw std::runtime_error("missing: " + name + "=");
  return found->second;
}

std::string Options::text(const std::string& name, const std::string& otherwise) const {
  return values_.contains(name) ? text(name) : otherwise;
}

long Options::number(const std::string& name, long otherwise) const {
  return values_.contains(name) ? number(name) : otherwise;
}

Session::Session() : connection_(PQconnectdb(""), PQfinish) {
  if (PQstatus(connection_.get()) != CONNECTION_OK)
    throw std::runtime_error(PQerrorMessage(connection_.get()));
}

Result Session::checked(PGresult* raw) {
  Result result(raw);
  const ExecStatusType status = PQresultStatus(raw);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN)
    return result;
  throw std::runtime_error(PQerrorMessage(connection_.get()));
}

void Session::prepare(const char* name, const std::string& sql) {
  checked(PQprepare(connection_.get(), name, sql.c_str(), 0, nullptr));
}

Result Session::execute(const char* name, const std::vector<std::string>& parameters) {
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  return checked(PQexecPrepared(connection_.get(), name, static_cast<int>(values.size()),
                                values.data(), nullptr, nullptr, 0));
}

std::vector<Result> Session::execute_at_once(const std::vector<Execution>& executions) {
  PGconn* connection = connection_.get();
  bool sent = PQenterPipelineMode(connection) == 1;
  for (const Execution& one : executions) {
    std::vector<const char*> values;
    for (const std::string& parameter : one.parameters) values.push_back(parameter.c_str());
    sent = sent && PQsendQueryPrepared(connection, one.name, static_cast<int>(values.size()),
                                       values.data(), nullptr, nullptr, 0) == 1;
  }
  if (!sent || PQpipelineSync(connection) != 1)
    throw std::runtime_error(PQerrorMessage(connection));
  std::vector<Result> answers;
  for (std::size_t i = 0; i < executions.size(); i++) {
    answers.push_back(checked(PQgetResult(connection)));
    PQclear(PQgetResult(connection));  // null: the end of this one's answer
  }
  PQclear(PQgetResult(connection));  // the end of the transaction
  if (PQexitPipelineMode(connection) != 1) throw std::runtime_error(PQerrorMessage(connection));
  return answers;
}

Result Session::execute_binary(const char* name, const Parameters& parameters) {
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const std::string& parameter : parameters) {
    values.push_back(parameter.data());
    lengths.push_back(static_cast<int>(parameter.size()));
  }
  const std::vector<int> formats(parameters.size(), 1);
  return checked(PQexecPrepared(connection_.get(), name, static_cast<int>(values.size()),
                                values.data(), lengths.data(), formats.data(), 0));
}

void Session::copy_in(const std::string& sql, const std::string& data) {
  constexpr std::size_t piece = 64 * 1024;
  run(sql);
  for (std::size_t at = 0; at < data.size(); at += piece)
    if (PQputCopyData(connection_.get(), data.data() + at,
                      static_cast<int>(std::min(piece, data.size() - at))) != 1)
      throw std::runtime_error(PQerrorMessage(connection_.get()));
  PQputCopyEnd(connection_.get(), nullptr);
  PGresult* first = PQgetResult(connection_.get());
  while (PGresult* more = PQgetResult(connection_.get())) PQclear(more);
  checked(first);
}

std::string literal(const std::string& text) {
  std::string quoted = "'";
  for (char c : text) {
    if (c == '\'') quoted += c;
    quoted += c;
  }
  return quoted + '\'';
}

std::string from_pull(const std::string& consumer, long size, const std::string& wait) {
  return " FROM kanthorq_pull(" + literal(consumer) + ", " + std::to_string(size) + ", " +
         literal(wait) + ")";
}

Worker::Worker(const std::string& consumer, long size, const std::string& wait, bool with_rows)
    : with_rows_(with_rows) {
  session_.prepare("pull",
                   std::string("SELECT ") +
                       (with_rows ? "lease, id, subject, body, metadata" : "count(*), max(lease)") +
                       from_pull(consumer, size, wait));
  session_.prepare("ack", "SELECT kanthorq_ack(" + literal(consumer) + ", $1)");
}

Batch Worker::ack_and_pull(const Batch& batch) {
  session_.run("BEGIN");
  ack(batch);
  const Batch next = pull();
  session_.run("COMMIT");
  return next;
}

Batch Worker::ack_and_pull_at_once(const Batch& batch) {
  std::vector<Result> answers = session_.execute_at_once({{"ack", {batch.lease}}, {"pull", {}}});
  return batch_of(answers.back());
}

Batch Worker::batch_of(const Result& result) const {
  if (!with_rows_) return {result.number(0, 0), result.text(0, 1)};
  if (result.rows() == 0) return {};
  return {result.rows(), result.text(0, 0)};
}

}  // namespace bench
