# All that wait for a consumer wait for its turn, and not one of them.
# file: src/server/line.cpp
# red: t/010_line.pl
s/^  has_promised = pg_atomic_exchange_u32\(&standing->promised, 1\) == 0;$/  has_promised = true;/
