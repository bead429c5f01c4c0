// The positions that a lease covers, in as few bytes as possible. They are written once, and once
// more for each partial acknowledgement, so they decide what consuming costs in WAL.
//
// Ascending positions become runs. A run is its distance from the end of the run before, then its
// length, both as base-128 numbers with the lowest seven bits first. A hundred events in a row take
// about three bytes, a hundred scattered ones two bytes each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace kanthorq {

// No run takes more than two numbers of at most ten bytes.
constexpr std::size_t max_encoded_positions_bytes(std::size_t count) noexcept { return 20 * count; }

constexpr std::size_t encode_number(std::uint64_t number, unsigned char* bytes) noexcept {
  std::size_t size = 0;
  for (; number >= 128; number >>= 7) bytes[size++] = static_cast<unsigned char>(number | 128);
  bytes[size++] = static_cast<unsigned char>(number);
  return size;
}

// `positions` are at least 1 and strictly ascending. `bytes` has room for
// max_encoded_positions_bytes(count). Returns how many bytes were written.
constexpr std::size_t encode_positions(const std::int64_t* positions, std::size_t count,
                                       unsigned char* bytes) noexcept {
  std::size_t size = 0;
  std::int64_t end = 0;
  for (std::size_t i = 0; i < count;) {
    std::size_t length = 1;
    while (i + length < count &&
           positions[i + length] == positions[i] + static_cast<std::int64_t>(length))
      length++;
    size += encode_number(static_cast<std::uint64_t>(positions[i] - end), bytes + size);
    size += encode_number(length, bytes + size);
    i += length;
    end = positions[i - 1];
  }
  return size;
}

// Walks encoded positions in order.
class PositionReader {
 public:
  constexpr PositionReader(const unsigned char* bytes, std::size_t size) noexcept
      : next_(bytes), end_(bytes + size) {}

  // False at the end, and as soon as the bytes are no encoded positions.
  constexpr bool next(std::int64_t& position) noexcept {
    if (left_ == 0 && !next_run()) return false;
    left_--;
    position = ++position_;
    return true;
  }

  // Has next() come to bytes that are no encoded positions?
  constexpr bool is_damaged() const noexcept { return damaged_; }

 private:
  constexpr bool next_run() noexcept {
    if (next_ == end_) return false;
    const auto room =
        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() - position_);
    std::uint64_t distance = 0;
    std::uint64_t length = 0;
    if (!number(distance) || !number(length) || distance == 0 || length == 0 || distance > room ||
        length - 1 > room - distance) {
      next_ = end_;
      damaged_ = true;
      return false;
    }
    position_ += static_cast<std::int64_t>(distance) - 1;
    left_ = length;
    return true;
  }

  constexpr bool number(std::uint64_t& value) noexcept {
    value = 0;
    for (int shift = 0; next_ < end_ && shift < 64; shift += 7) {
      const unsigned char byte = *next_++;
      if (shift == 63 && byte > 1) return false;  // more than 64 bits
      value |= std::uint64_t{byte & 127u} << shift;
      if (byte < 128) return true;
    }
    return false;
  }

  const unsigned char* next_;
  const unsigned char* end_;
  std::uint64_t left_ = 0;
  std::int64_t position_ = 0;
  bool damaged_ = false;
};

// How many there are. If there are more than `most`, or if the bytes are no encoded positions, the
// answer is more than `most`. A few bytes can stand for any number, so counting stops there.
constexpr std::size_t count_positions(const unsigned char* bytes, std::size_t size,
                                      std::size_t most) noexcept {
  PositionReader reader(bytes, size);
  std::int64_t position = 0;
  std::size_t count = 0;
  while (count <= most && reader.next(position)) count++;
  return reader.is_damaged() ? most + 1 : count;
}

}  // namespace kanthorq
