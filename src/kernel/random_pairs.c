/*
 * random_pairs.c: see random_pairs.h.
 */
#include "kernel/random_pairs.h"

#include <string.h>

#include "kernel/hash.h"
#include "kernel/parallel.h"

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

/* Pairs of the stream that are scored together. */
typedef struct random_batch {
    uint32_t count;
    const uint32_t *row_a[SCORER_BATCH], *row_b[SCORER_BATCH];
} random_batch;

void
random_pairs_draw(const random_pairs *pairs, uint64_t i, uint32_t *a, uint32_t *b)
{
    if (pairs->every_pair)
        triangle_pair(i, a, b);
    else {
        *a = below(hash_stream(pairs->seed, i * 2), pairs->record_count);
        *b = below(hash_stream(pairs->seed, i * 2 + 1), pairs->record_count);
    }
}

#define PARTNER_BITS 11  /* of partners that are taken at a time; values of a record take some cache lines */
#define NEIGHBOUR_BITS 6 /* of the records whose pairs are in no order among each other */
#define MOST_BINS ((RANDOM_RECORDS >> PARTNER_BITS) * (RANDOM_RECORDS >> NEIGHBOUR_BITS))

static inline uint32_t
bin_of(drawn_pair pair)
{
    return (uint32_t)(pair.b >> PARTNER_BITS) * (RANDOM_RECORDS >> NEIGHBOUR_BITS) +
           (pair.a >> NEIGHBOUR_BITS);
}

/* Threads take ranges of the pairs; where those of each bin go, by range, keeps their order. */
#define DRAWN_RANGES 8

typedef struct drawing {
    const random_pairs *pairs;
    drawn_pair *drawn, *scratch;
    uint32_t places[DRAWN_RANGES][MOST_BINS];
} drawing;

static inline uint64_t
range_start(const drawing *drawing, int64_t range)
{
    return drawing->pairs->total * (uint64_t)range / DRAWN_RANGES;
}

static void
draw_range(void *context, int64_t range, int thread)
{
    drawing *drawing = context;
    uint32_t *places = drawing->places[range];

    (void)thread;
    memset(places, 0, sizeof drawing->places[range]);
    for (uint64_t i = range_start(drawing, range); i < range_start(drawing, range + 1); i++) {
        uint32_t a, b;

        random_pairs_draw(drawing->pairs, i, &a, &b);
        drawing->scratch[i] = (drawn_pair){(uint16_t)a, (uint16_t)b};
        places[bin_of(drawing->scratch[i])]++;
    }
}

static void
order_range(void *context, int64_t range, int thread)
{
    drawing *drawing = context;
    uint32_t *places = drawing->places[range];

    (void)thread;
    for (uint64_t i = range_start(drawing, range); i < range_start(drawing, range + 1); i++)
        drawing->drawn[places[bin_of(drawing->scratch[i])]++] = drawing->scratch[i];
}

void
random_pairs_draw_all(const random_pairs *pairs, int threads, drawn_pair *drawn, drawn_pair *scratch)
{
    drawing drawing;
    uint32_t place = 0;

    drawing.pairs = pairs;
    drawing.drawn = drawn;
    drawing.scratch = scratch;
    parallel_for(threads, DRAWN_RANGES, draw_range, &drawing);
    for (uint32_t bin = 0; bin < MOST_BINS; bin++)
        for (int range = 0; range < DRAWN_RANGES; range++) {
            uint32_t count = drawing.places[range][bin];

            drawing.places[range][bin] = place;
            place += count;
        }
    parallel_for(threads, DRAWN_RANGES, order_range, &drawing);
}

/* The row of a record that is there, by its number. */
static const uint32_t *
row_of_number(const record_table *records, uint32_t number)
{
    uint32_t first = 0, count = records->count;

    if (records->numbers == NULL)
        return record_row(records, number);
    while (count > 1) {
        uint32_t half = count / 2;

        if (records->numbers[first + half] <= number)
            first += half;
        count -= half;
    }
    return record_row(records, first);
}

/* Takes pairs number first up to end, without those of a record with itself. */
static void
draw_batch(const random_pairs *pairs, uint64_t first, uint64_t end, random_batch *batch)
{
    const record_table *records = pairs->records;

    batch->count = 0;
    for (uint64_t next = first; next < end; next++) {
        uint32_t a, b;

        if (pairs->drawn != NULL) {
            a = pairs->drawn[next].a;
            b = pairs->drawn[next].b;
        } else
            random_pairs_draw(pairs, next, &a, &b);
        if (a == b)
            continue;
        batch->row_a[batch->count] = row_of_number(records, a);
        batch->row_b[batch->count] = row_of_number(records, b);
        record_row_prefetch(records, batch->row_a[batch->count]);
        record_row_prefetch(records, batch->row_b[batch->count]);
        batch->count++;
    }
}

/* Leaves out the pairs of one source. */
static void
sift_sources(const random_pairs *pairs, random_batch *batch)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->row_a[i][pairs->source_slot] == batch->row_b[i][pairs->source_slot])
            continue;
        batch->row_a[left] = batch->row_a[i];
        batch->row_b[left] = batch->row_b[i];
        left++;
    }
    batch->count = left;
}

void
random_pairs_work(const random_pairs *pairs, random_pairs_unit *unit, int thread)
{
    comparison_thread *memory = &pairs->threads[thread];
    random_batch batch;
    row_mask masks[SCORER_BATCH];
    uint16_t chosen[SCORER_BATCH];
    int64_t weights[SCORER_BATCH];
    bool any = false;

    while (unit->next < unit->end) {
        bool stopping = kernel_stop_requested(&memory->workspace);
        uint64_t most = stopping ? 1 : SCORER_BATCH;
        uint64_t end = unit->end - unit->next < most ? unit->end : unit->next + most;
        uint32_t count;

        if (any && stopping)
            return;
        draw_batch(pairs, unit->next, end, &batch);
        if (pairs->source_slot != UINT32_MAX)
            sift_sources(pairs, &batch);
        for (uint32_t i = 0; i < batch.count; i++)
            masks[i] = scorer_row_mask(pairs->scorer, batch.row_a[i], batch.row_b[i]);
        unit->status =
            scorer_score_batch(pairs->scorer, batch.row_a, batch.row_b, masks, batch.count, INT64_MIN, memory,
                               chosen, &count, weights, &unit->patterns[unit->pattern_count]);
        if (unit->status == KERNEL_STOPPED) { /* these pairs are done again */
            unit->status = KERNEL_OK;
            return;
        }
        if (unit->status != KERNEL_OK)
            return;
        unit->pattern_count += count;
        unit->next = end;
        any = true;
    }
}
