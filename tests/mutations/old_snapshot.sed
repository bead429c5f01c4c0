# A pull looks at what its statement sees, not at what is committed when it looks.
# file: src/consumer/delivery.cpp
# red: isolation
s/^    pull\.snapshot = newest;$/    pull.snapshot = newest ? GetActiveSnapshot() : newest;/
