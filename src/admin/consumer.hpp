// Consumers as a whole.
#pragma once

#include "server/pg.hpp"

namespace kanthorq {

// Drops the consumer; its owner only. Takes the lock of its name. False where somebody else was
// faster.
bool drop_consumer(Oid schema, std::string_view name);

}  // namespace kanthorq
