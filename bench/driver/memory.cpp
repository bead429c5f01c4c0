// How the memory of one session's server process grows.
#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>

#include "events.hpp"
#include "modes.hpp"

namespace bench {

namespace {

long resident_anonymous(int process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return std::stol(line.substr(8));
  throw std::runtime_error("can't read the memory of the server's process");
}

void sample(Session& session, const std::string& samples, const std::function<void()>& step) {
  const int process = PQbackendPID(session.connection());
  std::istringstream words(samples);
  long done = 0;
  for (std::string word; std::getline(words, word, ',');) {
    for (const long until = std::stol(word); done < until; done++) step();
    std::printf("%ld %ld\n", done, resident_anonymous(process));
  }
}

}  // namespace

void memory(const Options& options) {
  const std::string name = options.text("name"), samples = options.text("samples");
  if (options.text("of") == "publish") {
    Session session;
    session.prepare("publish", "SELECT kanthorq_publish(" + literal(name) + ", " +
                                   literal(subject) + ", $1, $2)");
    const std::vector<std::string> event = {body, metadata};
    sample(session, samples, [&] { session.execute("publish", event); });
    return;
  }
  Worker worker(name, 10, "0");
  sample(worker.session(), samples, [&] {
    const Batch batch = worker.pull();
    if (batch.events == 0) throw std::runtime_error("the stream ended early");
    worker.ack(batch);
  });
}

}  // namespace bench
