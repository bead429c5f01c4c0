// Encoded positions. The input is taken as bytes that nobody wrote, which must be read without
// harm, and as a description of positions, which must come back as they were.
#include "core/positions.hpp"

#include "fuzz.hpp"

namespace {

using namespace kanthorq;
using List = std::vector<std::int64_t>;
using Bytes = std::vector<unsigned char>;

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

Bytes encoded(const List& positions) {
  Bytes bytes(max_encoded_positions_bytes(positions.size()));
  bytes.resize(encode_positions(positions.data(), positions.size(), bytes.data()));
  bytes.shrink_to_fit();
  return bytes;
}

// A few bytes may stand for any number of positions, so there is a limit.
List decoded(const Bytes& bytes, std::size_t limit) {
  PositionReader reader(bytes.data(), bytes.size());
  List positions;
  std::int64_t position = 0;
  while (positions.size() < limit && reader.next(position)) positions.push_back(position);
  return positions;
}

void read_anything(const Bytes& bytes) {
  constexpr std::size_t limit = 2000;
  const List positions = decoded(bytes, limit);
  std::int64_t before = 0;
  for (std::int64_t position : positions) {
    REQUIRE(position > before);
    before = position;
  }
  // What was read in whole has one encoding, no longer than what it was read from.
  const Bytes again = encoded(positions);
  REQUIRE(decoded(again, limit + 1) == positions);
  REQUIRE(encoded(decoded(again, limit + 1)) == again);
  if (positions.size() < limit) {
    REQUIRE(again.size() <= bytes.size());
  }
  // Damaged, more than the limit, or as many as were read.
  const std::size_t count = count_positions(bytes.data(), bytes.size(), limit);
  REQUIRE(count == positions.size() || count == limit + 1);
}

void write_and_read(fuzz::Input input) {
  List positions;
  std::int64_t last = 0;
  while (!input.empty() && last < most) {
    // Runs, small gaps and gaps of any width.
    const std::uint64_t kind = input.below(4);
    std::uint64_t gap = kind < 2    ? kind
                        : kind == 2 ? input.byte()
                                    : input.word() >> input.below(64);
    if (gap > static_cast<std::uint64_t>(most - last - 1)) gap = 0;
    last += static_cast<std::int64_t>(gap) + 1;
    positions.push_back(last);
  }
  const Bytes bytes = encoded(positions);
  REQUIRE(decoded(bytes, positions.size() + 1) == positions);
  REQUIRE(count_positions(bytes.data(), bytes.size(), positions.size()) == positions.size());

  // Every start of it is a start of the positions.
  for (std::size_t size = 0; size < bytes.size(); size++) {
    const Bytes start(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    const List read = decoded(start, positions.size() + 1);
    REQUIRE(read.size() < positions.size());
    REQUIRE(List(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(read.size())) ==
            read);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_anything(Bytes(data, data + size));
  if (size <= 512) write_and_read({data, size});
  return 0;
}
