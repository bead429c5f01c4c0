# An INSERT or COPY into a closed partition is not noted, so that it stays closed.
# file: src/stream/partitions.cpp
# red: stress
s/^  if \(OidIsValid\(stream\)\) note_reopening\(own_schema\(fcinfo\), stream, partition, IfUnlisted::skip\);$/  (void)stream;/
