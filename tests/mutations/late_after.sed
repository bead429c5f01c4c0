# A writer that owes events already is taken to begin with what is missing now.
# file: src/core/cursor.hpp
# red: isolation
s/^  if \(!owes\) \{$/  if (owes || move.reached > 0) {/
