// The functions of core/cursor.hpp, for vectors.
#pragma once

#include "core/cursor.hpp"

#include <vector>

namespace kanthorq {

using Txids = std::vector<std::uint64_t>;
using Late = std::vector<LateWriter>;

inline bool contains(const Txids& txids, std::uint64_t txid) {
  return kanthorq::contains(txids.data(), txids.size(), txid);
}

inline bool is_of_open_writer(std::uint64_t txid, std::int64_t position, const Txids& writers,
                              const Late& late, std::int64_t last_ceiling) {
  return kanthorq::is_of_open_writer(txid, position, writers.data(), writers.size(), late.data(),
                                     late.size(), last_ceiling);
}

inline std::int64_t ordered_ceiling(std::int64_t ceiling, const Txids& writers, const Late& late,
                                    std::int64_t last_ceiling) {
  return kanthorq::ordered_ceiling(ceiling, writers.data(), writers.size(), late.data(),
                                   late.size(), last_ceiling);
}

// `next` has the room that it must have and no more, for the address sanitizer.
inline Late next_late(const Late& late, const Txids& writers, std::int64_t last_ceiling,
                      const Move& move) {
  Late next(late.size() + writers.size());
  next.resize(kanthorq::next_late(late.data(), late.size(), writers.data(), writers.size(),
                                  last_ceiling, move, next.data()));
  return next;
}

}  // namespace kanthorq
