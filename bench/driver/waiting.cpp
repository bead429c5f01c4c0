// Sessions that wait in kanthorq_pull and hardly ever get anything.
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <list>
#include <sstream>

#include "modes.hpp"

namespace bench {

namespace {

struct Waiting {
  explicit Waiting(const std::string& consumer) : name(consumer) { ask(); }
  void ask() {
    const std::string sql =
        "SELECT max(lease) FROM kanthorq_pull(" + literal(name) + ", 100, wait => '1 minute')";
    if (PQsendQuery(session.connection(), sql.c_str()) != 1)
      throw std::runtime_error(PQerrorMessage(session.connection()));
  }
  // Takes what has arrived; when the answer is complete, acknowledges and asks again.
  void take() {
    if (PQconsumeInput(session.connection()) != 1)
      throw std::runtime_error(PQerrorMessage(session.connection()));
    if (PQisBusy(session.connection())) return;
    std::string lease;
    while (PGresult* raw = PQgetResult(session.connection())) {
      const Result result(raw);
      if (PQresultStatus(raw) != PGRES_TUPLES_OK)
        throw std::runtime_error(PQerrorMessage(session.connection()));
      lease = result.text(0, 0);
    }
    if (!lease.empty()) session.run("SELECT kanthorq_ack(" + literal(name) + ", " + lease + ")");
    ask();
  }
  // A server process that waits does not see its client leave.
  void cancel() {
    char ignored[256];
    PGcancel* cancel = PQgetCancel(session.connection());
    PQcancel(cancel, ignored, sizeof ignored);
    PQfreeCancel(cancel);
    while (PGresult* raw = PQgetResult(session.connection())) PQclear(raw);
  }
  std::string name;
  Session session;
};

}  // namespace

void waiting(const Options& options) {
  std::list<Waiting> sessions;
  std::istringstream names(options.text("consumers"));
  for (std::string name; std::getline(names, name, ',');) sessions.emplace_back(name);
  std::printf("ready %zu\n", sessions.size());
  std::fflush(stdout);
  std::vector<pollfd> polled = {{STDIN_FILENO, POLLIN, 0}};
  for (Waiting& one : sessions) polled.push_back({PQsocket(one.session.connection()), POLLIN, 0});
  while (true) {
    if (poll(polled.data(), polled.size(), -1) < 0) throw std::runtime_error("poll failed");
    if (polled[0].revents != 0) break;
    std::size_t i = 1;
    for (Waiting& one : sessions)
      if (polled[i++].revents != 0) one.take();
  }
  for (Waiting& one : sessions) one.cancel();
}

}  // namespace bench
