/*
 * parts.c: see parts.h.
 */
#include "compat.h"

#include "engine/parts.h"
#include "engine/pattern_counts.h"

text_parts
parts_take(match_spec *spec)
{
    text_parts parts = {0};

    for (int c = 0; c < spec->comparison_count; c++) {
        parts.part_of[c] = spec->comparisons[c].part_of;
        parts.count += parts.part_of[c] != 0;
        spec->comparisons[c].part_of = 0;
    }
    return parts;
}

void
parts_put(const text_parts *parts, match_spec *spec)
{
    for (int c = 0; c < spec->comparison_count; c++)
        spec->comparisons[c].part_of = parts->part_of[c];
}

static uint64
silenced(const text_parts *parts, const scorer *layout, uint64 pattern)
{
    uint64 left = pattern;

    for (int c = 0; c < MAX_COMPARISONS; c++) {
        const comparison *part = &layout->comparisons[c], *text;

        if (parts->part_of[c] == 0)
            continue;
        text = &layout->comparisons[parts->part_of[c] - 1];
        if (level_says_of_parts(text, pattern_level(text, pattern)))
            left &= ~(((UINT64CONST(1) << part->pattern_bits) - 1) << part->pattern_shift);
    }
    return left;
}

pattern_count *
parts_silenced(const text_parts *parts, const scorer *layout, const pattern_count *patterns, size_t count,
               size_t *left)
{
    pattern_count *made = palloc_extended(Max(count, 1) * sizeof(pattern_count), MCXT_ALLOC_HUGE);

    for (size_t i = 0; i < count; i++)
        made[i] = (pattern_count){silenced(parts, layout, patterns[i].pattern), patterns[i].count};
    pattern_counts_sort(made, count);
    *left = 0;
    for (size_t i = 0; i < count; i++)
        if (*left > 0 && made[*left - 1].pattern == made[i].pattern)
            made[*left - 1].count += made[i].count;
        else
            made[(*left)++] = made[i];
    return made;
}

void
parts_count_levels(const text_parts *parts, const scorer *layout, const pattern_count *random, size_t count,
                   double all[MAX_COMPARISONS][MAX_LEVELS])
{
    for (int c = 0; c < MAX_COMPARISONS; c++) {
        const comparison *part = &layout->comparisons[c];
        double sum = 0;

        if (parts->part_of[c] == 0)
            continue;
        /* Half a pair each, so that what was never seen is rare and not impossible. */
        for (int level = LEVEL_EXACT; level <= part->level_count; level++)
            all[c][level] = 0.5;
        for (size_t i = 0; i < count; i++)
            all[c][pattern_level(part, random[i].pattern)] += random[i].count;
        for (int level = LEVEL_EXACT; level <= part->level_count; level++)
            sum += all[c][level];
        for (int level = LEVEL_EXACT; level <= part->level_count; level++)
            all[c][level] /= sum;
    }
}
