# Locks belong to the cursor that a function runs in, not to the transaction.
# file: src/server/lock.cpp
# red: isolation stress
/^  CurrentResourceOwner = CurTransactionResourceOwner;$/d
