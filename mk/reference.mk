# reference.mk: `make reference` writes doc/reference.md from the comments of the functions.

.PHONY: reference
reference:
	@scripts/packages.sh demo
	@scripts/server.sh install
	@scripts/server.sh start
	@scripts/reference.sh --new >build/reference.md
	@mv build/reference.md doc/reference.md
