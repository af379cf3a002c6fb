# generate.mk: the program that makes up the demonstration's records.

build/demo/generate: demo/generate.c demo/people.c demo/people.h demo/vocabulary.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -o $@ demo/generate.c demo/people.c
