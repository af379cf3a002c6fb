/*
 * partners.h: where the threshold of a column alone belongs, by what partners records have.
 *
 * A column alone has nothing to bear it out: that EM calls a pair as likely as not says little of how many
 * such pairs are right. Second partners do (see source_rivals.h): true ones are few where things have two
 * records at most, and false ones come to records with a true partner as often as to those without.
 *
 * Things may have more than two records. Then too few links seem right, so that a lower threshold that
 * promises more may be believed; a higher one only where most second partners are no link of the best one,
 * for copies of one thing are alike among themselves. Either way nearly all links must seem right from there
 * on.
 */
#ifndef MASTERING_ENGINE_PARTNERS_H
#define MASTERING_ENGINE_PARTNERS_H

#include "engine/cluster.h"

/* In bits, how far below the threshold links must be known. */
#define PARTNERS_DEPTH 3

/*
 * What the weight of all pairs is to be raised by, below 0 lowered. list: the links from PARTNERS_DEPTH below
 * least_weight on.
 */
extern int32 partners_learn(match_run *run, const link_list *list, int64 least_weight);

#endif
