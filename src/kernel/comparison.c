/*
 * comparison.c: levels, patterns and weights of pairs; see comparison.h.
 */
#include "kernel/comparison.h"

#include <string.h>

#include "kernel/elements.h"
#include "kernel/hash.h"
#include "kernel/soft_tfidf.h"
#include "kernel/term_vectors.h"

/* Rough cost of one evaluation, in units of an exact comparison. */
static int
method_cost(comparison_method method)
{
    switch (method) {
    case METHOD_EXACT:
        return 1;
    case METHOD_NUMERIC:
    case METHOD_DATE:
        return 2;
    case METHOD_JARO:
    case METHOD_JARO_WINKLER:
    case METHOD_LEVENSHTEIN:
    case METHOD_LEVENSHTEIN_DISTANCE:
    case METHOD_DAMERAU:
    case METHOD_DAMERAU_DISTANCE:
    case METHOD_LCS:
        return 8;
    case METHOD_NAMES:
        return 12;
    case METHOD_QGRAM:
    case METHOD_TOKEN:
    case METHOD_INITIALS:
    case METHOD_TFIDF:
        return 30;
    case METHOD_TOKEN_SORT:
    case METHOD_TOKEN_SET:
    case METHOD_MONGE_ELKAN:
    case METHOD_SOFT_TFIDF:
        return 80;
    }
    return 1;
}

/* What a pair of unequal values shares may be rare, and says so at that level: what it is looked up in. */
static inline const element_table *
rare_shares(const comparison *comparison, int level)
{
    const element_table *shared = comparison->values.words;

    /* Relatives have rare surnames, too: words count where the names are alike. */
    if (shared != NULL)
        return shared->weights != NULL && level < comparison->level_count && comparison->weights[level] > 0
                   ? shared
                   : NULL;
    /* Weights of elements are there only where the first threshold asks for a shared one. */
    shared = comparison->values.elements;
    return level == 2 && shared != NULL && shared->weights != NULL ? shared : NULL;
}

/* The most that it can add; what shares nothing has nothing added. */
static inline int32_t
best_rarity(const comparison *comparison, int level)
{
    const element_table *shared = rare_shares(comparison, level);

    return shared != NULL && shared->best_weight > 0 ? shared->best_weight : 0;
}

/* What evaluating a comparison can take off a pair's bound, for its cost. */
static double
decisiveness(const comparison *comparison)
{
    int32_t otherwise = comparison->weights[comparison->level_count];

    return (double)(comparison->best_inexact - otherwise) /
           (method_cost(comparison->method) * (comparison->elements == ELEMENTS_BEST ? 4 : 1));
}

/* What eight columns that are the same, or differ, come to. Several comparisons may read one column. */
static void
fill_mask_tables(scorer *scorer)
{
    scorer->columns = 0;
    scorer->frequency_count = 0;
    for (int c = 0; c < scorer->comparison_count; c++) {
        if (scorer->comparisons[c].slot + 1 > scorer->columns)
            scorer->columns = scorer->comparisons[c].slot + 1;
        if (scorer->comparisons[c].value_weights != NULL)
            scorer->frequencies[scorer->frequency_count++] = c;
    }
    scorer->part_count = 0;
    scorer->table_count = (int)(scorer->columns + 7) / 8;
    memset(scorer->tables, 0, (size_t)scorer->table_count * sizeof(mask_table));
    for (int k = 0; k < scorer->comparison_count; k++) {
        const comparison *comparison = &scorer->comparisons[scorer->order[k]];
        mask_table *table = &scorer->tables[comparison->slot / 8];

        if (comparison->part_of != 0) {
            scorer->parts[scorer->part_count++] = k;
            continue;
        }
        for (uint32_t bits = 0; bits < 256; bits++) {
            if ((bits >> (comparison->slot & 7) & 1) == 0)
                continue;
            table->weights[bits] += comparison->weights[LEVEL_EXACT];
            table->levels[bits] |= (uint64_t)LEVEL_EXACT << comparison->pattern_shift;
            table->bounds[bits] += comparison->best_inexact;
            table->pending[bits] |= UINT32_C(1) << k;
        }
    }
}

