// The arithmetic of a consumer's place, against sets of single events: what is owed is a set of
// pairs of a transaction and a position, and every rule of core/cursor.hpp is a rule about such
// sets. Transactions and positions are few, so that they meet; at the end they are moved to where
// numbers end.
#include "core/cursor.hpp"

#include <limits>
#include <set>
#include <utility>

#include "fuzz.hpp"

namespace {

using namespace kanthorq;
using Event = std::pair<std::uint64_t, std::int64_t>;
using Events = std::set<Event>;
using Txids = std::vector<std::uint64_t>;
using Late = std::vector<LateWriter>;

constexpr std::int64_t positions = 40;
constexpr std::uint64_t transactions = 8;

struct World {
  std::uint64_t first_txid;
  std::int64_t first_position;
  Late late{};
  Txids writers{};
  std::int64_t last_ceiling = 0;
  std::int64_t ceiling = 0;
  std::int64_t cursor = 0;  // moves from here
  Move move{0};             // and so
  std::set<std::int64_t> missing{};

  std::int64_t position(fuzz::Input& input) const {
    return first_position + static_cast<std::int64_t>(input.below(positions));
  }
};

bool has(const Txids& writers, std::uint64_t txid) {
  for (std::uint64_t writer : writers)
    if (writer == txid) return true;
  return false;
}

// Each position has the row of an ended transaction, none, or one that is left to an open writer.
void move_cursor(World& world, fuzz::Input& input) {
  const std::int64_t end = std::max(world.cursor, world.position(input));
  world.move = {world.cursor};
  std::int64_t last_row = world.cursor;
  for (std::int64_t at = world.cursor; at < end;) {
    at++;
    const std::uint64_t kind = input.below(4);
    if (kind < 2) world.missing.insert(at);
    if (kind == 0) continue;
    world.move.over_row(at, kind == 1);
    last_row = at;
  }
  const bool is_full = input.below(2) == 0;
  if (is_full)
    world.missing.erase(world.missing.upper_bound(last_row), world.missing.end());
  else
    world.move.to_end(end);
  REQUIRE(world.move.reached == (is_full ? last_row : end));
  if (world.missing.empty()) {
    REQUIRE(world.move.first_missing > world.move.last_missing);
  } else {
    REQUIRE(world.move.first_missing == *world.missing.begin());
    REQUIRE(world.move.last_missing == *world.missing.rbegin());
  }
}

// A transaction is in each list once at most, and owes nothing after its range.
World world_of(fuzz::Input& input, std::uint64_t first_txid, std::int64_t first_position) {
  World world{first_txid, first_position};
  for (std::uint64_t txid = first_txid; txid - first_txid < transactions; txid++) {
    const std::uint64_t kind = input.below(4);
    if (kind & 1) world.writers.push_back(txid);
    if (!(kind & 2)) continue;
    std::int64_t after = world.position(input);
    std::int64_t upto = world.position(input);
    if (after > upto) std::swap(after, upto);
    world.late.push_back({txid, after, upto});
  }
  const std::uint64_t turn = input.below(transactions);
  if (!world.late.empty())
    std::rotate(world.late.begin(),
                world.late.begin() + static_cast<std::ptrdiff_t>(turn % world.late.size()),
                world.late.end());
  world.last_ceiling = world.position(input);
  world.ceiling = world.position(input);
  world.cursor = world.position(input);
  move_cursor(world, input);
  return world;
}

// The events that the list owes, by what its fields say and not by is_owed().
Events owed(const Late& late, std::int64_t first_position) {
  Events events;
  for (const LateWriter& writer : late)
    for (std::int64_t i = 0; i < positions; i++)
      if (first_position + i > writer.after && first_position + i <= writer.upto)
        events.insert({writer.txid, first_position + i});
  return events;
}

void check_single_events(const World& world) {
  const Events events = owed(world.late, world.first_position);
  std::int64_t lowest_open = world.ceiling;
  for (std::uint64_t txid : world.writers) {
    std::int64_t after = world.last_ceiling;
    for (const LateWriter& writer : world.late)
      if (writer.txid == txid) after = writer.after;
    lowest_open = std::min(lowest_open, after);
    for (std::int64_t i = 0; i < positions; i++)
      REQUIRE(is_of_open_writer(txid, world.first_position + i, world.writers.data(),
                                world.writers.size(), world.late.data(), world.late.size(),
                                world.last_ceiling) == (world.first_position + i > after));
  }
  REQUIRE(ordered_ceiling(world.ceiling, world.writers.data(), world.writers.size(),
                          world.late.data(), world.late.size(), world.last_ceiling) == lowest_open);
  for (std::uint64_t txid = world.first_txid; txid - world.first_txid < transactions; txid++)
    for (std::int64_t i = 0; i < positions; i++)
      REQUIRE(is_owed(world.late.data(), world.late.size(), txid, world.first_position + i) ==
              events.contains({txid, world.first_position + i}));
}

// Reads up to a point of its own in each run; nothing is read twice, nothing of an open writer is
// read, and what was owed is either read or still owed.
void check_read_owed(const World& world, fuzz::Input& input) {
  Late late(world.late);
  late.shrink_to_fit();
  const Events before = owed(world.late, world.first_position);
  Events delivered;
  std::set<std::int64_t> looked_at;
  const std::size_t left = read_owed(
      late.data(), late.size(), world.writers.data(), world.writers.size(),
      [&](const LateWriter* ended, const OwedRun& run) {
        REQUIRE(run.writers >= 1);
        REQUIRE(run.after <= run.upto);
        const auto width = static_cast<std::uint64_t>(run.upto - run.after);
        const bool all = input.below(2) == 0;
        const std::int64_t reached =
            all ? run.upto : run.after + static_cast<std::int64_t>(input.below(width + 1));
        for (std::int64_t at = run.after; at < reached;) {
          REQUIRE(looked_at.insert(++at).second);
          for (std::uint64_t i = 0; i < transactions; i++)
            if (is_owed(ended, run.writers, world.first_txid + i, at))
              delivered.insert({world.first_txid + i, at});
        }
        return reached;
      });
  REQUIRE(left <= late.size());
  late.resize(left);

  Events after = owed(late, world.first_position);
  for (const Event& event : delivered) {
    REQUIRE(before.contains(event));
    REQUIRE(!has(world.writers, event.first));
    REQUIRE(!after.contains(event));
  }
  after.insert(delivered.begin(), delivered.end());
  REQUIRE(after == before);
  for (const LateWriter& open : world.late)
    if (has(world.writers, open.txid))
      REQUIRE(std::find(late.begin(), late.end(), open) != late.end());
}

// What an open writer may have on the cursor's way is owed afterwards, what was owed still is, and
// no more than between the first missing position and the last one.
void check_next_late(const World& world) {
  Late next(world.late.size() + world.writers.size());
  next.shrink_to_fit();
  const std::size_t count =
      next_late(world.late.data(), world.late.size(), world.writers.data(), world.writers.size(),
                world.last_ceiling, world.move, next.data());
  REQUIRE(count <= next.size());
  next.resize(count);

  const Events before = owed(world.late, world.first_position);
  const Events after = owed(next, world.first_position);
  for (const Event& event : before) REQUIRE(after.contains(event));
  for (const LateWriter& writer : next) {
    const LateWriter* known = find_late(world.late.data(), world.late.size(), writer.txid);
    if (!has(world.writers, writer.txid)) {
      REQUIRE(known && *known == writer);
      continue;
    }
    const std::int64_t taken = known ? known->after : world.last_ceiling;
    const bool owed_before = known && known->owes();
    REQUIRE(writer.after >= taken);
    REQUIRE(writer.after == taken || (!owed_before && writer.after <= world.move.reached));
    for (std::int64_t at : world.missing) REQUIRE(at <= taken || after.contains({writer.txid, at}));
    for (const Event& event : after)
      REQUIRE(
          event.first != writer.txid || before.contains(event) || owed_before ||
          (event.second >= world.move.first_missing && event.second <= world.move.last_missing));
  }
  for (std::uint64_t txid : world.writers)
    REQUIRE(find_late(next.data(), next.size(), txid) != nullptr);
  for (std::size_t i = 0; i < next.size(); i++)
    REQUIRE(find_late(next.data(), next.size(), next[i].txid) == &next[i]);
}

void check(fuzz::Input input, std::uint64_t first_txid, std::int64_t first_position) {
  const World world = world_of(input, first_txid, first_position);
  check_single_events(world);
  check_next_late(world);
  check_read_owed(world, input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({data, size}, 3, 0);
  check({data, size}, ~std::uint64_t{0} - transactions + 1,
        std::numeric_limits<std::int64_t>::max() - positions + 1);
  return 0;
}
