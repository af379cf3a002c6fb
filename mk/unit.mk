# The kernels' tests, which need no server: each program is built and run twice, as shipped and under the
# address and undefined-behaviour sanitizers.

UNIT_FLAGS    = -std=gnu11 -Wall -Wextra -Werror -Isrc -Itest/unit -pthread -ffp-contract=off -O2 -g
UNIT_SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
UNIT_HEADERS  = $(wildcard src/kernel/*.h test/unit/*.h)
UNIT_KERNELS  = $(patsubst src/kernel/%.c,%.o,$(sort $(wildcard src/kernel/*.c)))
UNIT_TESTS    = $(patsubst test/unit/test_%.c,%,$(sort $(wildcard test/unit/test_*.c)))

UNIT_PROGRAMS = $(UNIT_TESTS:%=build/unit/plain/%) $(UNIT_TESTS:%=build/unit/sanitized/%)

# `make check` builds the programs and runs and counts them itself.
.PHONY: unit unit-programs
unit: $(UNIT_PROGRAMS:%=%.passed)
unit-programs: $(UNIT_PROGRAMS)

build/unit/plain/%.o: src/kernel/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(UNIT_FLAGS) -c -o $@ $<

build/unit/sanitized/%.o: src/kernel/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(UNIT_FLAGS) $(UNIT_SANITIZE) -c -o $@ $<

build/unit/plain/%: test/unit/test_%.c $(UNIT_KERNELS:%=build/unit/plain/%)
	$(CC) $(UNIT_FLAGS) -o $@ $^ -lm

build/unit/sanitized/%: test/unit/test_%.c $(UNIT_KERNELS:%=build/unit/sanitized/%)
	$(CC) $(UNIT_FLAGS) $(UNIT_SANITIZE) -o $@ $^ -lm

build/unit/%.passed: build/unit/%
	$<
	@touch $@

# Kept, so that the next run builds what changed and no more.
.SECONDARY: $(UNIT_KERNELS:%=build/unit/plain/%) $(UNIT_KERNELS:%=build/unit/sanitized/%)
