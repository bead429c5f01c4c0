# A writer that is seen for the first time is taken to owe only what lies after the new ceiling.
# file: src/core/cursor.hpp
# red: isolation
s/^      next\[count\+\+\] = moved\(\{writers\[i\], last_ceiling, last_ceiling\}, move\);$/      next[count++] = {writers[i], move.reached, move.reached};/