/* Parts are looked at when it is known what their texts say. */
static void
put_parts_behind(scorer *scorer)
{
    int parts[MAX_COMPARISONS], count = 0, place = 0;

    for (int k = 0; k < scorer->comparison_count; k++) {
        int c = scorer->order[k];

        if (scorer->comparisons[c].part_of != 0)
            parts[count++] = c;
        else
            scorer->order[place++] = c;
    }
    memcpy(scorer->order + place, parts, (size_t)count * sizeof(int));
}

bool
scorer_prepare(scorer *scorer)
{
    int shift = 0;

    for (int c = 0; c < scorer->comparison_count; c++) {
        comparison *comparison = &scorer->comparisons[c];
        int bits = 1, position = c;

        while (1 << bits <= comparison->level_count)
            bits++;
        comparison->pattern_bits = bits;
        comparison->pattern_shift = shift;
        shift += bits;
        if (shift > 64)
            return false;

        comparison->best_inexact = INT32_MIN;
        for (int level = 2; level <= comparison->level_count; level++) {
            int32_t best = comparison->weights[level] + best_rarity(comparison, level);

            if (best > comparison->best_inexact)
                comparison->best_inexact = best;
        }
        /* Of a part the best that it can say at all. */
        if (comparison->part_of != 0 && comparison->best_inexact < comparison->weights[LEVEL_EXACT])
            comparison->best_inexact = comparison->weights[LEVEL_EXACT];
        if (comparison->part_of != 0 && comparison->best_inexact < 0)
            comparison->best_inexact = 0;

        for (; position > 0 &&
               decisiveness(&scorer->comparisons[scorer->order[position - 1]]) < decisiveness(comparison);
             position--)
            scorer->order[position] = scorer->order[position - 1];
        scorer->order[position] = c;
    }
    put_parts_behind(scorer);
    fill_mask_tables(scorer);
    return true;
}

kernel_status
comparison_measure(const comparison *comparison, uint32_t a, uint32_t b, kernel_workspace *workspace,
                   double *result)
{
    const value_table *values = &comparison->values;
    kernel_status status = KERNEL_OK;
    uint32_t distance = 0;

    if (comparison->elements != ELEMENTS_NONE)
        return elements_measure(comparison, a, b, workspace, result, NULL);
    switch (comparison->method) {
    case METHOD_EXACT:
        *result = a == b ? 1.0 : 0.0;
        break;
    case METHOD_JARO:
        status = jaro_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_JARO_WINKLER:
        status = jaro_winkler_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_LEVENSHTEIN:
        status = levenshtein_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_LEVENSHTEIN_DISTANCE:
        status = levenshtein_distance(values->texts[a], values->texts[b], workspace, &distance);
        *result = distance;
        break;
    case METHOD_DAMERAU:
        status = damerau_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_DAMERAU_DISTANCE:
        status = damerau_distance(values->texts[a], values->texts[b], workspace, &distance);
        *result = distance;
        break;
    case METHOD_LCS:
        status = lcs_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_QGRAM:
        status = qgram_similarity(values->texts[a], values->texts[b], comparison->q, comparison->measure,
                                  workspace, result);
        break;
    case METHOD_TOKEN:
        status = token_similarity(values->texts[a], values->texts[b], comparison->measure, workspace, result);
        break;
    case METHOD_TOKEN_SORT:
        status = token_sort_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_TOKEN_SET:
        status = token_set_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_MONGE_ELKAN:
        status = monge_elkan_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_INITIALS:
        status = initials_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_NAMES:
        status = names_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_NUMERIC:
        *result = numeric_similarity(values->numbers[a], values->numbers[b], comparison->scale);
        break;
    case METHOD_DATE:
        *result = date_similarity(values->dates[a], values->dates[b]);
        break;
    case METHOD_TFIDF:
        *result = term_vectors_cosine(values->vectors, a, b);
        break;
    case METHOD_SOFT_TFIDF:
        status = soft_tfidf_similarity(values->vectors, a, b, comparison->inner, workspace, result);
        break;
    }
    return status;
}

