# A writer that is seen for the first time is taken to owe only what lies behind the new ceiling.
# file: src/core/cursor.hpp
# red: isolation
s/^      next\[count\+\+\] = \{writers\[i\], last_ceiling, cursor\};$/      next[count++] = {writers[i], cursor, cursor};/
