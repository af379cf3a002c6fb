/*
 * block_rows.c: see block_rows.h.
 */
#include "kernel/block_rows.h"

#include <string.h>

#define MOST_BYTES (1 << 19) /* of the copies, without their columns: half of a core's own cache, or less */
#define ROWS_AHEAD 24        /* rows that are asked for before they are copied */
#define PROFILES_BEHIND 12   /* rows that are copied before their profiles are */
#define FIFTEENS UINT64_C(0x0f0f0f0f0f0f0f0f)
#define PROFILE_WORDS (sizeof(text_profile) / sizeof(uint32_t))

/* The comparison that scoring measures first. */
static int
first_profiled(const scorer *scorer)
{
    for (int k = 0; k < scorer->comparison_count; k++) {
        const comparison *comparison = &scorer->comparisons[scorer->order[k]];

        if (comparison->level_count > 2)
            return comparison->values.profiles != NULL ? scorer->order[k] : -1;
    }
    return -1;
}

void
block_rows_open(const pair_visit *visit, bool columns, block_rows *rows)
{
    *rows = (block_rows){.comparison = -1};

    /* A sample looks at few of a block's pairs: not every record is worth a copy. */
    if (visit->mode == PAIRS_SAMPLED && visit->sample_limit != UINT64_MAX)
        return;
    if (visit->mode == PAIRS_SCORED || visit->mode == PAIRS_SAMPLED)
        rows->comparison = first_profiled(visit->scorer);
    rows->stride = (visit->records->stride + PROFILE_WORDS - 1) / PROFILE_WORDS * PROFILE_WORDS;
    if (rows->comparison >= 0) {
        rows->profile = rows->stride;
        rows->stride += PROFILE_WORDS;
    }
    rows->capacity = MOST_BYTES / (rows->stride * sizeof(uint32_t));
    if (columns)
        rows->column_stride = rows->capacity + BLOCK_ROWS_BEHIND;
}

bool
block_rows_take(const pair_visit *visit, uint64_t first, uint64_t end, uint64_t last,
                kernel_workspace *memory, block_rows *rows)
{
    const uint32_t *entries = visit->index->entries + first;
    const text_profile *profiles = NULL;
    uint32_t slot = 0, *copies, *counts, *lengths, *columns;
    uint64_t count, words;

    rows->first = rows->end = first;
    if (rows->stride == 0 || end - first > rows->capacity)
        return false;
    words = rows->capacity * rows->stride;
    if (rows->column_stride != 0)
        words +=
            rows->column_stride * (visit->records->stride + (rows->profile != 0 ? PROFILE_WORDS + 1 : 0));
    copies = kernel_workspace_reserve(memory, words * sizeof(uint32_t));
    if (copies == NULL)
        return false;
    counts = copies + rows->capacity * rows->stride;
    lengths = counts + (rows->profile != 0 ? rows->column_stride * PROFILE_WORDS : 0);
    columns = lengths + (rows->profile != 0 ? rows->column_stride : 0);
    if (rows->profile != 0) {
        const comparison *comparison = &visit->scorer->comparisons[rows->comparison];

        profiles = comparison->values.profiles;
        slot = comparison->slot;
    }
    count = last - first < rows->capacity ? last - first : rows->capacity;
    for (uint64_t i = 0; i < count + PROFILES_BEHIND; i++) {
        if (i + ROWS_AHEAD < count)
            record_row_prefetch(visit->records, record_row(visit->records, entries[i + ROWS_AHEAD]));
        if (i < count) {
            const uint32_t *row = record_row(visit->records, entries[i]);
            uint32_t *copy = copies + i * rows->stride;

            if (profiles != NULL)
                __builtin_prefetch(&profiles[row[slot]]);
            for (uint32_t c = 0; c < visit->records->stride; c++) /* too few for memcpy */
                copy[c] = row[c];
            if (rows->column_stride != 0)
                for (uint32_t c = 0; c < visit->records->stride; c++)
                    columns[c * rows->column_stride + i] = copy[c];
        }
        if (profiles != NULL && i >= PROFILES_BEHIND) {
            uint32_t *copy = copies + (i - PROFILES_BEHIND) * rows->stride;

            memcpy(copy + rows->profile, &profiles[copy[slot]], sizeof(text_profile));
            if (rows->column_stride != 0) {
                const text_profile *profile = (const text_profile *)(const void *)(copy + rows->profile);
                uint64_t even = profile->counts & FIFTEENS, odd = profile->counts >> 4 & FIFTEENS;

                memcpy(counts + (i - PROFILES_BEHIND) * PROFILE_WORDS, &even, sizeof even);
                memcpy(counts + (i - PROFILES_BEHIND) * PROFILE_WORDS + 2, &odd, sizeof odd);
                lengths[i - PROFILES_BEHIND] = profile->length;
            }
        }
    }
    rows->rows = copies;
    rows->counts = (const uint8_t *)counts;
    rows->lengths = lengths;
    rows->columns = columns;
    rows->end = first + count;
    return true;
}
