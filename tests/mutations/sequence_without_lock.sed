# The sequence's row is read without its buffer's lock.
# file: src/stream/writers.cpp
# red: t/002_last_position.pl
/^  LockBuffer\(buffer, BUFFER_LOCK_SHARE\);$/d
s/^  UnlockReleaseBuffer\(buffer\);$/  ReleaseBuffer(buffer);/
