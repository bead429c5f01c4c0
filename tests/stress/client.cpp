#include "client.hpp"

#include <chrono>
#include <thread>

namespace stress {

Micros now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void pause_for(Micros time) { std::this_thread::sleep_for(std::chrono::microseconds(time)); }

std::string Chance::ulid(Micros at) {
  static constexpr char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::string ulid(26, '0');
  std::uint64_t time = static_cast<std::uint64_t>(to_ms(at));
  for (int i = 9; i >= 0; i--, time >>= 5) ulid[i] = digits[time & 31];
  for (int i = 10; i < 26; i++) ulid[i] = digits[engine_() >> 59];
  return ulid;
}

std::string Chance::uuidv7() {
  std::string uuid = "00000000-0000-7000-8000-000000000000";
  const std::uint64_t time = static_cast<std::uint64_t>(to_ms(now()));
  constexpr std::size_t version = 14, variant = 19;
  int digits_of_time = 12;
  for (std::size_t i = 0; i < uuid.size(); i++) {
    if (uuid[i] == '-' || i == version || i == variant) continue;
    const bool in_time = digits_of_time-- > 0;
    uuid[i] = "0123456789abcdef"[in_time ? time >> (4 * digits_of_time) & 15 : engine_() >> 60];
  }
  return uuid;
}

std::string Result::bytes(int row, int column) const {
  std::size_t size = 0;
  std::unique_ptr<unsigned char, void (*)(void*)> raw(
      PQunescapeBytea(reinterpret_cast<const unsigned char*>(text(row, column)), &size), PQfreemem);
  return {reinterpret_cast<char*>(raw.get()), size};
}

Client::Client(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str()), PQfinish) {
  // The crash suite may stop the server before all clients have come.
  if (PQstatus(connection_.get()) != CONNECTION_OK) connect_again();
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
}

Result Client::checked(PGresult* raw) {
  Result result(raw);
  const ExecStatusType status = PQresultStatus(raw);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN)
    return result;
  const char* state = PQresultErrorField(raw, PG_DIAG_SQLSTATE);
  const bool lost = !state || PQstatus(connection_.get()) == CONNECTION_BAD;
  throw SqlError(lost ? "08006" : state, PQerrorMessage(connection_.get()));
}

Result Client::run(const std::string& sql, const std::vector<Parameter>& parameters) {
  if (parameters.empty()) return checked(PQexec(connection_.get(), sql.c_str()));
  std::vector<const char*> values;
  for (const Parameter& parameter : parameters)
    values.push_back(parameter ? parameter->c_str() : nullptr);
  return checked(PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()),
                              nullptr, values.data(), nullptr, nullptr, 0));
}

void Client::copy_in(const std::string& sql, const std::string& data) {
  run(sql);
  PGconn* connection = connection_.get();
  if (PQputCopyData(connection, data.data(), static_cast<int>(data.size())) != 1 ||
      PQputCopyEnd(connection, nullptr) != 1)
    throw SqlError("08006", PQerrorMessage(connection));
  PGresult* first = PQgetResult(connection);
  const bool ended = PQresultStatus(first) != PGRES_COPY_IN;
  while (PGresult* more = ended ? PQgetResult(connection) : nullptr) PQclear(more);
  checked(first);
}

void Client::reset() {
  try {
    if (PQtransactionStatus(connection_.get()) == PQTRANS_IDLE) return;
    if (PQstatus(connection_.get()) == CONNECTION_OK) run("ROLLBACK");
  } catch (const SqlError& error) {
    if (!error.is_lost()) throw;
  }
  if (PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) connect_again();
}

void Client::connect_again() {
  const Micros until = now() + 60'000'000;
  do {
    pause_for(20'000);
    PQreset(connection_.get());
    if (PQstatus(connection_.get()) == CONNECTION_OK) return;
  } while (now() < until);
  throw std::runtime_error(PQerrorMessage(connection_.get()));
}

std::string hex_bytea(const std::string& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string hex = "\\x";
  for (unsigned char byte : bytes) {
    hex += digits[byte >> 4];
    hex += digits[byte & 15];
  }
  return hex;
}

std::string text_array(const std::vector<std::string>& elements) {
  std::string array = "{";
  for (const std::string& element : elements) {
    if (array.size() > 1) array += ',';
    array += '"';
    for (char c : element) {
      if (c == '"' || c == '\\') array += '\\';
      array += c;
    }
    array += '"';
  }
  return array + '}';
}

std::vector<std::string> parse_plain_array(const std::string& array) {
  std::vector<std::string> elements;
  std::string element;
  for (char c : array.substr(1)) {
    if (c != ',' && c != '}') {
      element += c;
    } else if (!element.empty()) {
      elements.push_back(element);
      element.clear();
    }
  }
  return elements;
}

std::string milliseconds(std::int64_t ms) { return std::to_string(ms) + " milliseconds"; }

}  // namespace stress
