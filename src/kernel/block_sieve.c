/*
 * block_sieve.c: see block_sieve.h.
 */
#include "kernel/block_sieve.h"

#include <math.h>
#include <string.h>

#include "kernel/lanes.h"

#if defined(__SSE2__) && defined(__GNUC__)
#include <immintrin.h>

#define ROUNDING 1e-4f /* more than numbers of single precision lose */

/* The columns that equality alone says all of a rule about, but for places in windows; 0: it is no such rule.
 */
static uint32_t
rule_columns(const blocking_rule *rule)
{
    uint32_t columns = 0;

    if (rule->list_starts != NULL || rule->parts != NULL)
        return 0;
    for (int i = 0; i < rule->part_count; i++)
        columns |= UINT32_C(1) << rule->slots[i];
    return columns;
}

static bool
take_rules(const pair_visit *visit, block_sieve *sieve)
{
    /* Two records of a windowed block are visited only where they are within the window. */
    sieve->own = rule_columns(&visit->rules[visit->rule]);
    if (sieve->own == 0)
        return false;
    for (int r = 0; r < visit->rule; r++) {
        uint32_t columns = rule_columns(&visit->rules[r]);

        if (columns == 0)
            return false;
        if (visit->rules[r].positions == NULL) {
            sieve->earlier[sieve->earlier_count++] = columns;
        } else {
            sieve->asked_rules[sieve->asked_count] = r;
            sieve->asked[sieve->asked_count++] = columns;
        }
    }
    return true;
}

bool
block_sieve_serves(const pair_visit *visit)
{
    block_sieve sieve = {0};

    return visit->mode == PAIRS_SCORED && visit->entities == NULL && visit->probe_count == 0 &&
           visit->records->stride <= BLOCK_COLUMNS && lanes_target() != LANES_SINGLE &&
           take_rules(visit, &sieve);
}

/*
 * What ruled_out (comparison.c) asks, in numbers of single precision, with room for what they round.
 * Thresholds of edits are exact: rounded to single precision, none passes a whole number.
 */
static void
open_bound(const comparison *comparison, sieve_filter *filter)
{
    double last = comparison->thresholds[comparison->level_count - 3];

    switch (comparison->method) {
    case METHOD_LEVENSHTEIN_DISTANCE:
    case METHOD_DAMERAU_DISTANCE:
        filter->bound = BOUND_EDITS;
        filter->edits = (float)fmin(last, TEXT_PROFILE_LONGEST);
        break;
    case METHOD_LEVENSHTEIN:
    case METHOD_DAMERAU:
        filter->bound = BOUND_EDITS;
        filter->edits = ROUNDING;
        filter->share = (float)(1.0 - last) + ROUNDING;
        break;
    case METHOD_JARO:
    case METHOD_JARO_WINKLER:
        filter->bound = BOUND_JARO;
        for (int prefix = 0; prefix <= 4; prefix++) {
            double bonus = comparison->method == METHOD_JARO ? 0 : 0.1 * prefix, jaro = last;

            if (last > 0.7)
                jaro = fmax(0.7, (last - bonus) / (1 - bonus));
            filter->least[prefix] = (float)(3 * jaro - 1) - ROUNDING;
        }
        break;
    default:
        filter->bound = BOUND_ASKED;
    }
}

/* The best that it can say where profiles rule out that its values are alike: a part may be silent. */
static int32_t
best_ruled_out(const comparison *comparison)
{
    int32_t otherwise = comparison->weights[comparison->level_count];

    return comparison->part_of != 0 && otherwise < 0 ? 0 : otherwise;
}

void
block_sieve_open(const pair_visit *visit, const block_rows *rows, block_sieve *sieve)
{
    const scorer *scorer = visit->scorer;
    uint32_t wanted;

    *sieve = (block_sieve){0};
    if (rows->column_stride == 0)
        return;
    (void)take_rules(visit, sieve);
    wanted = sieve->own;
    for (int r = 0; r < sieve->earlier_count; r++)
        wanted |= sieve->earlier[r];
    for (int r = 0; r < sieve->asked_count; r++)
        wanted |= sieve->asked[r];
    for (int c = 0; c < scorer->comparison_count; c++)
        wanted |= UINT32_C(1) << scorer->comparisons[c].slot;
    for (uint32_t slot = 0; slot < visit->records->stride; slot++) {
        int k = sieve->column_count;

        if ((wanted >> slot & 1) == 0)
            continue;
        sieve->slots[k] = slot;
        for (int c = 0; c < scorer->comparison_count; c++) {
            const comparison *comparison = &scorer->comparisons[c];

            if (comparison->slot != slot)
                continue;
            /* A part that is the same may be silent. */
            sieve->exact[k] +=
                comparison->part_of != 0 ? comparison->best_inexact : comparison->weights[LEVEL_EXACT];
            sieve->differ[k] += comparison->best_inexact;
            if (comparison->value_weights != NULL) {
                sieve->frequencies[sieve->frequency_count].column = k;
                sieve->frequencies[sieve->frequency_count++].weights = comparison->value_weights;
            }
        }
        sieve->column_count++;
    }
    for (int p = 0; p < rows->profile_count; p++) {
        const comparison *comparison = &scorer->comparisons[rows->profiles[p].comparison];
        sieve_filter *filter = &sieve->filters[sieve->filter_count++];

        filter->profile = &rows->profiles[p];
        filter->slot = comparison->slot;
        filter->loss = (int64_t)comparison->best_inexact - best_ruled_out(comparison);
        open_bound(comparison, filter);
    }
    sieve->usable = true;
}

