// A connection to the server, and what every client needs: time, chance, text forms of values.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace stress {

using Micros = std::int64_t;  // microseconds since the epoch, by the clock that the server has too
Micros now();
void pause_for(Micros time);
inline std::int64_t to_ms(Micros time) { return time / 1000; }

class Chance {
 public:
  Chance(std::uint64_t seed, int client) : engine_(seed * 1'000'003 + client) {}
  int between(int least, int most) {
    return std::uniform_int_distribution<int>(least, most)(engine_);
  }
  bool percent(double share) {
    return std::uniform_real_distribution<double>(0, 100)(engine_) < share;
  }
  template <typename Values>
  const auto& one_of(const Values& values) {
    return values[between(0, static_cast<int>(std::size(values)) - 1)];
  }
  std::string ulid(Micros at = now());
  std::string uuidv7();

 private:
  std::mt19937_64 engine_;
};

struct SqlError : std::runtime_error {
  SqlError(std::string code, const std::string& message)
      : std::runtime_error(message), state(std::move(code)) {}
  // The connection is gone, and with it the answer: the statement may have been done or not.
  bool is_lost() const { return state == "08006"; }
  std::string state;
};

class Result {
 public:
  explicit Result(PGresult* result) : result_(result, PQclear) {}
  int rows() const { return PQntuples(result_.get()); }
  const char* text(int row, int column) const { return PQgetvalue(result_.get(), row, column); }
  bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column); }
  std::int64_t number(int row, int column) const { return std::stoll(text(row, column)); }
  std::string bytes(int row, int column) const;

 private:
  std::unique_ptr<PGresult, void (*)(PGresult*)> result_;
};

using Parameter = std::optional<std::string>;

class Client {
 public:
  explicit Client(const std::string& conninfo);
  // Throws SqlError.
  Result run(const std::string& sql, const std::vector<Parameter>& parameters = {});
  void copy_in(const std::string& sql, const std::string& data);
  // Ends a transaction, if one is open; connects again if the connection was lost.
  void reset();

 private:
  Result checked(PGresult* result);
  void connect_again();
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

std::string hex_bytea(const std::string& bytes);
// Elements that may hold quotes and backslashes.
std::string text_array(const std::vector<std::string>& elements);
std::vector<std::string> parse_plain_array(const std::string& array);
std::string milliseconds(std::int64_t ms);

}  // namespace stress
