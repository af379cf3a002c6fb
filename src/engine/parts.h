/*
 * parts.h: comparisons of parts of the texts of another one, while a model is trained.
 *
 * Numbers in an address are another one where the address is, and the same where it is the same: taken for
 * independent, that is counted twice. So a part says nothing where its text is the same or nothing alike
 * (kernel/comparison.h). But where copies are few, to count it twice may be all that keeps EM from taking
 * relatives for them. So a model is learnt either way, and taken is the one whose links promise the better
 * F1.
 */
#ifndef MASTERING_ENGINE_PARTS_H
#define MASTERING_ENGINE_PARTS_H

#include "compat.h"

#include "engine/spec.h"
#include "kernel/em.h"

/* Which comparisons of a specification are parts, and of which: part_of by comparison. */
typedef struct text_parts {
    int count;
    int part_of[MAX_COMPARISONS];
} text_parts;

/* Takes them out of a specification, and puts them into it. */
extern text_parts parts_take(match_spec *spec);
extern void parts_put(const text_parts *parts, match_spec *spec);

/*
 * Patterns of pairs, with parts missing where their texts say what they would say; in ascending order, each
 * once.
 */
extern pattern_count *parts_silenced(const text_parts *parts, const scorer *layout,
                                     const pattern_count *patterns, size_t count, size_t *left);

/* The levels of parts among random pairs whose patterns these are. */
extern void parts_count_levels(const text_parts *parts, const scorer *layout, const pattern_count *random,
                               size_t count, double all[MAX_COMPARISONS][MAX_LEVELS]);

#endif