bool
method_is_distance(comparison_method method)
{
    return method == METHOD_LEVENSHTEIN_DISTANCE || method == METHOD_DAMERAU_DISTANCE;
}

/* The level of two unequal values that were measured. */
static inline int
level_of(const comparison *comparison, double measure)
{
    int level = 2;

    /* No branch: which threshold a pair misses cannot be predicted. Who misses one misses those before it. */
    if (method_is_distance(comparison->method))
        for (int t = 0; t < comparison->level_count - 2; t++)
            level += !(measure <= comparison->thresholds[t]);
    else
        for (int t = 0; t < comparison->level_count - 2; t++)
            level += !(measure >= comparison->thresholds[t]);
    return level;
}

/* The level of two unequal values that are both there, measured, and what they share that is rare adds. */
static kernel_status
measured_level(const comparison *comparison, uint32_t a, uint32_t b, kernel_workspace *workspace, int *level,
               int32_t *extra)
{
    double measure = 0;
    kernel_status status;

    *level = comparison->level_count;
    *extra = 0;
    if (comparison->level_count == 2)
        return KERNEL_OK;
    status = comparison_measure(comparison, a, b, workspace, &measure);
    if (status != KERNEL_OK)
        return status;
    *level = level_of(comparison, measure);
    *extra = comparison_rarity(comparison, a, b, *level);
    return KERNEL_OK;
}

/* The same, looked up among what this thread measured last. */
static inline kernel_status
remembered_level(const scorer *scorer, int c, uint32_t a, uint32_t b, comparison_thread *thread, int *level,
                 int32_t *extra)
{
    const comparison *comparison = &scorer->comparisons[c];
    uint64_t codes = a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
    level_cache_entry *entry;
    kernel_status status;

    if (thread->cache == NULL || comparison->level_count == 2)
        return measured_level(comparison, a, b, &thread->workspace, level, extra);
    entry = &thread->cache[(size_t)c * LEVEL_CACHE_SIZE + (hash_word(codes) & (LEVEL_CACHE_SIZE - 1))];
    if (entry->codes == codes && entry->level != 0) {
        *level = (int)(entry->level & 0xff);
        *extra = (int32_t)(uint32_t)(entry->level >> 32);
        return KERNEL_OK;
    }
    status = measured_level(comparison, a, b, &thread->workspace, level, extra);
    if (status == KERNEL_OK) {
        entry->codes = codes;
        entry->level = (uint64_t)(uint32_t)*extra << 32 | (uint64_t)*level;
    }
    return status;
}

/* ---- bounds from profiles ---- */

/* More than rounding can be worth: nothing is ruled out by a hair. */
#define BOUND_SLACK 1e-9

bool
method_has_bound(comparison_method method)
{
    switch (method) {
    case METHOD_JARO:
    case METHOD_JARO_WINKLER:
    case METHOD_LEVENSHTEIN:
    case METHOD_LEVENSHTEIN_DISTANCE:
    case METHOD_DAMERAU:
    case METHOD_DAMERAU_DISTANCE:
    case METHOD_LCS:
    case METHOD_NAMES:
        return true;
    default:
        return false;
    }
}

/* The largest Jaro similarity with so many characters matched, and Jaro-Winkler with so many in front. */
static inline double
jaro_bound(double matches, double length_a, double length_b, uint32_t prefix)
{
    double value = (matches * (length_a + length_b) / (length_a * length_b) + 1.0) / 3.0;

    return value + (value > 0.7 - BOUND_SLACK) * (0.1 * prefix) * (1.0 - value);
}

/*
 * Whether two different texts are certainly below every threshold. Each edit deals with at most one
 * character of either text that has no partner in the other; a character without a partner is matched by
 * nothing.
 */
