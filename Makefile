# KanthorQ builds with PGXS against the server that PG_CONFIG names:
#   make && sudo make install                      into that server
#   make installcheck                              the suites regress and isolation, against a running server
# The unit tests of src/core/ build with CMake; scripts/test runs everything.

EXTENSION = kanthorq
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(srcdir)/kanthorq.control)

MODULE_big = kanthorq
OBJS = \
	src/kanthorq.o \
	src/fault.o \
	src/validators.o \
	src/ids.o \
	src/lock.o \
	src/known.o \
	src/rows.o \
	src/registry.o \
	src/registered_table.o \
	src/citus.o \
	src/shape.o \
	src/stream.o \
	src/stream_table.o \
	src/txid.o \
	src/publish.o \
	src/publish_many.o \
	src/insert.o \
	src/executor_insert.o \
	src/time_range.o \
	src/events.o \
	src/removal.o \
	src/time.o \
	src/consumer.o \
	src/consumer_table.o \
	src/task_table.o \
	src/start_at.o \
	src/start_type.o \
	src/place.o \
	src/lease.o \
	src/task.o \
	src/worker.o \
	src/writers.o \
	src/idle.o \
	src/result_rows.o \
	src/delivery.o \
	src/pull.o \
	src/settle.o \
	src/tasks.o \
	src/wake.o \
	src/wait.o \
	src/status.o \
	src/unfinished.o

DATA_built = sql/kanthorq--$(EXTVERSION).sql
EXTRA_CLEAN = sql/kanthorq--$(EXTVERSION).sql

# The regression tests, in the order of an event's life.
REGRESS = \
	create_extension schema validators ids encoding stream adoption registered_table publish publish_many \
	outbox insert paths duplicates events removal hostile consumer consumer_altered pull ack retry cancel \
	retention seek wait consumer_privileges hostile_consumer hostile_owner views consumer_errors versions \
	errors session quickstart drop_extension

# Interleavings of several sessions; make installcheck runs them, too.
ISOLATION = \
	commit_order create_create create_drop create_rollback define_publish drop_publish duplicate_error \
	remove_publish skip_repeatable_read skip_skip late_committer late_prepared ordered_consumer pull_pull \
	pull_definition settle_expiry cancel_settle ack_pull_cancel publish_pull pull_isolation drop_pull \
	foreign_transaction two_streams publish_where cursor_publish cursor_worker insert_position owner_changes \
	start_at_time ordered_start clean_up trim_drop
ISOLATION_OPTS = --inputdir=$(srcdir)/tests/isolation --load-extension=kanthorq

srcdir ?= .
# No exceptions, no run-time types, no guards around local statics, nothing exported but what is
# marked: the library has no C++ runtime in the server, and tests/lint/symbols proves it.
PG_CXXFLAGS = -std=gnu++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fvisibility=hidden \
	-Wall -Wextra -Werror -Wno-register -Wno-ignored-attributes -Wno-unused-parameter -Wno-missing-field-initializers
# Points at which tests/crash ends the server's process (src/test_point.hpp).
ifdef KANTHORQ_TEST_POINTS
PG_CXXFLAGS += -DKANTHORQ_TEST_POINTS
endif
# Without the compiler's start files: there are no static constructors for them to run, and so not even
# a weak reference to a C++ runtime is left.
SHLIB_LINK = -nostartfiles
# Bitcode would only let the server inline functions that are not worth it, and needs clang.
override with_llvm := no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(wildcard $(srcdir)/src/*.hpp $(srcdir)/src/core/*.hpp)

sql/kanthorq--$(EXTVERSION).sql: sql/kanthorq.sql
	mkdir -p $(@D)
	cp $< $@
