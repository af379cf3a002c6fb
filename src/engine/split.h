/*
 * split.h: keys of a blocking rule that too many records have, divided by the leading letters of their
 * records.
 *
 * A block of more than max_block records is not compared in full. A window over its records in order would
 * make it depend on all of them whether two are compared, so training decides once for such a key in how many
 * leading letters (of the two columns that windows go by) its records must agree to be compared: the fewest
 * that leave about as many pairs as windows would. The model keeps that (frozen.h), and whether two records
 * meet under a key then depends on them and the model alone. Keys that letters do not divide, and keys that
 * grow too large later, are left to windows, and that is said.
 */
#ifndef MASTERING_ENGINE_SPLIT_H
#define MASTERING_ENGINE_SPLIT_H

#include "compat.h"

#include "engine/run.h"
#include "engine/spool.h"

/* What a rule's split keys came to in this run. */
typedef struct split_statistics {
    uint64 keys;    /* that more than max_block records have */
    uint64 largest; /* records of one of them */
    uint64 pairs;   /* of records of one key that are not compared for it */
} split_statistics;

typedef struct split_state split_state;

/* Takes over what the specification knows of a rule's large keys; once a run, and cheap after that. */
extern void split_prepare(match_run *run, int rule);

/* Whether the rule has such keys. */
extern bool split_any(const match_run *run, int rule);

/* What a record's key becomes: the same, or with its letters one of the parts. Any thread. */
extern uint64 split_key_of(const match_run *run, int rule, uint32 record, uint64 key);

/*
 * Decides for a rule whose entries lie in order by key, unless the specification or its training has. True:
 * there are keys to divide, and the entries must be made again.
 */
extern bool split_decide(match_run *run, int rule, const keyed_record *entries, uint64 count);

/*
 * The same in steps, for runs in passes: whether there is something to decide; large keys are gathered from
 * the entries of all records of some keys at a time, which the store holds; then it is decided.
 */
extern bool split_undecided(const match_run *run, int rule);
extern void split_gather(match_run *run, int rule, const keyed_record *entries, uint64 count);
extern bool split_conclude(match_run *run, int rule);

/* For these: split_key_of of a record in a spool, and that the store has other values than before. */
extern uint64 split_key_of_values(const match_run *run, int rule, const spool_value *values, uint64 key);
extern void split_take_values(match_run *run, int rule);

/* Counts a record's key and what it became; then, when all are counted, the statistics. */
extern void split_count(match_run *run, int rule, uint64 key, uint64 part);
extern void split_finish_counting(match_run *run, int rule);
extern const split_statistics *split_statistics_of(const match_run *run, int rule);

/* What was decided, for a model to keep; not known where nothing was. */
extern const rule_splits *split_decided(const match_run *run, int rule);

#endif
