# Whoever takes events does not call the next of those that wait, who then comes a second later.
# file: src/server/wake.cpp
# red: t/010_line.pl
s/^  if \(to_call\.any\) call_lines\(to_call\);$/  if (to_call.any \&\& to_call.bits[0] == 7) call_lines(to_call);/
