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

/* Whether all pairs of the rule have the same value there. */
static bool
is_key_part(const blocking_rule *rule, uint32_t slot)
{
    if (rule->list_starts == NULL)
        for (int i = 0; i < rule->part_count; i++)
            if (rule->slots[i] == slot)
                return true;
    return false;
}

/* The comparisons that scoring measures first. */
static void
choose_profiles(const pair_visit *visit, int most, block_rows *rows)
{
    for (int k = 0; k < visit->scorer->comparison_count && rows->profile_count < most; k++) {
        int c = visit->scorer->order[k];
        const comparison *comparison = &visit->scorer->comparisons[c];

        if (comparison->level_count == 2 || comparison->values.profiles == NULL ||
            is_key_part(&visit->rules[visit->rule], comparison->slot))
            continue;
        rows->profiles[rows->profile_count++] = (block_profile){.comparison = c, .place = rows->stride};
        rows->carried[c] = rows->stride;
        rows->stride += PROFILE_WORDS;
    }
}

void
block_rows_open(const pair_visit *visit, int for_sieve, block_rows *rows)
{
    *rows = (block_rows){0};

    /* A sample looks at few of a block's pairs: not every record is worth a copy. */
    if (visit->mode == PAIRS_SAMPLED && visit->sample_limit != UINT64_MAX)
        return;
    rows->stride = (visit->records->stride + PROFILE_WORDS - 1) / PROFILE_WORDS * PROFILE_WORDS;
    /* Of small blocks most pairs of a later rule were found before, and nobody looks at their profiles. */
    if ((visit->mode == PAIRS_SCORED || visit->mode == PAIRS_SAMPLED) && (for_sieve > 0 || visit->rule == 0))
        choose_profiles(visit, for_sieve > 0 ? for_sieve : 1, rows);
    rows->capacity = MOST_BYTES / (rows->stride * sizeof(uint32_t));
    if (for_sieve > 0)
        rows->column_stride = rows->capacity + BLOCK_ROWS_BEHIND;
}

/* Room for the copies; false: there is none. */
static bool
find_room(const pair_visit *visit, kernel_workspace *memory, block_rows *rows)
{
    uint64_t words = rows->capacity * rows->stride;
    uint32_t *room;

    words +=
        rows->column_stride * (visit->records->stride + (uint32_t)rows->profile_count * (PROFILE_WORDS + 3));
    room = kernel_workspace_reserve(memory, words * sizeof(uint32_t));
    if (room == NULL)
        return false;
    rows->rows = room;
    room += rows->capacity * rows->stride;
    for (int p = 0; p < rows->profile_count; p++) {
        rows->profiles[p].counts = (const uint8_t *)room;
        room += rows->column_stride * PROFILE_WORDS;
        rows->profiles[p].lengths = room;
        room += rows->column_stride;
        rows->profiles[p].starts = room;
        room += rows->column_stride;
        rows->profiles[p].parts = (const float *)(const void *)room;
        room += rows->column_stride;
    }
    rows->columns = room;
    return true;
}

/* A row, and a request for what is copied or asked of it later. */
static inline void
take_row(const pair_visit *visit, const uint32_t *row, uint64_t i, const block_rows *rows)
{
    const scorer *scorer = visit->scorer;
    uint32_t *copy = (uint32_t *)rows->rows + i * rows->stride;

    for (int p = 0; p < rows->profile_count; p++) {
        const comparison *comparison = &scorer->comparisons[rows->profiles[p].comparison];

        __builtin_prefetch(&comparison->values.profiles[row[comparison->slot]]);
    }
    for (uint32_t c = 0; c < visit->records->stride; c++) /* too few for memcpy */
        copy[c] = row[c];
    if (rows->column_stride == 0)
        return;
    for (uint32_t c = 0; c < visit->records->stride; c++)
        ((uint32_t *)rows->columns)[c * rows->column_stride + i] = copy[c];
    for (int f = 0; f < scorer->frequency_count; f++) {
        const comparison *comparison = &scorer->comparisons[scorer->frequencies[f]];

        __builtin_prefetch(&comparison->value_weights[row[comparison->slot]]);
    }
}

/* The profiles of a row that was taken. */
static inline void
take_profiles(const pair_visit *visit, uint64_t i, const block_rows *rows)
{
    uint32_t *copy = (uint32_t *)rows->rows + i * rows->stride;

    for (int p = 0; p < rows->profile_count; p++) {
        const block_profile *to = &rows->profiles[p];
        const comparison *comparison = &visit->scorer->comparisons[to->comparison];
        text_profile profile = comparison->values.profiles[copy[comparison->slot]];

        memcpy(copy + to->place, &profile, sizeof profile);
        if (rows->column_stride != 0) {
            uint64_t halves[2] = {profile.counts & FIFTEENS, profile.counts >> 4 & FIFTEENS};

            memcpy((uint8_t *)to->counts + i * sizeof halves, halves, sizeof halves);
            ((uint32_t *)to->lengths)[i] = profile.length;
            ((uint32_t *)to->starts)[i] = profile.start;
            ((float *)to->parts)[i] = 1.0f / (float)profile.length;
        }
    }
}

bool
block_rows_take(const pair_visit *visit, uint64_t first, uint64_t end, uint64_t last,
                kernel_workspace *memory, block_rows *rows)
{
    const uint32_t *entries = visit->index->entries + first;
    uint64_t count;

    rows->first = rows->end = first;
    if (rows->stride == 0 || end - first > rows->capacity || !find_room(visit, memory, rows))
        return false;
    count = last - first < rows->capacity ? last - first : rows->capacity;
    for (uint64_t i = 0; i < count + PROFILES_BEHIND; i++) {
        if (i + ROWS_AHEAD < count)
            record_row_prefetch(visit->records, record_row(visit->records, entries[i + ROWS_AHEAD]));
        if (i < count)
            take_row(visit, record_row(visit->records, entries[i]), i, rows);
        if (i >= PROFILES_BEHIND)
            take_profiles(visit, i - PROFILES_BEHIND, rows);
    }
    rows->end = first + count;
    return true;
}
