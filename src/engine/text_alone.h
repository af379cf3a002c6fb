/*
 * text_alone.h: what can be known of one column of running text.
 *
 * For train.c, where nothing or little else is compared. Levels are steps of similarity, LEVEL_EXACT the
 * first.
 */
#ifndef MASTERING_ENGINE_TEXT_ALONE_H
#define MASTERING_ENGINE_TEXT_ALONE_H

#include "engine/run.h"
#include "kernel/em.h"

/* Where m begins: matches of texts have each level less often than the one above. */
extern void text_alone_start(double *m, int levels);

/*
 * One text column alone: what of the pairs that a rule finds are non-matches is read off their similarity.
 * Of all pairs, the number of non-matches falls by about the same factor from each step of similarity to the
 * next; the factor is seen where pairs are least alike, and what there is beyond it further up are matches.
 * It cannot be seen in the pairs that a rule finds: the nearest neighbours of a record lack most of what is
 * less alike than they are, and how many copies things have says where that begins. shares: of the levels
 * among all pairs; pairs: of which there are so many in the measure of the session's. Where nothing else is
 * compared that is all there is to know, and the share of matches and m follow. Returns the comparisons of
 * which u is known.
 */
extern uint32 text_alone_non_matches(match_run *run, em_session *session, em_parameters *parameters,
                                     const double *shares, double pairs);

#endif
