// The benchmark's client: what pgbench can't do. The environment says where the server is; options
// are name=value, and each command prints lines of "name value".
//
//   driver batch way=copy|arrays|arrays_ids|plain sql=... rows=N seconds=N|transactions=N [rare=N]
//     sends batches of N rows, one transaction each: by COPY (FORMAT binary), as binary array
//     parameters of a prepared statement ($1 subjects, $2 bodies, $3 metadata, $4 ids), or as a
//     prepared statement alone. Prints the rate; making ids is not on the clock.
//   driver calls way=arrays|plain sql=... [first=...]
//     runs a statement once, then for each number that it reads the prepared one that often, with
//     arrays of 100 events as above or alone; prints the page faults of its server process
//     meanwhile.
//   driver drain consumer=... size=N until=N [rows=yes] [together=statements|pipeline]
//     pulls and acknowledges, two transactions a batch, until it has had N events; counts them in
//     the server unless the rows are wanted. Together: an ack and the next pull in one transaction.
//   driver held way=kanthorq|pgq name=... producers=N seconds=N slice=N
//     producers of one event a transaction and a consumer; for each slice the events a second and
//     the milliseconds of a call, of both.
//   driver herd stream=... consumer=... sessions=N way=pull|wait idle=N rate=N seconds=N
//     sessions that wait; prints their processor time while nothing happens, then while one event
//     at a time is published, and for each event the microseconds from commit to delivery.
//   driver machine
//     prints the nanoseconds of a system call and of a page fault.
//   driver memory of=publish|pull name=... samples=N,N,...
//     one session; prints its server process's RssAnon in kB after so many transactions.
//   driver waiting consumers=name,name,...
//     a session each that waits in kanthorq_pull, again and again, until the input ends.
//   driver wake stream=... consumer=... rate=N seconds=N
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
      {"batch", batch}, {"calls", calls},     {"drain", drain},   {"held", held},
      {"herd", herd},   {"machine", machine}, {"memory", memory}, {"waiting", waiting},
      {"wake", wake},   {"window", window}};
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
