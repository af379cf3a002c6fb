# fuzz.mk: `make fuzz` runs every kernel against a naive oracle under the address and undefined-behaviour sanitizers,
# INPUTS inputs each: by libFuzzer where clang has it, else with a seeded generator of our own (SEED=).

INPUTS       ?= 1000000
SEED         ?= 1
FUZZ_KERNELS ?= jaro levenshtein damerau lcs qgram token names terms minhash level profile phonetic lanes sort components bytes quantity forms short dates digests
FUZZ_FLAGS    = -std=gnu11 -Wall -Wextra -Werror -Isrc -Itest/fuzz -pthread -ffp-contract=off -O2 -g \
                -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_SOURCES  = $(wildcard test/fuzz/*.c) $(wildcard src/kernel/*.c)

.PHONY: fuzz fuzz-seeded
fuzz:
	@mkdir -p build/fuzz
	@if ! command -v clang >/dev/null; then \
	    echo "make fuzz: no clang (Debian: clang); the seeded generator instead"; \
	    $(MAKE) --no-print-directory fuzz-seeded; \
	elif ! echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d == 0 && n; }' | \
	    clang -fsanitize=fuzzer,address,undefined -x c -o build/fuzz/probe - 2>build/fuzz/probe.log; then \
	    echo "make fuzz: clang has no libFuzzer or no sanitizers (Debian: libclang-rt-14-dev), see build/fuzz/probe.log; the seeded generator instead"; \
	    $(MAKE) --no-print-directory fuzz-seeded; \
	else \
	    $(MAKE) --no-print-directory build/fuzz/guided && for kernel in $(FUZZ_KERNELS); do \
	        echo "$$kernel: $(INPUTS) inputs by libFuzzer"; mkdir -p build/fuzz/corpus/$$kernel; \
	        FUZZ_KERNEL=$$kernel build/fuzz/guided -runs=$(INPUTS) -max_len=200 -seed=$(SEED) -verbosity=0 \
	            -artifact_prefix=build/fuzz/ build/fuzz/corpus/$$kernel || exit 1; \
	    done; \
	fi

fuzz-seeded: build/fuzz/seeded
	@for kernel in $(FUZZ_KERNELS); do FUZZ_KERNEL=$$kernel build/fuzz/seeded $(INPUTS) $(SEED) || exit 1; done

build/fuzz/guided: $(FUZZ_SOURCES) $(wildcard src/kernel/*.h test/fuzz/*.h test/unit/naive_*.h)
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $(FUZZ_SOURCES) -lm

build/fuzz/seeded: $(FUZZ_SOURCES) $(wildcard src/kernel/*.h test/fuzz/*.h test/unit/naive_*.h)
	@mkdir -p $(@D)
	$(CC) $(FUZZ_FLAGS) -DFUZZ_ALONE -o $@ $(FUZZ_SOURCES) -lm
