// What a stream was created with, and how long its events are kept: the rows of
// kanthorq_setting_of_stream. A stream without a row has what `StreamSettings{}` says.
#pragma once

#include "id/ids.hpp"
#include "server/pg.hpp"

namespace kanthorq {

// What to do if a consumer has not finished events that are older than they are kept.
enum class OnLag {
  block,  // keep them
  skip,   // remove them, and count what the consumer has lost
};

struct StreamSettings {
  int64 partition_ms = 0;  // the time that one partition holds; 0: the stream is not partitioned
  IdForm id_form;          // of the ids that are made for the stream, and of the partitions' bounds
  int64 keep_ms = 0;       // 0: for ever
  OnLag on_lag = OnLag::block;
};

// "block" or "skip".
const char* on_lag_text(OnLag on_lag);

StreamSettings stream_settings(Oid schema, std::string_view name);

// Writes the row, or changes it. The caller holds lock_stream_name().
void write_stream_settings(Oid schema, std::string_view name, const StreamSettings& settings);

void forget_stream_settings(Oid schema, std::string_view name);

}  // namespace kanthorq
