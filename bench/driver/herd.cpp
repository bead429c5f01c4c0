// Many sessions that wait on one consumer: what they cost while nothing happens, and how soon and
// at what cost each event reaches one of them.
#include <sys/epoll.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <list>
#include <unordered_map>

#include "crew.hpp"
#include "events.hpp"
#include "modes.hpp"

namespace bench {

namespace {

struct Delivery {
  std::string id;
  Clock::time_point returned;
};

// Waits in kanthorq_pull, or in kanthorq_wait and pulls then; acknowledges what it got.
class Waiter {
 public:
  Waiter(const std::string& consumer, bool by_wait) : by_wait_(by_wait) {
    const std::string name = literal(consumer);
    wait_ = "CALL kanthorq_wait(" + name + ", '1 minute')";
    session_.prepare("pull",
                     "SELECT lease, id" + from_pull(consumer, 100, by_wait ? "0" : "1 minute"));
    session_.prepare("ack", "SELECT kanthorq_ack(" + name + ", $1)");
    begin();
  }
  PGconn* connection() const { return session_.connection(); }

  // Takes what has arrived; when the answer is complete, goes on.
  void take(std::vector<Delivery>& deliveries) {
    if (PQconsumeInput(connection()) != 1) fail();
    if (PQisBusy(connection())) return;
    std::string lease;
    while (PGresult* raw = PQgetResult(connection())) {
      const Result result(raw);
      const ExecStatusType status = PQresultStatus(raw);
      if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail();
      if (doing_ != pulling) continue;
      for (int row = 0; row < result.rows(); row++)
        deliveries.push_back({result.text(row, 1), Clock::now()});
      if (result.rows() > 0) lease = result.text(0, 0);
    }
    if (doing_ == waiting)
      pull();
    else if (!lease.empty())
      ack(lease);
    else
      begin();
  }

  // A server process that waits does not see its client leave.
  void cancel() {
    char ignored[256];
    PGcancel* cancel = PQgetCancel(connection());
    PQcancel(cancel, ignored, sizeof ignored);
    PQfreeCancel(cancel);
    while (PGresult* raw = PQgetResult(connection())) PQclear(raw);
  }

 private:
  void begin() {
    if (!by_wait_) return pull();
    doing_ = waiting;
    if (PQsendQuery(connection(), wait_.c_str()) != 1) fail();
  }
  void pull() {
    doing_ = pulling;
    if (PQsendQueryPrepared(connection(), "pull", 0, nullptr, nullptr, nullptr, 0) != 1) fail();
  }
  void ack(const std::string& lease) {
    doing_ = acknowledging;
    const char* value = lease.c_str();
    if (PQsendQueryPrepared(connection(), "ack", 1, &value, nullptr, nullptr, 0) != 1) fail();
  }
  [[noreturn]] void fail() { throw std::runtime_error(PQerrorMessage(connection())); }

  enum { waiting, pulling, acknowledging } doing_;
  bool by_wait_;
  std::string wait_;
  Session session_;
};

class Herd {
 public:
  Herd(const std::string& consumer, long sessions, bool by_wait) {
    if (watched_ < 0) throw std::runtime_error("epoll_create1 failed");
    for (long i = 0; i < sessions; i++) watch(waiters_.emplace_back(consumer, by_wait));
  }
  ~Herd() {
    for (Waiter& one : waiters_) one.cancel();
    close(watched_);
  }

  // Looks after the sessions for that long, or until so many events have come.
  void attend(double seconds, std::size_t until, const std::atomic<bool>& stop) {
    const Clock::time_point start = Clock::now();
    while (seconds_since(start) < seconds && deliveries.size() < until && !stop) {
      epoll_event events[64];
      const int count = epoll_wait(watched_, events, 64, 10);
      if (count < 0) throw std::runtime_error("epoll_wait failed");
      for (int i = 0; i < count; i++) static_cast<Waiter*>(events[i].data.ptr)->take(deliveries);
    }
  }

  // Seconds of processor time that the server's processes of these sessions have taken.
  double processor_time() const {
    double seconds = 0;
    for (const Waiter& one : waiters_) seconds += time_of(PQbackendPID(one.connection()));
    return seconds;
  }

  static double time_of(int process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/schedstat");
    double nanoseconds;
    if (!(file >> nanoseconds)) throw std::runtime_error("can't read a process's time");
    return nanoseconds / 1e9;
  }

  std::vector<Delivery> deliveries;

 private:
  // Not poll(), which takes longer the more sessions there are. That would look like their time.
  void watch(Waiter& waiter) {
    epoll_event event = {EPOLLIN, {&waiter}};
    if (epoll_ctl(watched_, EPOLL_CTL_ADD, PQsocket(waiter.connection()), &event) != 0)
      throw std::runtime_error("epoll_ctl failed");
  }

  std::list<Waiter> waiters_;
  int watched_ = epoll_create1(EPOLL_CLOEXEC);
};

using Commits = std::unordered_map<std::string, Clock::time_point>;

void publish(Session& session, const Options& options, Commits& commits,
             const std::atomic<bool>& stop) {
  const long rate = options.number("rate"), events = rate * options.number("seconds");
  const std::vector<std::string> event = {body, metadata};
  const Clock::time_point start = Clock::now();
  for (long i = 0; i < events && !stop; i++) {
    std::this_thread::sleep_until(start + i * std::chrono::nanoseconds(1'000'000'000 / rate));
    const Result id = session.execute("publish", event);
    commits[id.text(0, 0)] = Clock::now();
  }
}

}  // namespace

void herd(const Options& options) {
  constexpr double give_up = 60;
  const double idle = std::stod(options.text("idle")), seconds = std::stod(options.text("seconds"));
  const auto events = static_cast<std::size_t>(options.number("rate") * options.number("seconds"));
  Session publisher;
  publisher.prepare("publish", "SELECT kanthorq_publish(" + literal(options.text("stream")) + ", " +
                                   literal(subject) + ", $1, $2)");
  const int publishing = PQbackendPID(publisher.connection());
  Herd herd(options.text("consumer"), options.number("sessions"), options.text("way") == "wait");
  Commits commits;
  Crew crew;
  herd.attend(2, 1, crew.stop);  // until all of them wait
  double before = herd.processor_time();
  herd.attend(idle, 1, crew.stop);
  std::printf("idle %.6f\n", (herd.processor_time() - before) / idle);

  before = herd.processor_time() + Herd::time_of(publishing);
  const Clock::time_point start = Clock::now();
  crew.start([&] { publish(publisher, options, commits, crew.stop); });
  herd.attend(seconds + give_up, events, crew.stop);
  const double took = seconds_since(start);
  const double busy = herd.processor_time() + Herd::time_of(publishing) - before;
  crew.stop = true;
  crew.finish();
  std::printf("busy %.6f\nseconds %.6f\nmissing %zu\n", busy, took,
              events - herd.deliveries.size());
  for (const Delivery& one : herd.deliveries)
    std::printf(
        "latency %.0f\n",
        std::chrono::duration<double, std::micro>(one.returned - commits.at(one.id)).count());
}

}  // namespace bench
