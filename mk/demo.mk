# demo.mk: the private server and what is shown on it.
#
#   make demo                    the built-in story on 30,000 made-up records; ROWS= for more, up to 10,000,000
#   make demo DATA=file.csv      the same with a CSV file of yours; ENCODING= when it is not UTF-8, HEADER=no without names

.PHONY: demo stop psql

demo:
	@ROWS='$(ROWS)' DATA='$(DEMO_DATA)' ENCODING='$(ENCODING)' HEADER='$(HEADER)' scripts/demo.sh

stop:
	@scripts/server.sh stop

psql:
	@scripts/server.sh psql

ifneq ($(filter distclean maintainer-clean,$(MAKECMDGOALS)),)
distclean maintainer-clean: remove-build
.PHONY: remove-build
remove-build: clean
	@scripts/server.sh remove
	rm -rf build
endif
