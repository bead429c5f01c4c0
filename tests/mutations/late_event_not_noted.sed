# A direct insertion into a closed partition does not note that it is open again.
# file: src/publish/publish_events.cpp
# red: regress
s/^  if \(known\.closed\)$/  if (known.closed \&\& batch.count > 1'000'000)/
