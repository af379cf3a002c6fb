/*
 * shared_keys.h: which records may share their key of a blocking rule with another. Most do not, and what
 * these would cost while a rule's keys are put in order is saved.
 */
#ifndef MASTERING_ENGINE_SHARED_KEYS_H
#define MASTERING_ENGINE_SHARED_KEYS_H

#include "engine/run.h"

typedef struct shared_keys {
    const uint8 *rules; /* by record, some rules' bits; NULL: nothing is known */
    uint8 bit;          /* of this rule. A record without it has no key, or one that no other has */
    uint64 keys;        /* records that have a key */
} shared_keys;

/*
 * What is known of a rule, whose parts are single values. Where other rules, whose blocks are not made
 * either, read a column of it, it is found out for them, too, in one reading of the records.
 */
extern shared_keys shared_keys_of(match_run *run, int rule);

/* Of records first up to end, those that have the rule's bit. */
extern uint32 shared_keys_count(const shared_keys *shared, uint32 first, uint32 end);

/* Lets go of all of it. */
extern void shared_keys_free(match_run *run);

#endif
