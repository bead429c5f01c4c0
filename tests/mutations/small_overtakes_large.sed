# A pull skips an event that does not fit, and delivers smaller ones after it.
# file: src/consumer/running_pull.hpp
# red: regress t/030_model.pl
s/^    is_closed = !fits;$//
