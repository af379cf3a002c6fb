# reference.mk: what pages hold that is made: `make reference` writes doc/reference.md from the comments of the functions, `make
# examples` the output of the examples in the pages that test/scripts/test_examples.sh runs.

.PHONY: reference examples
reference:
	@scripts/packages.sh demo
	@scripts/server.sh install
	@scripts/server.sh start
	@scripts/reference.sh --new >build/reference.md
	@mv build/reference.md doc/reference.md

examples:
	@test/scripts/test_examples.sh 2>/dev/null || true
	@cd build/demo/pages && for page in README.md doc/*.md; do test ! -s $$page || cp $$page ../../../$$page; done
