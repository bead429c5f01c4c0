// Who is writing to a stream, and how far positions were handed out.
#pragma once

#include "pg.hpp"

namespace kanthorq {

struct OpenWriters {
  std::uint64_t* txids;
  std::size_t count;
};

// The top-level ids of the transactions that hold a writer's lock on the stream's table now, this
// transaction's own included, each once. A holder that has no id yet is left out: it has an id
// before it takes a position, so it can only take positions that were not handed out yet.
OpenWriters open_writers(Relation stream);

// The last position that was handed out; 0 where none was.
int64 last_position(Oid sequence);

}  // namespace kanthorq
