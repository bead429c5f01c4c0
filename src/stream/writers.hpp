// Who is writing to a stream, and which position was handed out last.
#pragma once

#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

struct OpenWriters {
  std::uint64_t* txids;
  std::size_t count;
  bool has_prepared;  // one of them is a prepared transaction, whose end wakes nobody
};

// Makes the current transaction a writer of the stream with this table, before its first position.
// It takes the writer's lock for the transaction (server/lock.hpp) and gives the transaction an id.
void become_writer(Oid table);

// The top-level ids of the transactions that hold a writer's lock on the stream's table now, this
// transaction's own included, each once. A holder without an id is left out. It will get an id
// before it takes a position, so it can only take positions that were not handed out yet.
OpenWriters open_writers(const OpenStream& stream);

// The last position that was handed out; 0 if none was.
int64 last_position(const OpenStream& stream);

}  // namespace kanthorq
