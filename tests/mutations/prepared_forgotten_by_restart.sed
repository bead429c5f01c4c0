# Prepared transactions that were there before the server started are not looked for.
# file: src/stream/writers.cpp
# red: t/001_prepared.pl
s/^    add\(writers, holder\.localTransactionId\);.*$//