#if defined(__GNUC__)
__attribute__((always_inline))
#endif
static inline bool
ruled_out(const comparison *comparison, const text_profile *a, const text_profile *b)
{
    double last = comparison->thresholds[comparison->level_count - 3];
    uint32_t surplus_a, surplus_b, edits, common;

    text_profile_surplus(a, b, &surplus_a, &surplus_b);
    edits = surplus_a > surplus_b ? surplus_a : surplus_b;
    common = a->length - surplus_a < b->length - surplus_b ? a->length - surplus_a : b->length - surplus_b;
    switch (comparison->method) {
    case METHOD_LEVENSHTEIN_DISTANCE:
    case METHOD_DAMERAU_DISTANCE:
        return edits > last;
    case METHOD_LEVENSHTEIN:
    case METHOD_DAMERAU:
        return 1.0 - edits / (double)(a->length > b->length ? a->length : b->length) < last - BOUND_SLACK;
    case METHOD_LCS:
        return 2.0 * common / ((double)a->length + b->length) < last - BOUND_SLACK;
    case METHOD_JARO:
        return jaro_bound(common, a->length, b->length, 0) < last - BOUND_SLACK;
    case METHOD_JARO_WINKLER:
        return jaro_bound(common, a->length, b->length, text_profile_common_start(a, b)) < last - BOUND_SLACK;
    case METHOD_NAMES:
        /* One word each, no nicknames of each other, and neither an initial. */
        return ((a->names | b->names) & NAMES_SEVERAL) == 0 && (a->names & b->names) == 0 && a->length > 1 &&
               b->length > 1 &&
               jaro_bound(common, a->length, b->length, text_profile_common_start(a, b)) < last - BOUND_SLACK;
    default:
        return false;
    }
}

bool
comparison_ruled_out(const comparison *comparison, const text_profile *a, const text_profile *b)
{
    return ruled_out(comparison, a, b);
}

/* ---- levels and weights ---- */

kernel_status
comparison_level(const scorer *scorer, int c, uint32_t a, uint32_t b, comparison_thread *thread, int *level)
{
    int32_t extra;

    if (a == 0 || b == 0) {
        *level = LEVEL_MISSING;
        return KERNEL_OK;
    }
    if (a == b) {
        *level = LEVEL_EXACT;
        return KERNEL_OK;
    }
    return remembered_level(scorer, c, a, b, thread, level, &extra);
}

int32_t
comparison_rarity(const comparison *comparison, uint32_t a, uint32_t b, int level)
{
    const element_table *shared;

    if (level == LEVEL_EXACT)
        return comparison->value_weights != NULL ? comparison->value_weights[a] : 0;
    shared = rare_shares(comparison, level);
    return shared != NULL ? elements_shared_weight(shared, a, b) : 0;
}

/* Whether it is a part of a text that says what it would say. */
static inline bool
part_is_silent(const scorer *scorer, const comparison *part, uint64_t levels)
{
    const comparison *text;

    if (part->part_of == 0)
        return false;
    text = &scorer->comparisons[part->part_of - 1];
    return level_says_of_parts(text, pattern_level(text, levels));
}

