/*
 * source_pairs.h: pairs of records that there are, by where records come from. For training.
 */
#ifndef MASTERING_ENGINE_SOURCE_PAIRS_H
#define MASTERING_ENGINE_SOURCE_PAIRS_H

#include "engine/run.h"

/* Pairs of records; across: of different sources. */
extern double source_pairs_all(const match_run *run, bool across);

/*
 * The comparisons that no pair of records of different sources has values for, as bits: what one source alone
 * says is no mark of a match across sources, and makes its own records look alike.
 */
extern uint32 source_pairs_one_sided(const match_run *run);

/* The matches that there can be at most across sources that hold each thing once; there are sources. */
extern double source_pairs_one_to_one(const match_run *run);

#endif
