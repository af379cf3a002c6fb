/*
 * key_parts.h: for runs in passes: the records that share a key of a rule, dealt into files by the first bits
 * of the key, so that the records of a file and their blocks fit into memory.
 *
 * Where temporary files may take it, the records of all rules are dealt in one go, and kept from the visit
 * that trains to the one that scores: reading the spool, hashing its texts and writing the shares is most of
 * what passes cost. Else those of some rules at a time, or of one.
 */
#ifndef MASTERING_ENGINE_KEY_PARTS_H
#define MASTERING_ENGINE_KEY_PARTS_H

#include "compat.h"

#include "engine/run.h"
#include "storage/buffile.h"

typedef struct key_part {
    BufFile *keys;    /* of 64 bits, a record each */
    BufFile *records; /* numbered, in the same order */
    uint32 count;
} key_part;

typedef struct key_parts {
    int bits;
    key_part *parts; /* 1 << bits */
    uint64 keys;     /* records with a key */
} key_parts;

/* The parts of a rule: those that were kept, or dealt now. records_each: that fit into memory. */
extern key_parts *key_parts_of(match_run *run, int rule, uint64 records_each);

/* The same dealt anew: keys are divided that were not. */
extern key_parts *key_parts_again(match_run *run, int rule, uint64 records_each);

/* No more is wanted of a rule's parts in this visit; another_visit: they are wanted again if they can be
 * kept. */
extern void key_parts_done(match_run *run, int rule, bool another_visit);

/* Closes what was kept. */
extern void key_parts_close(match_run *run);

#endif
