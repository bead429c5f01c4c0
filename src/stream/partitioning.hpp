// Which range of ids a partition holds. A partition's ids have their times in one interval, from a
// whole multiple of it since 1970 on (UTC).
#pragma once

#include "server/pg.hpp"
#include "stream/settings.hpp"

namespace kanthorq {

inline constexpr int partitions_ahead = 4;

// For _PG_init().
void define_partition_settings();

// The argument `partition_interval`, in milliseconds; if it is null, what the setting
// kanthorq.default_partition_interval says; 0 if that is empty. Raises 22023 unless these are whole
// hours, days or weeks.
int64 partition_interval_argument(FunctionCallInfo fcinfo, int argument);

// The start of the interval in which the time lies; both in milliseconds since 1970.
int64 partition_start(const StreamSettings& settings, int64 at);

// What the partition that starts then is called: the end of its table's name.
const char* partition_mark(const StreamSettings& settings, int64 start);

// The bounds of the partition that starts then.
const char* partition_lower(const StreamSettings& settings, int64 start);
const char* partition_upper(const StreamSettings& settings, int64 start);

// Creates the partition that starts then, empty, and the default one; attaches it and notes that it
// is open. The current user owns the stream's table. To be called within with_spi().
Oid add_range_partition(Oid schema, std::string_view name, Oid stream,
                        const StreamSettings& settings, int64 start);
Oid add_default_partition(Oid schema, std::string_view name, Oid stream);

}  // namespace kanthorq
