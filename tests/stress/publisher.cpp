// A publisher session: transactions of every shape, with all four ways to insert.
#include <algorithm>

#include "world.hpp"

namespace stress {

namespace {

class Publisher {
 public:
  Publisher(World& world, int number)
      : world_(world),
        number_(number),
        log_(world.publishers[number]),
        client_(world.conninfo),
        chance_(world.seed, number) {}

  void run() {
    while (!world_.is_over()) {
      log_.transactions.emplace_back();
      if (chance_.percent(35))
        publish_alone();
      else
        publish_in_transaction();
      if (chance_.percent(30)) resolve_prepared(world_, client_, chance_, false);
      linger();
    }
  }

 private:
  Transaction& transaction() { return log_.transactions.back(); }

  void linger() {
    if (chance_.percent(25)) pause_for(chance_.between(0, 5'000));
    if (chance_.percent(2)) pause_for(chance_.between(50'000, 600'000));
  }

  void fail(const SqlError& error) {
    if (!world_.tally.forgive(error))
      world_.tally.surprise(std::string("publisher: ") + error.what());
    const bool is_known = !error.is_lost() || transaction().commit_sent == 0;
    transaction().done = now();
    client_.reset();
    transaction().outcome = is_known ? Outcome::failed : Outcome::unknown;
  }

  void publish_alone() {
    transaction().commit_sent = now();
    try {
      statement();
      transaction().outcome = Outcome::committed;
    } catch (const SqlError& error) {
      fail(error);
    }
    transaction().done = now();
  }

  void publish_in_transaction() {
    static const char* const levels[] = {"READ COMMITTED", "READ COMMITTED", "REPEATABLE READ",
                                         "SERIALIZABLE"};
    try {
      client_.run(std::string("BEGIN ISOLATION LEVEL ") + chance_.one_of(levels));
      for (int left = chance_.between(1, 4); left > 0; left--) {
        if (chance_.percent(30))
          publish_in_savepoint();
        else
          statement();
        linger();
      }
      if (chance_.percent(3)) publish_again();
      end_transaction();
    } catch (const SqlError& error) {
      fail(error);
    }
  }

  void publish_in_savepoint() {
    const std::size_t first = log_.events.size();
    client_.run("SAVEPOINT a");
    statement();
    if (chance_.percent(20)) publish_in_savepoint();
    linger();
    bool undo = chance_.percent(40);
    if (chance_.percent(15)) {
      fail_on_duplicate();
      undo = true;
    }
    client_.run(undo ? "ROLLBACK TO a" : "RELEASE a");
    for (std::size_t i = first; undo && i < log_.events.size(); i++) log_.events[i].kept = false;
    if (undo) client_.run("RELEASE a");
  }

  void end_transaction() {
    if (chance_.percent(15)) {
      client_.run("ROLLBACK");
      transaction().outcome = Outcome::failed;
    } else if (chance_.percent(18)) {
      prepare();
    } else {
      transaction().commit_sent = now();
      client_.run("COMMIT");
      transaction().done = now();
      transaction().outcome = Outcome::committed;
    }
  }

  void prepare() {
    const std::string gid = "kanthorq_stress_" + std::to_string(number_) + "_" +
                            std::to_string(log_.transactions.size());
    bool is_sure = true;
    try {
      client_.run("PREPARE TRANSACTION '" + gid + "'");
    } catch (const SqlError& error) {
      if (!error.is_lost()) throw;
      world_.tally.forgive(error);
      client_.reset();
      is_sure = false;
    }
    const Micros due = now() + chance_.between(500, 400'000);
    const std::lock_guard lock(world_.mutex);
    world_.prepared.push_back({gid, &transaction(), due, is_sure, {}});
  }

  // An event for the log; the reference is good until the next one.
  Event& new_event(Stream stream, bool with_id) {
    const int number = static_cast<int>(log_.events.size());
    const int of = static_cast<int>(log_.transactions.size()) - 1;
    std::string rest(chance_.percent(2) ? 3000 : chance_.between(0, 60), 'x');
    for (char& c : rest) c = static_cast<char>(chance_.between(0, 255));
    log_.events.push_back({.stream = stream,
                           .transaction = of,
                           .kept = true,
                           .sent = now(),
                           .id = with_id ? chance_.ulid() : "",
                           .subject = chance_.between(0, static_cast<int>(std::size(subjects)) - 1),
                           .body = body_of(number_, of, number, rest),
                           .metadata = R"({"n": )" + std::to_string(number) +
                                       R"(, "of": "publisher \")" + std::to_string(number_) +
                                       R"("})",
                           .created_at = {}});
    Event& event = log_.events.back();
    if (chance_.percent(20)) event.created_at = chance_.between(0, 1'000'000'000);
    if (with_id && stream == main_stream) world_.remember(event.id);
    return event;
  }

  void statement() {
    const Stream stream = chance_.percent(12) ? noise_stream : main_stream;
    const int size = chance_.percent(4) ? chance_.between(10, 100) : chance_.between(1, 4);
    switch (chance_.between(0, 3)) {
      case 0:
        return publish_one(stream);
      case 1:
        return publish_many(stream, size);
      case 2:
        return insert(stream, std::min(size, 20));
      default:
        return copy(stream, size);
    }
  }

  static Parameter created_at_of(const Event& event) {
    return event.created_at ? Parameter(std::to_string(*event.created_at)) : Parameter();
  }

  void publish_one(Stream stream) {
    Event& event = new_event(stream, chance_.percent(50));
    const Result result = client_.run(
        "SELECT kanthorq_publish($1, $2, $3, $4, $5, $6)",
        {world_.stream_names[stream], subjects[event.subject].text, hex_bytea(event.body),
         event.metadata, event.id.empty() ? Parameter() : event.id, created_at_of(event)});
    event.id = result.text(0, 0);
  }

  void publish_many(Stream stream, int size, bool with_duplicate = false) {
    std::vector<std::string> texts, bodies, metadata, ids;
    const std::size_t first = log_.events.size();
    const bool with_ids = with_duplicate || chance_.percent(50);
    for (int i = 0; i < size; i++) {
      Event& event = new_event(stream, with_ids);
      if (with_duplicate && i + 1 == size) event.id = log_.events[first].id;
      texts.push_back(subjects[event.subject].text);
      bodies.push_back(hex_bytea(event.body));
      metadata.push_back(event.metadata);
      ids.push_back(event.id);
      event.created_at.reset();
    }
    const Result result =
        client_.run("SELECT kanthorq_publish_many($1, $2, $3, $4, $5)",
                    {world_.stream_names[stream], text_array(texts), text_array(bodies),
                     text_array(metadata), with_ids ? Parameter(text_array(ids)) : Parameter()});
    const std::vector<std::string> answer = parse_plain_array(result.text(0, 0));
    for (int i = 0; i < size; i++) log_.events[first + i].id = answer.at(i);
  }

  void fail_on_duplicate() {
    try {
      publish_many(main_stream, chance_.between(2, 6), true);
      world_.tally.surprise("an id was published twice");
    } catch (const SqlError& error) {
      if (error.state != "23505") throw;
    }
  }

  void insert(Stream stream, int size) {
    const std::size_t first = log_.events.size();
    const bool with_ids = chance_.percent(70);
    const bool with_times = chance_.percent(20);
    std::string rows;
    for (int i = 0; i < size; i++) {
      Event& event = new_event(stream, with_ids);
      if (!with_times) event.created_at.reset();
      if (with_times && !event.created_at) event.created_at = 1;
      rows += (i ? ", (" : "(") + (with_ids ? "'" + event.id + "', " : "") + "'" +
              subjects[event.subject].text + "', '" + hex_bytea(event.body) + "', '" +
              event.metadata + "'" +
              (with_times ? ", " + std::to_string(*event.created_at) + ")" : ")");
    }
    const Result result =
        client_.run("INSERT INTO " + world_.tables[stream] + " (" + (with_ids ? "id, " : "") +
                    "subject, body, metadata" + (with_times ? ", created_at" : "") + ") VALUES " +
                    rows + " RETURNING id");
    for (int i = 0; i < size; i++) log_.events[first + i].id = result.text(i, 0);
  }

  void copy(Stream stream, int size) {
    std::string data;
    for (int i = 0; i < size; i++) {
      Event& event = new_event(stream, true);
      event.created_at.reset();
      std::string metadata;
      for (char c : event.metadata) metadata += c == '\\' ? "\\\\" : std::string(1, c);
      data += event.id + '\t' + subjects[event.subject].text + "\t\\" + hex_bytea(event.body) +
              '\t' + metadata + '\n';
    }
    client_.copy_in("COPY " + world_.tables[stream] + " (id, subject, body, metadata) FROM STDIN",
                    data);
  }

  // Safe to repeat: no second event comes of it.
  void publish_again() {
    const Event& event = chance_.one_of(log_.events);
    if (event.id.empty() || !event.kept ||
        log_.transactions[event.transaction].outcome != Outcome::committed)
      return;
    client_.run("SELECT kanthorq_publish($1, $2, $3, $4, $5, on_duplicate => 'skip')",
                {world_.stream_names[event.stream], subjects[event.subject].text,
                 hex_bytea("again"), "{}", event.id});
  }

  World& world_;
  const int number_;
  PublisherLog& log_;
  Client client_;
  Chance chance_;
};

}  // namespace

void publish(World& world, int publisher) { Publisher(world, publisher).run(); }

namespace {

// What became of a prepared transaction that is not there to be ended.
Outcome outcome_of_missing(World& world, const Prepared& prepared, bool was_tried) {
  if (prepared.is_sure && !was_tried) world.tally.surprise(prepared.gid + " has vanished");
  if (!*prepared.commit || !was_tried) return Outcome::failed;
  return prepared.is_sure ? Outcome::committed : Outcome::unknown;
}

// False where the answer was lost.
bool resolve(World& world, Client& client, Prepared& prepared, bool was_tried) {
  Transaction& transaction = *prepared.transaction;
  Outcome outcome = *prepared.commit ? Outcome::committed : Outcome::failed;
  if (!was_tried) transaction.commit_sent = now();
  try {
    client.run((*prepared.commit ? "COMMIT PREPARED '" : "ROLLBACK PREPARED '") + prepared.gid +
               "'");
  } catch (const SqlError& error) {
    client.reset();
    if (error.is_lost()) return !world.tally.forgive(error);
    if (error.state != "42704") throw;
    outcome = outcome_of_missing(world, prepared, was_tried);
  }
  transaction.done = now();
  transaction.outcome = outcome;
  return true;
}

}  // namespace

// Ends prepared transactions whose time has come, or all, one way or the other.
void resolve_prepared(World& world, Client& client, Chance& chance, bool all) {
  for (;;) {
    Prepared next;
    {
      const std::lock_guard lock(world.mutex);
      const auto due = [&](const Prepared& prepared) { return all || prepared.due <= now(); };
      const auto found = std::find_if(world.prepared.begin(), world.prepared.end(), due);
      if (found == world.prepared.end()) return;
      next = *found;
      world.prepared.erase(found);
    }
    const bool was_tried = next.commit.has_value();
    if (!was_tried) next.commit = chance.percent(70);
    if (resolve(world, client, next, was_tried)) {
      const std::lock_guard lock(world.tally.mutex);
      world.tally.prepared++;
    } else {
      const std::lock_guard lock(world.mutex);
      world.prepared.push_back(next);
    }
  }
}

}  // namespace stress
