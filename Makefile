# mastering: data mastering inside PostgreSQL.
#
#   make, make install, make installcheck   the usual PGXS targets, for a server you already have
#   make demo, make stop                    a private server in the tree, from dirty records to golden ones
#   make check                              build, lint, all tests; needs nothing installed but the packages
#   make psql                               psql on the private server; make distclean removes it
#   make lint, make quality, make bench     format and warnings; F1 on labelled data; timings beside peers
#   make fuzz, make bench-full              kernels against oracles; sizes beyond the millions
#   make soak SECONDS_LONG=600              random sequences against a model, readers without pause

MODULE_big = mastering
EXTENSION  = mastering
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" mastering.control)
PGFILEDESC = "mastering - record linkage, golden records and governed environments"

KERNEL_SRC := $(sort $(wildcard src/kernel/*.c))
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/kernel/*.c src/engine/*.c src/sql/*.c src/storage/*.c)))

INSTALL_SQL = mastering--$(EXTVERSION).sql
# Versions that were released are kept as they were (doc/upgrade.md). The update from the last of them is made of its
# install script, ours, and what is written by hand, FROM--TO.sql.
DELTA       = $(wildcard sql/updates/[0-9]*--$(EXTVERSION).sql)
UPDATE_FROM = $(patsubst sql/updates/%--$(EXTVERSION).sql,%,$(DELTA))
UPDATE_SQL  = $(patsubst %,mastering--%--$(EXTVERSION).sql,$(UPDATE_FROM))
# DATA means two things: to PGXS what is installed, to who types make demo DATA=file.csv the file.
DEMO_DATA   := $(if $(filter command environment,$(origin DATA)),$(DATA))
override DATA = $(filter-out sql/updates/$(INSTALL_SQL) $(addprefix sql/updates/,$(UPDATE_SQL)),$(wildcard sql/updates/mastering--*.sql))
DATA_built  = $(INSTALL_SQL) $(UPDATE_SQL)
EXTRA_CLEAN = $(INSTALL_SQL) $(wildcard mastering--*.sql)

# The regression tests, in an order in which later ones may use what earlier ones showed to work.
REGRESS      = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --outputdir=build/regress --encoding=UTF8 --no-locale --load-extension=mastering

# Sessions that meet: readers, promoters, loaders.
ISOLATION      = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=build/isolation --load-extension=mastering

# Bitcode is of no use to what runs in kernels; PGXS overwrites a plain assignment, hence override.
override with_llvm = no

PKG_CONFIG ?= pkg-config
ICU_CFLAGS := $(shell $(PKG_CONFIG) --cflags icu-i18n icu-uc 2>/dev/null)
ICU_LIBS   := $(shell $(PKG_CONFIG) --libs icu-i18n icu-uc 2>/dev/null || echo -licui18n -licuuc)

# -ffp-contract=off: scores are the same to the bit on every processor. Hidden visibility: a backend
# loads libraries into one global namespace.
PG_CPPFLAGS = -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server) $(ICU_CFLAGS)
PG_CFLAGS   = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
              -Wno-declaration-after-statement -Wno-sign-compare -fvisibility=hidden -ffp-contract=off -pthread
SHLIB_LINK  = -pthread $(ICU_LIBS) -lroaring -lm

PG_CONFIG ?= pg_config

# The house's own targets are in mk/ and call scripts that make what they need. They do without PGXS: it may
# not be installed yet, and has a target `check` that only says that there is none. Goals of both kinds are
# made one by one.
HOUSE  = demo stop psql check lint quality bench bench-full fuzz fuzz-seeded reference soak
OTHERS = $(filter-out $(HOUSE),$(or $(MAKECMDGOALS),all))
ifeq ($(OTHERS),)
.NOTPARALLEL:
include $(sort $(wildcard mk/*.mk))
else ifneq ($(filter $(HOUSE),$(MAKECMDGOALS)),)
.NOTPARALLEL:
.PHONY: $(MAKECMDGOALS)
$(MAKECMDGOALS):
	@$(MAKE) --no-print-directory $@
else
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error no PGXS: install postgresql-server-dev-15 (scripts/packages.sh build), or name the server with PG_CONFIG=)
endif
include $(PGXS)

$(INSTALL_SQL): $(sort $(wildcard sql/*.sql))
	cat $^ > $@

$(UPDATE_SQL): $(INSTALL_SQL) $(DELTA) sql/updates/mastering--$(UPDATE_FROM).sql scripts/update_script.pl
	perl scripts/update_script.pl sql/updates/mastering--$(UPDATE_FROM).sql $(INSTALL_SQL) $(DELTA) > $@ || { rm -f $@; exit 1; }

# Objects depend on every header: the tree is small, a stale object is not worth the cleverness.
$(OBJS): $(wildcard src/*.h src/*/*.h)

include $(sort $(wildcard mk/*.mk))
endif

.DEFAULT_GOAL := all
