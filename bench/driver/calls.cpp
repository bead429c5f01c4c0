// Page faults of one session's server process.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "events.hpp"
#include "modes.hpp"

namespace bench {

namespace {

// The tenth field of /proc/<pid>/stat; the second is a name in brackets.
long page_faults(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream fields(line.substr(line.rfind(')') + 2));
  std::string field;
  for (int number = 3; number <= 10; number++) fields >> field;
  if (!fields) throw std::runtime_error("can't read the page faults of the server's process");
  return std::stol(field);
}

}  // namespace

void calls(const Options& options) {
  Session session;
  const bool plain = options.text("way") == "plain";
  Arrays arrays(100, false);
  session.prepare("call", options.text("sql"));
  const int process = PQbackendPID(session.connection());
  if (const std::string first = options.text("first", ""); !first.empty()) session.run(first);
  std::printf("process %d\n", process);
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    const long before = page_faults(process);
    for (long i = std::stol(line); i > 0; i--)
      session.execute_binary("call", plain ? Parameters() : arrays.parameters());
    std::printf("faults %ld\n", page_faults(process) - before);
    std::fflush(stdout);
  }
}

}  // namespace bench