/* ---- rows ---- */

static int32_t
clamped(int64_t number)
{
    return number > INT32_MAX ? INT32_MAX : number < INT32_MIN ? INT32_MIN : (int32_t)number;
}

/* Numbers that do not fit 32 bits prune nothing. */
void
block_sieve_open_row(const pair_visit *visit, const block_sieve *sieve, const block_rows *rows,
                     uint64_t entry, sieve_row *row)
{
    const uint32_t *codes = block_rows_at(rows, entry);
    int64_t exact[BLOCK_COLUMNS], size = 0;
    int kept[BLOCK_COLUMNS];

    row->entry = entry - rows->first;
    row->entries = visit->index->entries + rows->first;
    row->column_count = 0;
    row->sources = NULL;
    row->filter_count = 0;
    if (visit->source_slot != UINT32_MAX) {
        row->sources = rows->columns + visit->source_slot * (uint64_t)rows->column_stride;
        row->source = codes[visit->source_slot];
    }
    memcpy(exact, sieve->exact, sizeof exact[0] * (size_t)sieve->column_count);
    for (int f = 0; f < sieve->frequency_count; f++) {
        int k = sieve->frequencies[f].column;
        uint32_t code = codes[sieve->slots[k]];

        if (code != 0)
            exact[k] += sieve->frequencies[f].weights[code];
    }
    for (int k = 0; k < sieve->column_count; k++) {
        uint32_t slot = sieve->slots[k];

        if (codes[slot] == 0)
            continue;
        kept[row->column_count] = k;
        row->columns[row->column_count++] =
            (sieve_column){.code = codes[slot],
                           .bit = UINT32_C(1) << slot,
                           .codes = rows->columns + slot * (uint64_t)rows->column_stride};
        size += (exact[k] < 0 ? -exact[k] : exact[k]) +
                2 * (sieve->differ[k] < 0 ? -sieve->differ[k] : sieve->differ[k]);
    }
    for (int f = 0; f < sieve->filter_count; f++)
        size += sieve->filters[f].loss;
    row->need = INT32_MIN;
    if (size > INT32_MAX)
        return;
    if (visit->least_weight >= INT32_MIN) /* otherwise all pairs are asked for: no weight is as low */
        row->need = clamped(visit->least_weight - visit->scorer->prior_weight);
    for (int i = 0; i < row->column_count; i++) {
        row->columns[i].differ = (int32_t)sieve->differ[kept[i]];
        row->columns[i].gain = (int32_t)(exact[kept[i]] - sieve->differ[kept[i]]);
    }
    for (int f = 0; f < sieve->filter_count; f++) {
        const sieve_filter *filter = &sieve->filters[f];
        int n = row->filter_count;

        row->filters[n].filter = filter;
        row->filters[n].code = codes[filter->slot];
        row->filters[n].loss = (int32_t)filter->loss;
        row->filters[n].codes = rows->columns + filter->slot * (uint64_t)rows->column_stride;
        row->filter_count += codes[filter->slot] != 0 && filter->loss > 0;
    }
}

/* A bit for each of the asked partners that an earlier rule finds. */
static uint32_t
asked_rule_finds(const pair_visit *visit, const block_sieve *sieve, int r, const sieve_row *row,
                 uint64_t first, uint32_t asked)
{
    const blocking_rule *rule = &visit->rules[sieve->asked_rules[r]];
    uint32_t found = 0;

    for (; asked != 0; asked &= asked - 1) {
        int l = __builtin_ctz(asked);

        if (blocking_rule_finds(rule, visit->records, row->entries[row->entry],
                                row->entries[first + (uint64_t)l]))
            found |= UINT32_C(1) << l;
    }
    return found;
}

/* The same of those whose profile rules out that they reach a level of the comparison. */
static uint32_t
profiles_rule_out(const pair_visit *visit, const block_rows *rows, const block_profile *profile,
                  const sieve_row *row, uint64_t first, uint32_t asked)
{
    const comparison *comparison = &visit->scorer->comparisons[profile->comparison];
    const uint32_t *profiles = rows->rows + profile->place;
    uint32_t out = 0;

    for (; asked != 0; asked &= asked - 1) {
        int l = __builtin_ctz(asked);

        if (comparison_ruled_out(
                comparison, (const text_profile *)(const void *)(profiles + row->entry * rows->stride),
                (const text_profile *)(const void *)(profiles + (first + (uint64_t)l) * rows->stride)))
            out |= UINT32_C(1) << l;
    }
    return out;
}

