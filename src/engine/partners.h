/*
 * partners.h: where the threshold of a column alone belongs, by what partners records have.
 *
 * A column alone has nothing to bear it out: that EM calls a pair as likely as not says little of how many
 * such pairs are right. Second partners do: true ones are few where things have two records at most, and
 * false ones come by chance, to records with a true partner as often as to those without. Where a lower
 * threshold adds links and hardly a second partner, they are right.
 *
 * Things may have more than two records. Then too few links seem right, and no weight promises much: the
 * threshold stays, but where a higher one promises much more. Copies of one thing are alike among themselves,
 * too; where the best two partners of a record are often no link, they are no copies, and it rises.
 */
#ifndef MASTERING_ENGINE_PARTNERS_H
#define MASTERING_ENGINE_PARTNERS_H

#include "engine/cluster.h"

/* In bits, how far below the threshold links must be known: some steps of similarity. */
#define PARTNERS_DEPTH 8

/*
 * What the weight of all pairs is to be raised by, below 0 lowered. list: the links from PARTNERS_DEPTH below
 * least_weight on.
 */
extern int32 partners_learn(match_run *run, const link_list *list, int64 least_weight);

#endif
