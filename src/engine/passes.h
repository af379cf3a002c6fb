/*
 * passes.h: runs whose records do not fit into memory. The records are in a spool (spool.h); what a run does
 * is done for some of them at a time, whose rows and dictionaries the record store holds meanwhile: the
 * records of a range of keys when pairs are visited, the records that some random pairs name, the records of
 * some connected components when clusters are made, the values of a range of hashes when they are counted.
 *
 * Nothing of a result depends on it: records keep their numbers, ranges of keys are taken in the order of
 * the keys, and what is summed are whole numbers.
 *
 * What is kept in memory throughout: 4 bytes a record for each rule with windowed blocks, 32 bytes a link and
 * some 40 bytes a linked record when clusters are made. A block that is larger than what fits, the range of
 * its key being no further divisible, is read as a whole, and that is said in a WARNING.
 */
#ifndef MASTERING_ENGINE_PASSES_H
#define MASTERING_ENGINE_PASSES_H

#include "compat.h"

#include "engine/cluster.h"
#include "engine/marked_records.h"
#include "engine/run.h"
#include "engine/spool.h"

/* Whether all that a specification asks for can be done in passes: no nearest neighbours, no TF-IDF. */
extern bool passes_can(const match_spec *spec);

/* Whether that holds with a column "source": what is to be known of sources is in the model. */
extern bool passes_can_have_sources(const match_spec *spec);

/* What rows and dictionaries may take while they are read. */
extern Size passes_read_limit(void);

/* Makes a run ready whose store has a spool; lets go of all files. */
extern void passes_open(match_run *run);
extern void passes_close(match_run *run);

/* As match_run_visit of one rule; pairs come with the numbers of their records. */
extern void passes_visit_rule(match_run *run, int rule, const visit_options *options, pair_consumer consume,
                              void *context);

/* Two records, by their numbers in the spool. */
typedef struct named_pair {
    uint32 a, b;
} named_pair;

/*
 * The first records of the spool, in files of so many each that two of them fit into memory. Loads one, or
 * two (a < b).
 */
typedef struct record_blocks {
    uint32 each, count;
    uint32 *records; /* by block */
    BufFile **files;
} record_blocks;
extern record_blocks *passes_deal_blocks(match_run *run, uint32 records);
extern void passes_load_blocks(match_run *run, const record_blocks *blocks, uint32 a, uint32 b);
extern void passes_free_blocks(record_blocks *blocks);

/* Lets go of what was loaded. */
extern void passes_unload(match_run *run);

/* Loads the records of the run's spool that are marked, in the order of their numbers: with their ids. */
extern void passes_load_marked(match_run *run, const marked_records *marked);

/* The weights of pairs of records, which are loaded for it. */
extern void passes_weigh_pairs(match_run *run, const named_pair *pairs, uint64 count, int64 *weights);

#endif