/* ---- the loops ---- */

/* What the classes of a have more than those of b, and the other way round, in 64-bit halves. */
static inline __m128i
surplus_4(__m128i a, __m128i b)
{
    const __m128i zero = _mm_setzero_si128();

    return _mm_or_si128(_mm_sad_epu8(_mm_subs_epu8(a, b), zero),
                        _mm_slli_epi64(_mm_sad_epu8(_mm_subs_epu8(b, a), zero), 32));
}

/* The same of a text and four others. */
static inline void
sse2_surplus(const uint8_t *counts, uint64_t entry, uint64_t first, __m128i *more, __m128i *less)
{
    const __m128i *vectors = (const __m128i *)(const void *)counts;
    __m128i a = _mm_loadu_si128(vectors + entry), x[4], low, high;

    for (int l = 0; l < 4; l++)
        x[l] = surplus_4(a, _mm_loadu_si128(vectors + first + l));
    low = _mm_add_epi32(_mm_unpacklo_epi64(x[0], x[1]), _mm_unpackhi_epi64(x[0], x[1]));
    high = _mm_add_epi32(_mm_unpacklo_epi64(x[2], x[3]), _mm_unpackhi_epi64(x[2], x[3]));
    *more = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(low), _mm_castsi128_ps(high), 0x88));
    *less = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(low), _mm_castsi128_ps(high), 0xdd));
}

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i
surplus_8(__m256i a, __m256i b)
{
    const __m256i zero = _mm256_setzero_si256();

    return _mm256_or_si256(_mm256_sad_epu8(_mm256_subs_epu8(a, b), zero),
                           _mm256_slli_epi64(_mm256_sad_epu8(_mm256_subs_epu8(b, a), zero), 32));
}

AVX2 static inline void
avx2_surplus(const uint8_t *counts, uint64_t entry, uint64_t first, __m256i *more, __m256i *less)
{
    const __m128i *vectors = (const __m128i *)(const void *)counts;
    __m256i a = _mm256_broadcastsi128_si256(_mm_loadu_si128(vectors + entry)), x[4], low, high;

    vectors += first;
    for (int l = 0; l < 4; l++)
        x[l] = surplus_8(a, _mm256_set_m128i(_mm_loadu_si128(vectors + l + 4), _mm_loadu_si128(vectors + l)));
    low = _mm256_add_epi32(_mm256_unpacklo_epi64(x[0], x[1]), _mm256_unpackhi_epi64(x[0], x[1]));
    high = _mm256_add_epi32(_mm256_unpacklo_epi64(x[2], x[3]), _mm256_unpackhi_epi64(x[2], x[3]));
    *more = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high), 0x88));
    *less = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high), 0xdd));
}

#define SIEVE_LANES 4
#define SIEVE_REGISTER __m128i
#define SIEVE_TARGET
#define SIEVE_NAME(x) sse2_##x
#define SIEVE_MASK(v) (uint32_t) _mm_movemask_ps((__m128)(v))
#include "kernel/block_sieve_body.h"
#undef SIEVE_LANES
#undef SIEVE_REGISTER
#undef SIEVE_TARGET
#undef SIEVE_NAME
#undef SIEVE_MASK

#define SIEVE_LANES 8
#define SIEVE_REGISTER __m256i
#define SIEVE_TARGET AVX2
#define SIEVE_NAME(x) avx2_##x
#define SIEVE_MASK(v) (uint32_t) _mm256_movemask_ps((__m256)(v))
#include "kernel/block_sieve_body.h"

void
block_sieve_row(const pair_visit *visit, const block_sieve *sieve, const block_rows *rows,
                const sieve_row *row, uint64_t from, uint64_t end, sieve_result *result)
{
    if (lanes_target() == LANES_AVX2)
        avx2_row(visit, sieve, rows, row, from - rows->first, end - rows->first, result);
    else
        sse2_row(visit, sieve, rows, row, from - rows->first, end - rows->first, result);
}

#else

bool
block_sieve_serves(const pair_visit *visit)
{
    (void)visit;
    return false;
}

void
block_sieve_open(const pair_visit *visit, const block_rows *rows, block_sieve *sieve)
{
    (void)visit;
    (void)rows;
    sieve->usable = false;
}

void
block_sieve_open_row(const pair_visit *visit, const block_sieve *sieve, const block_rows *rows,
                     uint64_t entry, sieve_row *row)
{
    (void)visit;
    (void)sieve;
    (void)rows;
    (void)entry;
    (void)row;
}

void
block_sieve_row(const pair_visit *visit, const block_sieve *sieve, const block_rows *rows,
                const sieve_row *row, uint64_t from, uint64_t end, sieve_result *result)
{
    (void)visit;
    (void)sieve;
    (void)rows;
    (void)row;
    (void)from;
    (void)end;
    (void)result;
}

#endif