kernel_status
scorer_score(const scorer *scorer, const uint32_t *a, const uint32_t *b, int64_t least_weight,
             comparison_thread *thread, bool *qualifies, int64_t *weight, uint64_t *pattern)
{
    int pending[MAX_COMPARISONS];
    int pending_count = 0;
    int64_t sum = scorer->prior_weight, bound = 0;
    uint64_t levels = 0;

    *qualifies = false;
    for (int i = 0; i < scorer->comparison_count; i++) {
        int c = scorer->order[i];
        const comparison *comparison = &scorer->comparisons[c];
        uint32_t code_a = a[comparison->slot], code_b = b[comparison->slot];

        if (code_a == 0 || code_b == 0)
            continue; /* missing: level 0, weight 0 */
        if (code_a == code_b && comparison->part_of == 0) {
            sum += comparison->weights[LEVEL_EXACT];
            if (comparison->value_weights != NULL)
                sum += comparison->value_weights[code_a];
            levels |= (uint64_t)LEVEL_EXACT << comparison->pattern_shift;
        } else {
            bound += comparison->best_inexact;
            pending[pending_count++] = c;
        }
    }

    for (int i = 0; i < pending_count; i++) {
        const comparison *comparison = &scorer->comparisons[pending[i]];
        kernel_status status;
        int level;
        int32_t extra;

        if (sum + bound < least_weight)
            return KERNEL_OK;
        if (part_is_silent(scorer, comparison, levels)) {
            bound -= comparison->best_inexact;
            continue;
        }
        status = KERNEL_OK;
        level = LEVEL_EXACT;
        extra = 0;
        if (a[comparison->slot] != b[comparison->slot])
            status = remembered_level(scorer, pending[i], a[comparison->slot], b[comparison->slot], thread,
                                      &level, &extra);
        if (status != KERNEL_OK)
            return status;
        bound -= comparison->best_inexact;
        sum += comparison->weights[level] + extra;
        levels |= (uint64_t)level << comparison->pattern_shift;
    }
    if (sum < least_weight)
        return KERNEL_OK;
    *qualifies = true;
    *weight = sum;
    *pattern = levels;
    return KERNEL_OK;
}

/* ---- batches ---- */

/* What there is to do for a comparison: unequal values of pairs of the batch. */
typedef struct batch_work {
    uint32_t count;
    uint32_t a[SCORER_BATCH], b[SCORER_BATCH];
    uint16_t pair[SCORER_BATCH];
} batch_work;

/* Those of them whose values are short and have bit planes, by the lanes that they need: of 8 and 16 bits. */
typedef struct short_work {
    uint32_t count;
    uint32_t a[SCORER_BATCH], b[SCORER_BATCH];
    uint16_t pair[SCORER_BATCH];
    uint8_t length_a[SCORER_BATCH], length_b[SCORER_BATCH];
} short_work;

#define SHORTEST 8 /* characters that lanes of 8 bits have room for */

typedef struct batch_state {
    int64_t sum[SCORER_BATCH], bound[SCORER_BATCH];
    uint64_t levels[SCORER_BATCH];
    uint32_t pending[SCORER_BATCH]; /* a bit for each place in the scorer's order */
    uint16_t alive[SCORER_BATCH];
    uint32_t alive_count;
    batch_work work;
    short_work shorts[2];
} batch_state;

/* What equality alone says of each pair; those it decides against are no longer alive. */
static void
batch_open(const scorer *scorer, const uint32_t *const *a, const row_mask *masks, uint32_t count,
           int64_t least_weight, batch_state *state)
{
    state->alive_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t same = masks[i].same, differ = masks[i].there ^ same;
        int64_t sum = scorer->prior_weight, bound = 0;
        uint64_t levels = 0;
        uint32_t pending = 0;

        for (int t = 0; t < scorer->table_count; t++, same >>= 8, differ >>= 8) {
            const mask_table *table = &scorer->tables[t];

            sum += table->weights[same & 255];
            levels |= table->levels[same & 255];
            bound += table->bounds[differ & 255];
            pending |= table->pending[differ & 255];
        }
        for (int f = 0; f < scorer->frequency_count; f++) {
            const comparison *comparison = &scorer->comparisons[scorer->frequencies[f]];
            uint32_t equal = 0 - (uint32_t)(masks[i].same >> comparison->slot & 1);

            /* No branch: the waits for the weights of many pairs overlap. */
            sum += comparison->value_weights[a[i][comparison->slot] & equal] & (int32_t)equal;
        }
        for (int p = 0; p < scorer->part_count; p++) {
            const comparison *comparison = &scorer->comparisons[scorer->order[scorer->parts[p]]];
            bool there = masks[i].there >> comparison->slot & 1;

            bound += there ? comparison->best_inexact : 0;
            pending |= (uint32_t)there << scorer->parts[p];
        }
        state->sum[i] = sum;
        state->bound[i] = bound;
        state->levels[i] = levels;
        state->pending[i] = pending;
        state->alive[state->alive_count] = (uint16_t)i;
        state->alive_count += sum + bound >= least_weight;
    }
}

