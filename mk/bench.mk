# bench.mk: what is measured. bench/ says with which data and peers.

.PHONY: quality bench bench-full

quality bench:
	@test -x bench/$@.sh || { echo "bench/$@.sh is not there yet" >&2; exit 1; }
	@bench/$@.sh

bench-full:
	@bench/bench_full.sh
