# What was found before a publisher waited for a partition's lock is not looked at again.
# file: src/publish/route.cpp
# red: isolation
s/ \|\| partitions_of\(stream\.table\) == finding\.partitions\) \{$/ || batch.count >= 0) {/