static inline void
settle(const comparison *comparison, batch_state *state, uint32_t pair, int level, int32_t extra)
{
    state->bound[pair] -= comparison->best_inexact;
    state->sum[pair] += comparison->weights[level] + extra;
    state->levels[pair] |= (uint64_t)level << comparison->pattern_shift;
}

/* The pairs that are still alive and have the comparison pending are its work. */
static void
batch_collect(const comparison *comparison, int k, const uint32_t *const *a, const uint32_t *const *b,
              bool carried, int64_t least_weight, batch_state *state)
{
    const text_profile *profiles = carried ? NULL : comparison->values.profiles;
    uint32_t alive = 0, work = 0;

    for (uint32_t n = 0; n < state->alive_count; n++) {
        uint32_t i = state->alive[n], code_a = a[i][comparison->slot], code_b = b[i][comparison->slot];
        bool lives = state->sum[i] + state->bound[i] >= least_weight;

        state->alive[alive] = (uint16_t)i;
        alive += lives;
        state->work.pair[work] = (uint16_t)i;
        state->work.a[work] = code_a;
        state->work.b[work] = code_b;
        work += lives & (state->pending[i] >> k & 1);
    }
    if (profiles != NULL)
        for (uint32_t n = 0; n < work; n++) {
            __builtin_prefetch(&profiles[state->work.a[n]]);
            __builtin_prefetch(&profiles[state->work.b[n]]);
        }
    state->alive_count = alive;
    state->work.count = work;
}

/* The texts that measuring will look at; NULL when it looks at something else. */
static inline const text_view *
read_texts(const comparison *comparison)
{
    comparison_method method = comparison->method;

    return method == METHOD_NUMERIC || method == METHOD_DATE || method_weighs_terms(method) ||
                   comparison->elements != ELEMENTS_NONE
               ? NULL
               : comparison->values.texts;
}

static inline void
add_short(short_work *work, uint32_t pair, uint32_t a, uint32_t b, const text_profile *of_a,
          const text_profile *of_b)
{
    uint32_t n = work->count++;

    work->a[n] = a;
    work->b[n] = b;
    work->pair[n] = (uint16_t)pair;
    work->length_a[n] = (uint8_t)of_a->length;
    work->length_b[n] = (uint8_t)of_b->length;
}

/* The profiles of the values of a pair of the work. */
typedef struct profile_pair {
    const text_profile *a, *b;
} profile_pair;

/* carried: words from a row to its profile, or 0. */
static inline profile_pair
profiles_of_work(const comparison *comparison, const uint32_t *const *row_a, const uint32_t *const *row_b,
                 uint32_t carried, const batch_work *work, uint32_t n)
{
    const text_profile *profiles = comparison->values.profiles;
    uint32_t pair = work->pair[n];

    if (carried != 0)
        return (profile_pair){(const text_profile *)(const void *)(row_a[pair] + carried),
                              (const text_profile *)(const void *)(row_b[pair] + carried)};
    return (profile_pair){&profiles[work->a[n]], &profiles[work->b[n]]};
}

/* Settles what profiles can settle and leaves the rest. Whether they can is not predictable: no branch asks.
 */
static void
batch_rule_out(const comparison *comparison, const uint32_t *const *row_a, const uint32_t *const *row_b,
               uint32_t carried, batch_state *state)
{
    batch_work *work = &state->work;
    uint16_t out[SCORER_BATCH];
    uint32_t left = 0, out_count = 0;

    for (uint32_t n = 0; n < work->count; n++) {
        profile_pair of = profiles_of_work(comparison, row_a, row_b, carried, work, n);
        uint16_t pair = work->pair[n];
        bool is_out = ruled_out(comparison, of.a, of.b);

        out[out_count] = pair;
        out_count += is_out;
        work->a[left] = work->a[n];
        work->b[left] = work->b[n];
        work->pair[left] = pair;
        left += !is_out;
    }
    work->count = left;
    for (uint32_t n = 0; n < out_count; n++)
        settle(comparison, state, out[n], comparison->level_count, 0);
}

