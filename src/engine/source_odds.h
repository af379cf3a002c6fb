/*
 * source_odds.h: what it says for a pair of records of two sources that each of them has at most one partner.
 *
 * A model's weights take pairs one by one. Where a source holds each thing once, the pairs of a record
 * exclude each other: that two records match is as likely as the model says times the odds that neither was
 * to match elsewhere. With shares of records that have a partner in the other source (theta), these are 1 /
 * ((1 - theta_a) * (1 - theta_b)), the prior of a bipartite matching of unknown size (Fortini et al. 2001,
 * Sadinle 2017) taken for one pair; of two sources of which one alone is unique, the other's factor.
 * Where nearly all records have a partner, a weak link that has no better rival is a match.
 */
#ifndef MASTERING_ENGINE_SOURCE_ODDS_H
#define MASTERING_ENGINE_SOURCE_ODDS_H

#include "compat.h"

#include "engine/run.h"
#include "kernel/radix_sort.h"

/* The links as cluster.c has them: key PG_INT32_MAX - weight, heaviest first, and two records. */
typedef struct source_links {
    const keyed_record *links;
    uint64 count;
    const uint32 *sources; /* by record */
    const bool *unique;    /* by source: holds each thing once */
} source_links;

/* What links of at least this weight say that pairs weigh more; of several pairs of sources the mean by
 * links. least_odds: what another look at the pairs is worth; less is none. */
extern int32 source_odds_learn(match_run *run, const source_links *links, int64 least_weight,
                               int32 least_odds);

#endif
