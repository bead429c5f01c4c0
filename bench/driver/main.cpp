// The benchmark's client: what pgbench can't do. The environment says where the server is; options
// are name=value, and each command prints lines of "name value".
//
//   driver batch way=copy|arrays|arrays_ids|plain sql=... rows=N seconds=N|transactions=N [rare=N]
//     sends batches of N rows, one transaction each: by COPY (FORMAT binary), as binary array
//     parameters of a prepared statement ($1 subjects, $2 bodies, $3 metadata, $4 ids), or as a
//     prepared statement alone. Prints the rate; making ids is not on the clock.
//   driver drain consumer=... size=N until=N [rows=yes] [quick=yes]
//     pulls and acknowledges, two transactions a batch, until it has had N events; counts them in
//     the server unless the rows are wanted. Quick: the pull's commit does not wait for the disk.
//   driver memory of=publish|pull name=... samples=N,N,...
//     one session; prints its server process's RssAnon in kB after so many transactions.
//   driver waiting consumers=name,name,...
//     a session each that waits in kanthorq_pull, again and again, until the input ends.
//   driver wake stream=... consumer=... rate=N seconds=N [quick=yes]
//     one event at a time, paced by the clock, and a worker that waits; prints for each event the
//     microseconds to the pull's return, from the commit's return and from before it was sent.
//   driver window stream=... follower=... backlog=... sessions=N seconds=N
//     publishers, a worker that follows them, another that drains a backlog; a line each second.
#include <cstdio>
#include <cstring>
#include <functional>

#include "modes.hpp"

int main(int count, char** words) {
  using namespace bench;
  const std::map<std::string, std::function<void(const Options&)>> commands = {
      {"batch", batch},     {"drain", drain}, {"memory", memory},
      {"waiting", waiting}, {"wake", wake},   {"window", window}};
  try {
    const auto command = commands.find(count > 1 ? words[1] : "");
    if (command == commands.end()) throw std::runtime_error("no such command");
    command->second(Options(count - 2, words + 2));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "driver: %s\n", error.what());
    return 1;
  }
}