/* Takes the pairs of short values with planes out of the work, and asks for what measuring will read. */
static void
batch_take_shorts(const comparison *comparison, const uint32_t *const *row_a, const uint32_t *const *row_b,
                  uint32_t carried, batch_state *state)
{
    batch_work *work = &state->work;
    const text_view *texts = read_texts(comparison);
    const lane_planes *planes = comparison_has_planes(comparison) ? comparison->values.planes : NULL;
    uint32_t left = 0;

    state->shorts[0].count = state->shorts[1].count = 0;
    for (uint32_t n = 0; n < work->count; n++) {
        uint32_t a = work->a[n], b = work->b[n], pair = work->pair[n];

        if (planes != NULL && (carried != 0 || comparison->values.profiles != NULL)) {
            profile_pair of = profiles_of_work(comparison, row_a, row_b, carried, work, n);

            if (of.a->in_planes && of.b->in_planes) {
                __builtin_prefetch(&planes[a]);
                __builtin_prefetch(&planes[b]);
                add_short(&state->shorts[of.a->length > SHORTEST || of.b->length > SHORTEST], pair, a, b,
                          of.a, of.b);
                continue;
            }
        }
        work->pair[left] = (uint16_t)pair;
        work->a[left] = a;
        work->b[left] = b;
        left++;
        if (texts != NULL) {
            __builtin_prefetch(&texts[a]);
            __builtin_prefetch(&texts[b]);
        }
    }
    work->count = left;
}

/* Whether pairs can be measured in lanes, and which measure that is. */
static inline bool
measured_in_lanes(const comparison *comparison, lane_measure *measure)
{
    if (comparison->elements != ELEMENTS_NONE)
        return false;
    switch (comparison->method) {
    case METHOD_JARO:
        *measure = LANES_JARO;
        return true;
    case METHOD_JARO_WINKLER:
        *measure = LANES_JARO_WINKLER;
        return true;
    case METHOD_LEVENSHTEIN:
        *measure = LANES_LEVENSHTEIN;
        return true;
    case METHOD_LEVENSHTEIN_DISTANCE:
        *measure = LANES_LEVENSHTEIN_DISTANCE;
        return true;
    case METHOD_DAMERAU:
        *measure = LANES_DAMERAU;
        return true;
    case METHOD_DAMERAU_DISTANCE:
        *measure = LANES_DAMERAU_DISTANCE;
        return true;
    default:
        return false;
    }
}

bool
comparison_has_planes(const comparison *comparison)
{
    lane_measure measure;

    return measured_in_lanes(comparison, &measure) && comparison->level_count > 2;
}

/* A short text may lie in two cache lines; of a long one, which is read from its start, the first is enough.
 */
static inline void
prefetch_characters(const text_view *text)
{
    const char *chars = text->chars;

    __builtin_prefetch(chars);
    __builtin_prefetch(chars + (text->length > 0 && text->length <= 64 ? text->length - 1 : 0));
}

/* Measures all of the work together. */
static kernel_status
batch_measure_lanes(const comparison *comparison, lane_measure measure, comparison_thread *thread,
                    batch_state *state)
{
    batch_work *work = &state->work;
    const text_view *texts = comparison->values.texts;
    text_view a[SCORER_BATCH], b[SCORER_BATCH];
    double results[SCORER_BATCH];
    kernel_status status;

    for (int i = 0; i < 2; i++) {
        const short_work *some = &state->shorts[i];

        if (some->count == 0)
            continue;
        status = lanes_values(measure, comparison->values.planes, some->a, some->b, some->length_a,
                              some->length_b, some->count, &thread->workspace, results);
        if (status != KERNEL_OK)
            return status;
        for (uint32_t n = 0; n < some->count; n++)
            settle(comparison, state, some->pair[n], level_of(comparison, results[n]), 0);
    }
    for (uint32_t n = 0; n < work->count; n++) {
        a[n] = texts[work->a[n]];
        b[n] = texts[work->b[n]];
        prefetch_characters(&a[n]);
        prefetch_characters(&b[n]);
    }
    status = lanes_pairs(measure, a, b, work->count, &thread->workspace, results);
    if (status != KERNEL_OK)
        return status;
    for (uint32_t n = 0; n < work->count; n++)
        settle(comparison, state, work->pair[n], level_of(comparison, results[n]), 0);
    return KERNEL_OK;
}

