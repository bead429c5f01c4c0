# Prepared transactions that were there before the server started are not looked for.
# file: src/writers.cpp
# red: t/001_prepared.pl
s/^    add\(writers, holder\.localTransactionId\);.*$//
