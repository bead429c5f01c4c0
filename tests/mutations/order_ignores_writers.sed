# An ordered consumer does not wait for open writers.
# file: src/core/cursor.hpp
# red: isolation
s/^    if \(after < ceiling\) ceiling = after;$/    if (after < 0) ceiling = after;/
