# Positions that are reserved in the WAL are taken for handed out.
# file: src/stream/writers.cpp
# red: t/002_last_position.pl
s/^  const int64 last = data->is_called \? data->last_value/  const int64 last = data->is_called ? data->last_value + data->log_cnt/
