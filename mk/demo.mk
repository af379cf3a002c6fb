# demo.mk: the private server and what is shown on it.
#
#   make demo                    the built-in story on 30,000 made-up records; ROWS= for more, up to 10,000,000
#   make demo DATA=file.csv      the same with a CSV file of yours; ENCODING= when it is not UTF-8, HEADER=no without names

.PHONY: demo stop psql

# Through the environment: a file's name may have any character in it.
demo: export DATA := $(DEMO_DATA)
demo: export ROWS := $(ROWS)
demo: export ENCODING := $(ENCODING)
demo: export HEADER := $(HEADER)
demo:
	@scripts/demo.sh

stop:
	@scripts/server.sh stop

psql:
	@scripts/server.sh psql -v SHOW_CONTEXT=never

ifneq ($(filter distclean maintainer-clean,$(MAKECMDGOALS)),)
distclean maintainer-clean: remove-build
.PHONY: remove-build
remove-build: clean
	@scripts/server.sh remove
	rm -rf build
endif
