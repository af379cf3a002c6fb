/*
 * label_comparisons.h: comparisons that labels alone give a weight.
 *
 * EM takes attributes for independent given the verdict, so what repeats others (the text of the whole record
 * beside its columns) must not be shown to it. Labels may: a regression finds what the repetition adds. Such
 * comparisons are marked "with_labels" in a specification. They come last, EM leaves them out, and a
 * model in which they weigh nothing does not have them.
 */
#ifndef MASTERING_ENGINE_LABEL_COMPARISONS_H
#define MASTERING_ENGINE_LABEL_COMPARISONS_H

#include "compat.h"

#include "engine/spec.h"

/*
 * Before a run is opened to train: without labels takes such comparisons out; with them puts them last, and
 * adds one for each text whose nearest neighbours are candidates (top_k) that is not compared yet.
 */
extern void label_comparisons_prepare(match_spec *spec, bool with_labels);

/* How many comparisons EM learns; those of labels come behind. */
extern int label_comparisons_first(const match_spec *spec);

/* The same as bits: those that EM leaves out. */
extern uint32 label_comparisons_mask(const match_spec *spec);

/* At the end of training: takes out those that weigh nothing. Scores stay what they are. */
extern void label_comparisons_drop_idle(match_spec *spec);

#endif
