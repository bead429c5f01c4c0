// A worker in C++ with libpq, to start your own from:
//   g++ worker.cpp -I"$(pg_config --includedir)" -lpq -o worker
//   ./worker "dbname=shop" invoices
#include <libpq-fe.h>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

// Your work. False to have the event tried again.
bool handle(const char* subject, std::string_view body) {
  std::printf("%s %.*s\n", subject, static_cast<int>(body.size()), body.data());
  return std::fflush(stdout) == 0;
}

// The rows; null where the lease is no longer held. Any other error ends the program.
PGresult* run(PGconn* connection, const char* sql, std::initializer_list<const char*> values) {
  PGresult* result = PQexecParams(connection, sql, static_cast<int>(values.size()), nullptr,
                                  values.begin(), nullptr, nullptr, 0);
  if (PQresultStatus(result) == PGRES_TUPLES_OK) return result;
  std::fputs(PQerrorMessage(connection), stderr);
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (!state || std::string_view(state) != "KQ001") std::exit(1);
  PQclear(result);
  return nullptr;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: worker CONNINFO CONSUMER\n", stderr);
    return 2;
  }
  PGconn* connection = PQconnectdb(argv[1]);
  if (PQstatus(connection) != CONNECTION_OK) {
    std::fputs(PQerrorMessage(connection), stderr);
    return 1;
  }
  for (;;) {
    PGresult* batch =
        run(connection, "SELECT lease, id, subject, body FROM kanthorq_pull($1, 10, '10 s')",
            {argv[2]});
    for (int i = 0; i < PQntuples(batch); i++) {
      const auto value = [&](int column) { return PQgetvalue(batch, i, column); };
      std::size_t size = 0;
      unsigned char* body = PQunescapeBytea(reinterpret_cast<unsigned char*>(value(3)), &size);
      const bool done = handle(value(2), {reinterpret_cast<char*>(body), size});
      PQfreemem(body);
      PGresult* settled = run(connection,
                              done ? "SELECT kanthorq_ack($1, $2, ARRAY[$3])"
                                   : "SELECT kanthorq_nack($1, $2, ARRAY[$3])",
                              {argv[2], value(0), value(1)});
      if (!settled) break;  // what is not settled comes again
      PQclear(settled);
    }
    PQclear(batch);
  }
}
