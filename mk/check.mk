# check.mk: tests and checks. `make check` is scripts/check.sh; the rest here builds what it runs.

.PHONY: check lint lint-compile

ifndef PGXS
# KINDS="lint unit scripts guard regress isolation tap": some of the tests only.
check:
	@scripts/check.sh $(KINDS)
else
# pg_regress looks for expected/ beside its output.
installcheck: build/regress/expected
build/regress/expected:
	@mkdir -p $(@D)
	ln -sfn ../../expected $@
endif

lint:
	@scripts/packages.sh check
	@scripts/lint.sh

# Every C file once more with warnings as errors, in a folder of its own.
lint-compile: $(patsubst %.c,build/lint/%.o,$(OBJS:.o=.c) $(wildcard demo/*.c test/unit/*.c test/fuzz/*.c))

build/lint/%.o: %.c $(wildcard src/*.h src/*/*.h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -fPIC -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	    -Wno-sign-compare -Werror -c -o $@ $<
