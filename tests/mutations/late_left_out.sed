# A row that is left to an open writer is taken for an ended transaction's.
# file: src/core/cursor.hpp
# red: isolation
s/^    if \(is_of_open_writer\) miss\(position, position\);$/    if (is_of_open_writer \&\& position < 0) miss(position, position);/
