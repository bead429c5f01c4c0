# KanthorQ builds with PGXS against the server that PG_CONFIG names:
#   make && sudo make install                      into that server
#   make installcheck                              the suites regress and isolation, against a running server
# The unit tests of src/core/ build with CMake; scripts/test runs everything.

srcdir ?= .
EXTENSION = kanthorq
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(srcdir)/kanthorq.control)

MODULE_big = kanthorq
OBJS = $(patsubst $(srcdir)/%.cpp,%.o,$(sort $(wildcard $(srcdir)/src/*.cpp $(srcdir)/src/*/*.cpp)))

DATA_built = sql/kanthorq--$(EXTVERSION).sql
EXTRA_CLEAN = sql/kanthorq--$(EXTVERSION).sql

# Every file in sql/ is a test, but for sql/kanthorq.sql and what is made from it. The first test creates
# the extension and the last one drops it. The order of the others does not matter.
REGRESS = create_extension \
	$(filter-out kanthorq kanthorq--% create_extension drop_extension, \
	  $(patsubst $(srcdir)/sql/%.sql,%,$(sort $(wildcard $(srcdir)/sql/*.sql)))) \
	drop_extension
# Without those that the command line names.
override REGRESS := $(filter-out $(WITHOUT),$(REGRESS))

# Interleavings of several sessions; make installcheck runs them, too.
ISOLATION = $(patsubst $(srcdir)/tests/isolation/specs/%.spec,%,$(sort $(wildcard $(srcdir)/tests/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/tests/isolation --load-extension=kanthorq

# No exceptions, no run-time types, no guards around local statics, nothing exported but what is
# marked: the library has no C++ runtime in the server, and tests/lint/symbols proves it.
PG_CXXFLAGS = -I$(srcdir)/src -std=gnu++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fvisibility=hidden \
	-Wall -Wextra -Werror -Wno-register -Wno-ignored-attributes -Wno-unused-parameter -Wno-missing-field-initializers
# Points at which tests/crash ends a server process or raises an error (src/server/test_point.hpp).
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

# A build outside the sources needs folders for its objects. As prerequisites they would be found in the sources.
ifneq ($(VPATH),)
$(shell mkdir -p $(sort $(dir $(OBJS))))
endif

$(OBJS): $(wildcard $(srcdir)/src/*/*.hpp)

sql/kanthorq--$(EXTVERSION).sql: sql/kanthorq.sql
	mkdir -p $(@D)
	cp $< $@
