# Positions are taken before the transaction has an id; the pause makes the moment long enough to meet.
# file: src/publish/insert.cpp
# red: crash/005_steps.pl stress
s/^      \.txid = FullTransactionIdGetDatum\(GetTopFullTransactionId\(\)\),.*$/      .txid = 0,/
/^      Int64GetDatum\(nextval_internal\(writer\.position_sequence, false\)\);$/{
n
a\
  if (!TransactionIdIsValid(GetTopTransactionIdIfAny())) pg_usleep(2000);\
  slot->tts_values[txid_column - 1] = FullTransactionIdGetDatum(GetTopFullTransactionId());
}
