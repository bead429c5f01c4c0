// Whose a partition is.
//
// The server lets a partition have an owner of its own. ALTER TABLE ... OWNER TO changes the
// stream's table alone, and whoever attaches a partition by hand may be another role than the
// stream's owner. What such a role puts on its partition, a trigger, say, the server runs with the
// rights of whoever inserts into the stream, reads it, or removes from it. So
//   - maintenance, which acts as the owner of the stream's table, keeps away from such a partition,
//     or gives it to that owner if it may (retention/guards.cpp);
//   - our functions have the server run a statement on it only if there is no such thing.
// Rows that are read and written directly run nobody's code, and need no rights to a partition.
#pragma once

#include "server/pg.hpp"
#include "stream/open_stream.hpp"

namespace kanthorq {

// Does the partition belong to the owner of the stream's table? False if it is gone.
bool is_of_stream_owner(Oid stream, Oid partition);

// Raises 55000 if it does not.
void require_of_stream_owner(Oid stream, Oid partition);

// May the partition be given to the owner of the stream's table as it is? If somebody else has put
// code on it, or could do so afterwards, that would run with the rights of the new owner.
bool is_safe_to_give(Relation partition, Relation stream, Oid schema);

// What a statement does: the first one is planned, and the second one also fires triggers and the
// like.
enum class Access { reads, changes };

// Before the server runs a statement on the partition. Raises 55000 if that might run code of a
// role that has not the rights of the stream's owner. Nothing is added to the partition before the
// end of the transaction.
void require_no_foreign_code(const OpenStream& stream, Oid partition, Access access);

// The same for all partitions.
void require_no_foreign_code(const OpenStream& stream, Access access);

}  // namespace kanthorq
