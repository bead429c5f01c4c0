# Whoever takes events does not call the next of those that wait, who then comes a second later.
# file: src/server/wake.cpp
# red: t/010_line.pl
s/^  if \(lines_to_wake\.any\) wake_lines\(lines_to_wake\);$/  if (lines_to_wake.any \&\& lines_to_wake.bits[0] == 7) wake_lines(lines_to_wake);/