static kernel_status
batch_measure(const scorer *scorer, int c, comparison_thread *thread, batch_state *state)
{
    const comparison *comparison = &scorer->comparisons[c];
    batch_work *work = &state->work;
    const text_view *texts = read_texts(comparison);
    lane_measure measure;

    if (measured_in_lanes(comparison, &measure))
        return batch_measure_lanes(comparison, measure, thread, state);
    if (texts != NULL)
        for (uint32_t n = 0; n < work->count; n++) {
            __builtin_prefetch(texts[work->a[n]].chars);
            __builtin_prefetch(texts[work->b[n]].chars);
        }
    for (uint32_t n = 0; n < work->count; n++) {
        int level;
        int32_t extra;
        kernel_status status = remembered_level(scorer, c, work->a[n], work->b[n], thread, &level, &extra);

        if (status != KERNEL_OK)
            return status;
        settle(comparison, state, work->pair[n], level, extra);
    }
    return KERNEL_OK;
}

/* What is left is work where the text does not say what its part says, and the parts are not the same. */
static void
batch_leave_silent(const scorer *scorer, const comparison *part, batch_state *state)
{
    batch_work *work = &state->work;
    uint32_t left = 0;

    for (uint32_t n = 0; n < work->count; n++) {
        uint32_t i = work->pair[n];

        if (part_is_silent(scorer, part, state->levels[i]))
            state->bound[i] -= part->best_inexact;
        else if (work->a[n] == work->b[n])
            settle(part, state, i, LEVEL_EXACT, 0);
        else {
            work->pair[left] = (uint16_t)i;
            work->a[left] = work->a[n];
            work->b[left++] = work->b[n];
        }
    }
    work->count = left;
}

kernel_status
scorer_score_batch(const scorer *scorer, const uint32_t *const *a, const uint32_t *const *b,
                   const row_mask *masks, uint32_t count, int64_t least_weight, comparison_thread *thread,
                   uint16_t *chosen, uint32_t *chosen_count, int64_t *weights, uint64_t *patterns)
{
    batch_state state;

    *chosen_count = 0;
    batch_open(scorer, a, masks, count, least_weight, &state);
    for (int k = 0; k < scorer->comparison_count && state.alive_count > 0; k++) {
        int c = scorer->order[k];
        const comparison *comparison = &scorer->comparisons[c];
        uint32_t carried = thread->carried == NULL ? 0 : thread->carried[c];
        kernel_status status;

        batch_collect(comparison, k, a, b, carried != 0, least_weight, &state);
        if (comparison->part_of != 0)
            batch_leave_silent(scorer, comparison, &state);
        if (comparison->level_count == 2) { /* exact or not, and these are not */
            for (uint32_t n = 0; n < state.work.count; n++)
                settle(comparison, &state, state.work.pair[n], 2, 0);
            continue;
        }
        if (carried != 0 || comparison->values.profiles != NULL)
            batch_rule_out(comparison, a, b, carried, &state);
        batch_take_shorts(comparison, a, b, carried, &state);
        status = batch_measure(scorer, c, thread, &state);
        if (status != KERNEL_OK)
            return status;
    }
    for (uint32_t n = 0; n < state.alive_count; n++) {
        uint32_t i = state.alive[n];

        chosen[*chosen_count] = (uint16_t)i;
        weights[*chosen_count] = state.sum[i];
        patterns[*chosen_count] = state.levels[i];
        *chosen_count += state.sum[i] >= least_weight;
    }
    return KERNEL_OK;
}
