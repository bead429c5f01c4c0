# The publishers that are open when a consumer starts are taken for such that begin later.
# file: src/consumer/start_at.cpp
# red: isolation
s/^  move_cursor\(place, Move\{after\}, last, writers\);$/  move_cursor(place, Move{after}, last, {nullptr, 0});/
