/*
 * source_rivals.h: how many links can be right where things have two records at most, and from which weight
 * on.
 *
 * What EM takes for matches may be a wider kind of pairs (songs of one artist, papers of one group), above
 * all where few things have a second record. Then records have several partners in a source that holds each
 * thing once, of which one at most is right. Of the records of a source let a share b have a partner in
 * another at some weight, and a share c a second one. If a share p has its true partner there, a record has a
 * false one with chance f, and a further one again with chance f, then b = p + (1 - p) f and c = p f + (1 -
 * p) f f, so f = c / b and p = (b b - c) / (b - c).
 *
 * Without sources that hold each thing once, things may have many records, and second partners may be right.
 * But copies stay linked to each other, and a higher threshold does not part them from each other before it
 * parts pairs. Where it does, or the best two partners of a record often are no link, second partners are
 * taken for wrong ones there, too.
 *
 * Where one column alone is compared, things may have many records of one text, all of which are the best
 * partners of each other, and then so many second partners seem wrong that no weight promises more. There the
 * same is asked once more of texts: links of equal ones are right, and partners of other texts are rivals.
 */
#ifndef MASTERING_ENGINE_SOURCE_RIVALS_H
#define MASTERING_ENGINE_SOURCE_RIVALS_H

#include "compat.h"

#include "engine/source_odds.h"

/* Records, that all links are looked at where sources do not hold each thing once. */
#define RIVALS_MOST_RECORDS 100000

/* Whether sources and records are few enough for what follows, which says nothing of sources otherwise. */
extern bool source_rivals_fit(const record_store *store);

/*
 * What the weight of all pairs is to be lowered by, so that links are right: 0 where most are, or nothing
 * better is seen. links: from least_weight on; of sources that all hold each thing once, or sources is NULL:
 * of all records. few_right: whether so few seem right that nothing speaks for links below least_weight; of
 * records without sources that is not known.
 */
extern int32 source_rivals_learn(match_run *run, const source_links *links, int64 least_weight,
                                 bool *few_right);

#define SOURCE_RIVALS_DEPTH 8 /* bits */

/*
 * What the weight of all pairs is to be raised by, where sources all hold each thing once and links below
 * least_weight promise clearly more; 0: nothing. links: from SOURCE_RIVALS_DEPTH below that on.
 */
extern int32 source_rivals_lower(match_run *run, const source_links *links, int64 least_weight);

/* How many more links are right than wrong, from the weight on from which they are the most. */
extern double source_rivals_surplus(match_run *run, const source_links *links, int64 least_weight);

/* How many links there are from least_weight on, of sources one to one, and how many of them are right. */
extern void source_rivals_estimate(match_run *run, const source_links *links, int64 least_weight,
                                   double *reached, double *right);

#endif
