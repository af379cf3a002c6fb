/*
 * block_sieve.c: see block_sieve.h.
 */
#include "kernel/block_sieve.h"

#include <math.h>
#include <string.h>

#include "kernel/lanes.h"

#if defined(__SSE2__) && defined(__GNUC__)
#include <immintrin.h>

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

void
block_sieve_open(const pair_visit *visit, const block_rows *rows, block_sieve *sieve)
{
    const scorer *scorer = visit->scorer;
    uint32_t wanted;

    *sieve = (block_sieve){.filter = -1, .filter_largest = -1};
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
            sieve->exact[k] += comparison->weights[LEVEL_EXACT];
            sieve->differ[k] += comparison->best_inexact;
            if (c == rows->comparison) {
                comparison_method method = comparison->method;

                sieve->filter = k;
                sieve->filter_loss =
                    (int64_t)comparison->best_inexact - comparison->weights[comparison->level_count];
                if (method_is_distance(method))
                    sieve->filter_largest =
                        fmin(comparison->thresholds[comparison->level_count - 3], 1 << 24);
            }
        }
        sieve->column_count++;
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
    const scorer *scorer = visit->scorer;
    const uint32_t *codes = block_rows_at(rows, entry);
    int64_t exact[BLOCK_COLUMNS], size = sieve->filter_loss;
    int kept[BLOCK_COLUMNS];

    row->entry = entry - rows->first;
    row->entries = visit->index->entries + rows->first;
    row->column_count = 0;
    row->sources = NULL;
    row->loss = 0;
    if (visit->source_slot != UINT32_MAX) {
        row->sources = rows->columns + visit->source_slot * (uint64_t)rows->column_stride;
        row->source = codes[visit->source_slot];
    }
    memcpy(exact, sieve->exact, sizeof exact[0] * (size_t)sieve->column_count);
    for (int f = 0; f < scorer->frequency_count; f++) {
        const comparison *comparison = &scorer->comparisons[scorer->frequencies[f]];

        for (int k = 0; k < sieve->column_count; k++)
            if (sieve->slots[k] == comparison->slot && codes[comparison->slot] != 0)
                exact[k] += comparison->value_weights[codes[comparison->slot]];
    }
    for (int k = 0; k < sieve->column_count; k++) {
        uint32_t slot = sieve->slots[k];

        if (codes[slot] == 0)
            continue;
        kept[row->column_count] = k;
        row->columns[row->column_count++] =
            (sieve_column){.code = codes[slot],
                           .bit = UINT32_C(1) << slot,
                           .filtered = k == sieve->filter ? UINT32_MAX : 0,
                           .codes = rows->columns + slot * (uint64_t)rows->column_stride};
        size += (exact[k] < 0 ? -exact[k] : exact[k]) +
                2 * (sieve->differ[k] < 0 ? -sieve->differ[k] : sieve->differ[k]);
    }
    row->need = INT32_MIN;
    if (size > INT32_MAX)
        return;
    row->need = clamped(visit->least_weight - scorer->prior_weight);
    for (int i = 0; i < row->column_count; i++) {
        row->columns[i].differ = (int32_t)sieve->differ[kept[i]];
        row->columns[i].gain = (int32_t)(exact[kept[i]] - sieve->differ[kept[i]]);
    }
    if (sieve->filter >= 0 && codes[sieve->slots[sieve->filter]] != 0)
        row->loss = (int32_t)sieve->filter_loss;
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
profiles_rule_out(const pair_visit *visit, const block_rows *rows, const sieve_row *row, uint64_t first,
                  uint32_t asked)
{
    const comparison *comparison = &visit->scorer->comparisons[rows->comparison];
    const uint32_t *profiles = rows->rows + rows->profile;
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

/* A bit for each of four partners that is more edits away than that. */
static inline uint32_t
sse2_distant(const block_rows *rows, const sieve_row *row, uint64_t first, uint32_t largest)
{
    const __m128i *counts = (const __m128i *)(const void *)rows->counts;
    __m128i a = _mm_loadu_si128(counts + row->entry), x[4], low, high, more, less, lengths, edits;

    counts += first;
    for (int l = 0; l < 4; l++)
        x[l] = surplus_4(a, _mm_loadu_si128(counts + l));
    low = _mm_add_epi32(_mm_unpacklo_epi64(x[0], x[1]), _mm_unpackhi_epi64(x[0], x[1]));
    high = _mm_add_epi32(_mm_unpacklo_epi64(x[2], x[3]), _mm_unpackhi_epi64(x[2], x[3]));
    more = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(low), _mm_castsi128_ps(high), 0x88));
    less = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(low), _mm_castsi128_ps(high), 0xdd));
    lengths = _mm_sub_epi32(_mm_set1_epi32((int)rows->lengths[row->entry]),
                            _mm_loadu_si128((const __m128i *)(const void *)(rows->lengths + first)));
    edits = _mm_set1_epi32((int)largest);
    more = _mm_or_si128(_mm_cmpgt_epi32(more, edits), _mm_cmpgt_epi32(less, edits));
    more = _mm_or_si128(more, _mm_cmpgt_epi32(lengths, edits));
    more = _mm_or_si128(more, _mm_cmpgt_epi32(_mm_sub_epi32(_mm_setzero_si128(), lengths), edits));
    return (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(more));
}

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i
surplus_8(__m256i a, __m256i b)
{
    const __m256i zero = _mm256_setzero_si256();

    return _mm256_or_si256(_mm256_sad_epu8(_mm256_subs_epu8(a, b), zero),
                           _mm256_slli_epi64(_mm256_sad_epu8(_mm256_subs_epu8(b, a), zero), 32));
}

/* The same of eight. */
AVX2 static inline uint32_t
avx2_distant(const block_rows *rows, const sieve_row *row, uint64_t first, uint32_t largest)
{
    const __m128i *counts = (const __m128i *)(const void *)rows->counts;
    __m256i a = _mm256_broadcastsi128_si256(_mm_loadu_si128(counts + row->entry)), x[4], low, high, more,
            less, lengths, edits;

    counts += first;
    for (int l = 0; l < 4; l++)
        x[l] = surplus_8(a, _mm256_set_m128i(_mm_loadu_si128(counts + l + 4), _mm_loadu_si128(counts + l)));
    low = _mm256_add_epi32(_mm256_unpacklo_epi64(x[0], x[1]), _mm256_unpackhi_epi64(x[0], x[1]));
    high = _mm256_add_epi32(_mm256_unpacklo_epi64(x[2], x[3]), _mm256_unpackhi_epi64(x[2], x[3]));
    more = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high), 0x88));
    less = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high), 0xdd));
    lengths = _mm256_sub_epi32(_mm256_set1_epi32((int)rows->lengths[row->entry]),
                               _mm256_loadu_si256((const __m256i *)(const void *)(rows->lengths + first)));
    edits = _mm256_set1_epi32((int)largest);
    more = _mm256_or_si256(_mm256_cmpgt_epi32(more, edits), _mm256_cmpgt_epi32(less, edits));
    more = _mm256_or_si256(more, _mm256_cmpgt_epi32(_mm256_abs_epi32(lengths), edits));
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(more));
}

#define SIEVE_LANES 4
#define SIEVE_TARGET
#define SIEVE_NAME(x) sse2_##x
#define SIEVE_MASK(v) (uint32_t) _mm_movemask_ps((__m128)(v))
#include "kernel/block_sieve_body.h"
#undef SIEVE_LANES
#undef SIEVE_TARGET
#undef SIEVE_NAME
#undef SIEVE_MASK

#define SIEVE_LANES 8
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
