# Whoever leaves the line without events calls nobody in its stead. Somebody else looks within a second or so.
# file: src/server/line.cpp
# green: t/010_line.pl isolation
s/^  if \(!pass_on\) return;$/  if (!pass_on || standing == nullptr) return;/
