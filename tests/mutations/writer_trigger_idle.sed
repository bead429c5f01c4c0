# The trigger of stream tables neither locks the table for the transaction nor gives it an id.
# file: src/txid.cpp
# red: isolation stress
/^  lock_relation\(RelationGetRelid\(trigger->tg_relation\), RowExclusiveLock\);$/d
/^  \(void\)GetTopFullTransactionId\(\);$/d
