# check.mk: tests and checks. `make check` is scripts/check.sh; the rest here builds what it runs.

.PHONY: check lint lint-compile unit-programs

# KINDS="lint unit guard regress isolation tap": some of the tests only.
check:
	@scripts/check.sh $(KINDS)

lint:
	@scripts/packages.sh check
	@scripts/lint.sh

# Every C file once more with warnings as errors, in a folder of its own.
lint-compile: $(patsubst %.c,build/lint/%.o,$(OBJS:.o=.c) $(wildcard demo/*.c test/unit/*.c))

build/lint/%.o: %.c $(wildcard src/*.h src/*/*.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -fPIC -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	    -Wno-sign-compare -Werror -c -o $@ $<

# Each kernel test is a program of its own, linked with all kernels and nothing of PostgreSQL.
UNIT_PROGRAMS = $(patsubst test/unit/%.c,build/unit/%,$(wildcard test/unit/test_*.c))
unit-programs: $(UNIT_PROGRAMS)

$(UNIT_PROGRAMS): build/unit/%: test/unit/%.c $(KERNEL_SRC:.c=.o) $(wildcard test/unit/*.h src/kernel/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g -O2 -Wall -Wextra -ffp-contract=off -fopenmp -Isrc -Itest/unit $(ICU_CFLAGS) -o $@ \
	    $< $(KERNEL_SRC:.c=.o) $(SHLIB_LINK)
