# bench.mk: what is measured. bench/ says with which data and peers.

.PHONY: quality bench

quality bench:
	@test -x bench/$@.sh || { echo "bench/$@.sh is not there yet" >&2; exit 1; }
	@bench/$@.sh
