/*
 * random_pairs.c: see random_pairs.h.
 */
#include "kernel/random_pairs.h"

#include "kernel/hash.h"

/* A number below count from a random word, without division (Lemire 2019). */
static inline uint32_t
below(uint64_t word, uint32_t count)
{
    return (uint32_t)(((word >> 32) * count) >> 32);
}

/* Row and column of pair i in the lower triangle, 1-0, 2-0, 2-1, 3-0 … */
static void
triangle_pair(uint64_t i, uint32_t *a, uint32_t *b)
{
    uint64_t low = 1, high = UINT32_MAX;

    while (low < high) { /* the largest row whose first pair is at most i */
        uint64_t middle = low + (high - low + 1) / 2;

        if (middle * (middle - 1) / 2 <= i)
            low = middle;
        else
            high = middle - 1;
    }
    *a = (uint32_t)low;
    *b = (uint32_t)(i - low * (low - 1) / 2);
}

void
random_pairs_work(const random_pairs *pairs, random_pairs_unit *unit, int thread)
{
    const record_table *records = pairs->records;
    comparison_thread *memory = &pairs->threads[thread];

    for (bool first = true; unit->next < unit->end; unit->next++, first = false) {
        const uint32_t *row_a, *row_b;
        uint32_t a, b;
        bool qualifies;
        int64_t weight;

        if (!first && kernel_stop_requested(&memory->workspace))
            return;
        if (pairs->every_pair)
            triangle_pair(unit->next, &a, &b);
        else {
            a = below(hash_stream(pairs->seed, unit->next * 2), records->count);
            b = below(hash_stream(pairs->seed, unit->next * 2 + 1), records->count);
        }
        if (a == b)
            continue;
        row_a = record_row(records, a);
        row_b = record_row(records, b);
        if (pairs->source_slot != UINT32_MAX && row_a[pairs->source_slot] == row_b[pairs->source_slot])
            continue;
        unit->status = scorer_score(pairs->scorer, row_a, row_b, INT64_MIN, memory, &qualifies, &weight,
                                    &unit->patterns[unit->pattern_count]);
        if (unit->status == KERNEL_STOPPED) {
            unit->status = KERNEL_OK;
            return;
        }
        if (unit->status != KERNEL_OK)
            return;
        unit->pattern_count++;
    }
}
