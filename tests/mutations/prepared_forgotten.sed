# Prepared transactions are not looked for.
# file: src/stream/writers.cpp
# red: isolation
/^  add\(writers, prepared\);$/d
