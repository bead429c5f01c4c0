# What lies after the last row that a pull sees is not counted as missing.
# file: src/core/cursor.hpp
# red: isolation
s/^    if \(end > reached\) miss\(reached \+ 1, end\);$/    if (end > reached \&\& reached < 0) miss(reached + 1, end);/
