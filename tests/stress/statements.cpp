#include "statements.hpp"

#include <algorithm>

namespace stress {

Statements::Statements(World& world, int number)
    : world_(world),
      number_(number),
      log_(world.publishers[number]),
      client_(world.conninfo),
      chance_(world.seed, number) {}

void Statements::linger() {
  if (chance_.percent(25)) pause_for(chance_.between(0, 5'000));
  if (chance_.percent(2)) pause_for(chance_.between(50'000, 600'000));
}

void Statements::take_back(std::size_t first, std::size_t end) {
  for (std::size_t i = first; i < end; i++) log_.events[i].kept = false;
}

Stream Statements::any_stream() { return chance_.percent(12) ? noise_stream : main_stream; }

// Of now, of some hours ago, or of another form. The partitions of those hours are closed by now.
std::string Statements::any_id() {
  constexpr Micros hour = 3'600'000'000;
  if (chance_.percent(20)) return chance_.ulid(now() - chance_.between(3, 8) * hour);
  return chance_.percent(3) ? chance_.uuidv7() : chance_.ulid();
}

// An event for the log; the reference is good until the next one.
Event& Statements::new_event(Stream stream, bool with_id) {
  const int number = static_cast<int>(log_.events.size());
  const int of = static_cast<int>(log_.transactions.size()) - 1;
  std::string rest(chance_.percent(2) ? 3000 : chance_.between(0, 60), 'x');
  for (char& c : rest) c = static_cast<char>(chance_.between(0, 255));
  log_.events.push_back({.stream = stream,
                         .transaction = of,
                         .kept = true,
                         .sent = now(),
                         .id = with_id ? any_id() : "",
                         .subject = chance_.between(0, static_cast<int>(std::size(subjects)) - 1),
                         .body = body_of(number_, of, number, rest),
                         .metadata = R"({"n": )" + std::to_string(number) +
                                     R"(, "of": "publisher \")" + std::to_string(number_) + R"("})",
                         .created_at = {}});
  Event& event = log_.events.back();
  if (chance_.percent(20)) event.created_at = chance_.between(0, 1'000'000'000);
  if (with_id && stream == main_stream) world_.remember(event.id);
  return event;
}

void Statements::statement() {
  const Stream stream = any_stream();
  const int size = chance_.percent(4) ? chance_.between(10, 100) : chance_.between(1, 4);
  if (chance_.percent(4)) return insert_into_partition();
  switch (chance_.between(0, 4)) {
    case 0:
      return publish_one(stream);
    case 1:
      return publish_many(stream, size);
    case 2:
      return insert(stream, std::min(size, 20));
    case 3:
      return publish_in_loop();
    default:
      return copy(stream, size);
  }
}

static Parameter created_at_of(const Event& event) {
  return event.created_at ? Parameter(std::to_string(*event.created_at)) : Parameter();
}

void Statements::publish_one(Stream stream) {
  Event& event = new_event(stream, chance_.percent(50));
  const Result result = client_.run(
      "SELECT kanthorq_publish($1, $2, $3, $4, $5, $6)",
      {world_.stream_names[stream], subjects[event.subject].text, hex_bytea(event.body),
       event.metadata, event.id.empty() ? Parameter() : event.id, created_at_of(event)});
  event.id = result.text(0, 0);
}

Statements::Batch Statements::new_batch(Stream stream, int size, bool with_ids) {
  Batch batch;
  for (int i = 0; i < size; i++) {
    Event& event = new_event(stream, with_ids);
    event.created_at.reset();
    batch.subjects.push_back(subjects[event.subject].text);
    batch.bodies.push_back(hex_bytea(event.body));
    batch.metadata.push_back(event.metadata);
    batch.ids.push_back(event.id);
  }
  return batch;
}

void Statements::publish_many(Stream stream, int size, bool with_duplicate) {
  const std::size_t first = log_.events.size();
  const bool with_ids = with_duplicate || chance_.percent(50);
  Batch batch = new_batch(stream, size, with_ids);
  if (with_duplicate) log_.events.back().id = batch.ids.back() = batch.ids.front();
  const Result result = client_.run(
      "SELECT kanthorq_publish_many($1, $2, $3, $4, $5)",
      {world_.stream_names[stream], text_array(batch.subjects), text_array(batch.bodies),
       text_array(batch.metadata), with_ids ? Parameter(text_array(batch.ids)) : Parameter()});
  const std::vector<std::string> answer = parse_plain_array(result.text(0, 0));
  for (int i = 0; i < size; i++) log_.events[first + i].id = answer.at(i);
}

void Statements::fail_on_duplicate() {
  try {
    publish_many(main_stream, chance_.between(2, 6), true);
    world_.tally.surprise("an id was published twice");
  } catch (const SqlError& error) {
    if (error.state != "23505") throw;
  }
}

void Statements::insert(Stream stream, int size) {
  const std::size_t first = log_.events.size();
  const bool with_ids = chance_.percent(70);
  const bool with_times = chance_.percent(20);
  const bool with_positions = chance_.percent(20);
  std::string rows;
  for (int i = 0; i < size; i++) {
    Event& event = new_event(stream, with_ids);
    if (!with_times) event.created_at.reset();
    if (with_times && !event.created_at) event.created_at = 1;
    rows += std::string(i ? ", (" : "(") + (with_positions ? "DEFAULT, " : "") +
            (with_ids ? "'" + event.id + "', " : "") + "'" + subjects[event.subject].text + "', '" +
            hex_bytea(event.body) + "', '" + event.metadata + "'" +
            (with_times ? ", " + std::to_string(*event.created_at) + ")" : ")");
  }
  const Result result = client_.run(
      "INSERT INTO " + world_.tables[stream] + " (" + (with_positions ? "position, " : "") +
      (with_ids ? "id, " : "") + "subject, body, metadata" + (with_times ? ", created_at" : "") +
      ")" + (with_positions ? " OVERRIDING SYSTEM VALUE" : "") + " VALUES " + rows +
      " RETURNING id");
  for (int i = 0; i < size; i++) log_.events[first + i].id = result.text(i, 0);
}

// By the name of the partition of the hour in which the test began. Its rows get their positions by
// hand, as the partition of an identity column has none.
void Statements::insert_into_partition() {
  Event& event = new_event(world_.partitioned, false);
  event.created_at.reset();
  event.id = chance_.ulid();
  client_.run("INSERT INTO " + world_.partition +
                  " (id, subject, body, metadata, position) OVERRIDING SYSTEM VALUE"
                  " VALUES ($1, $2, $3, $4, nextval($5::regclass))",
              {event.id, subjects[event.subject].text, hex_bytea(event.body), event.metadata,
               world_.positions});
}

void Statements::copy(Stream stream, int size) {
  std::string data;
  for (int i = 0; i < size; i++) {
    Event& event = new_event(stream, true);
    event.created_at.reset();
    std::string metadata;
    for (char c : event.metadata) metadata += c == '\\' ? "\\\\" : std::string(1, c);
    data += event.id + '\t' + subjects[event.subject].text + "\t\\" + hex_bytea(event.body) + '\t' +
            metadata + '\n';
  }
  client_.copy_in("COPY " + world_.tables[stream] + " (id, subject, body, metadata) FROM STDIN",
                  data);
}

void Statements::publish_again() {
  const Event& event = chance_.one_of(log_.events);
  if (event.id.empty() || !event.kept ||
      log_.transactions[event.transaction].outcome != Outcome::committed)
    return;
  client_.run("SELECT kanthorq_publish($1, $2, $3, $4, $5, on_duplicate => 'skip')",
              {world_.stream_names[event.stream], subjects[event.subject].text, hex_bytea("again"),
               "{}", event.id});
}

}  // namespace stress
