/*
 * evident_sources.h: which sources hold each thing once, by the links that there are.
 */
#ifndef MASTERING_ENGINE_EVIDENT_SOURCES_H
#define MASTERING_ENGINE_EVIDENT_SOURCES_H

#include "engine/run.h"
#include "kernel/radix_sort.h"

/*
 * Which sources hold each thing once, by triangles: a record, what it is linked to best in its own source,
 * and what it is linked to best outside (where that goes both ways). Two copies of one thing are both about
 * as much like the third record; of two things that are merely alike one is much less. A source is taken for
 * unique when the former is the rarer; where there are few such triangles, it must not have more pairs inside
 * than outside. Where little is seen of a source, the others must not speak against it either.
 *
 * Editions of one thing may be as much alike as copies are. But each has a partner of its own in another
 * source as often as any record has one there, while copies have one and the same: where that shows at least
 * half of a source's twins to be siblings, it is unique, too.
 *
 * links: heaviest first, as link_list has them; sources: by record. Sets by source unique, and in
 * copies_weight the weight from which on two records of it may be one thing all the same; PG_INT64_MAX: none.
 */
extern void find_evident_sources(match_run *run, const keyed_record *links, uint64 link_count,
                                 const uint32 *sources, bool *unique, int64 *copies_weight);

#endif
