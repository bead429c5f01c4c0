# The writers that the cursor passes are not remembered.
# file: src/core/cursor.hpp
# red: isolation
s/^    if \(!find_late\(late, late_count, writers\[i\]\)\)$/    if (find_late(late, late_count, writers[i]) \&\& late_count > 1'000'000)/
