/*
 * rarity.c: see rarity.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/model_weights.h"
#include "engine/rarity.h"
#include "engine/value_reader.h"
#include "engine/value_summary.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MOST_CLASSES 4
#define RARITY_BITS 3       /* of a pattern */
#define NARROWEST_CLASS 1.0 /* log2 of how many times as frequent the next class is */
#define RAREST_RECORDS 2.0  /* values of so many records are not listed */
#define LEAST_SPREAD 16.0   /* the most frequent value's records: below that copies are what is counted */
#define LEAST_FILLED 1000.0 /* records with a value; fewer do not teach so much */
#define LEAST_EXACT_SHARE 1e-12
#define LEAST_U_SHARE 0.1 /* of what was seen, that taking out matches leaves */

/* The class of a value of so many records. */
static int
class_of(const rarity *rarity, double records)
{
    double above;

    if (records <= rarity->least)
        return LEVEL_EXACT;
    above = portable_log2(records / rarity->least) / rarity->step;
    return LEVEL_EXACT + Min((int)above + 1, rarity->classes - 1);
}

/* Levels go from the rarest; what is listed of a column's values is known by name, the others are the rarest.
 */
static bool
make_classes(match_run *run, int c, rarity *rarity)
{
    const value_summary *values = value_summary_of(run, run->comparison_slots[c]);
    double most = values->frequent_count == 0 ? 0 : values->frequent[0].records, range,
           sums[MAX_LEVELS] = {0};
    double rest_pairs = (double)values->equal_pairs, rest_held = values->held;

    memset(rarity, 0, sizeof *rarity);
    rarity->comparison = c;
    rarity->least = RAREST_RECORDS;
    if (values->frequent_count > LISTED_VALUES)
        rarity->least = values->frequent[LISTED_VALUES].records;
    if (values->filled < LEAST_FILLED || most < LEAST_SPREAD * rarity->least)
        return false;
    range = portable_log2(most / rarity->least);
    rarity->step = Max(range / (MOST_CLASSES - 1) * (1 + 1e-9), NARROWEST_CLASS);
    rarity->classes = Min((int)(range / rarity->step) + 2, MOST_CLASSES);
    for (uint32 i = 0; i < values->frequent_count; i++) {
        double records = values->frequent[i].records, pairs = records * (records - 1) / 2;
        int level = class_of(rarity, records);

        rarity->pairs[level] += pairs;
        rarity->shares[level] += records;
        sums[level] += pairs * portable_log2(records / values->filled);
        rest_pairs -= pairs;
        rest_held -= records;
    }
    if (rest_pairs > 0.5) {
        double records = Max(Min(1.0 + 2.0 * rest_pairs / Max(rest_held, 1.0), rarity->least), 1.0);

        rarity->pairs[LEVEL_EXACT] += rest_pairs;
        rarity->shares[LEVEL_EXACT] += Max(rest_held, 0);
        sums[LEVEL_EXACT] += rest_pairs * portable_log2(records / values->filled);
    }
    for (int level = LEVEL_EXACT; level <= rarity->classes; level++)
        if (rarity->pairs[level] > 0)
            rarity->bits[level] = sums[level] / rarity->pairs[level];
    return true;
}

/* Shares that sum to one, and none is impossible. */
static void
make_shares(double *counts, int levels)
{
    double total = 0;

    for (int level = LEVEL_EXACT; level <= levels; level++)
        total += counts[level] += 0.5;
    for (int level = LEVEL_EXACT; level <= levels; level++)
        counts[level] /= total;
}

rarities *
rarities_of(match_run *run)
{
    rarities *rarities = MemoryContextAllocZero(run->context, sizeof(struct rarities));
    scorer *layout = &rarities->layout;
    const comparison *last = &run->scorer.comparisons[run->scorer.comparison_count - 1];

    *layout = run->scorer;
    rarities->shift = last->pattern_shift + last->pattern_bits;
    for (int c = 0; c < run->spec->comparison_count; c++) {
        rarity *rarity = &rarities->list[rarities->count];
        comparison *companion = &layout->comparisons[layout->comparison_count];

        if (!run->spec->comparisons[c].term_frequency || run->spec->comparisons[c].with_labels ||
            run->spec->comparisons[c].elements != ELEMENTS_NONE || rarities->count == MOST_RARITIES ||
            layout->comparison_count == MAX_COMPARISONS ||
            rarities->shift + RARITY_BITS * (rarities->count + 1) > 64 || !make_classes(run, c, rarity))
            continue;
        memset(companion, 0, sizeof *companion);
        companion->method = METHOD_EXACT;
        companion->level_count = rarity->classes;
        companion->pattern_shift = rarities->shift + RARITY_BITS * rarities->count;
        companion->pattern_bits = RARITY_BITS;
        make_shares(rarity->shares, rarity->classes);
        make_shares(rarity->pairs, rarity->classes);
        layout->comparison_count++;
        rarities->count++;
    }
    return rarities;
}

/* ---- counting ---- */

/* By code: the class of a value in its place. */
static int32 *
classes_by_code(match_run *run, const rarity *rarity, int place)
{
    int slot = run->comparison_slots[rarity->comparison];
    const dictionary *values = run->store->columns[slot].values;
    const value_summary *summary = value_summary_of(run, slot);
    int32 *weights = big_alloc(run->store->data, mul_size(values->count, sizeof(int32)));

    for (uint32 code = 0; code < values->count; code++)
        weights[code] = LEVEL_EXACT << (RARITY_BITS * place);
    for (uint32 i = 0; i < summary->frequent_count; i++) {
        uint32 code = run->store->spool == NULL ? summary->frequent[i].code
                                                : dictionary_find(values, summary->frequent[i].text);

        if (code != 0)
            weights[code] = class_of(rarity, summary->frequent[i].records) << (RARITY_BITS * place);
    }
    return weights;
}

void
rarities_take_values(match_run *run)
{
    for (int i = 0; run->rarities != NULL && i < run->rarities->count; i++)
        run->scorer.comparisons[run->rarities->list[i].comparison].value_weights =
            classes_by_code(run, &run->rarities->list[i], i);
}

void
rarities_weigh(match_run *run, rarities *rarities, bool on)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);

    /* In passes they went with the values of the pass. */
    for (int i = 0; run->rarities != NULL && run->store->spool == NULL && i < run->rarities->count; i++)
        pfree(unconstify(int32 *, run->scorer.comparisons[run->rarities->list[i].comparison].value_weights));
    run->scorer.prior_weight = 0;
    for (int c = 0; c < run->scorer.comparison_count; c++) {
        memset(run->scorer.comparisons[c].weights, 0, sizeof run->scorer.comparisons[c].weights);
        run->scorer.comparisons[c].value_weights = NULL;
    }
    run->weights = NULL;
    run->rarities = on ? rarities : NULL;
    if (run->store->spool == NULL)
        rarities_take_values(run);
    match_run_prepare_scorer(run);
    MemoryContextSwitchTo(before);
}

/* ---- EM ---- */

static int
place_of(const rarities *rarities, int i)
{
    return rarities->layout.comparison_count - rarities->count + i;
}

void
rarities_take_out_matches(const rarities *rarities, const double equal[MAX_COMPARISONS][MAX_LEVELS],
                          double prior, em_parameters *parameters)
{
    for (int i = 0; i < rarities->count; i++) {
        const rarity *rarity = &rarities->list[i];
        double all_equal = equal[rarity->comparison][LEVEL_EXACT], sum = 0;
        double matches =
            prior * parameters->m[rarity->comparison][LEVEL_EXACT] / Max(all_equal, LEAST_EXACT_SHARE);
        double *u = parameters->u[place_of(rarities, i)], *m = parameters->m[place_of(rarities, i)];

        matches = Min(matches, 0.9);
        for (int level = LEVEL_EXACT; level <= rarity->classes; level++) {
            u[level] = Max(rarity->pairs[level] - matches * m[level], LEAST_U_SHARE * rarity->pairs[level]);
            sum += u[level];
        }
        for (int level = LEVEL_EXACT; level <= rarity->classes; level++)
            u[level] /= sum;
    }
}

void
rarities_start(const rarities *rarities, em_parameters *parameters)
{
    for (int i = 0; i < rarities->count; i++)
        memcpy(parameters->m[place_of(rarities, i)], rarities->list[i].shares,
               sizeof rarities->list[i].shares);
}

double
rarities_typical_bits(const rarities *rarities, int comparison, double u)
{
    for (int i = 0; i < rarities->count; i++) {
        const rarity *rarity = &rarities->list[i];
        double bits = 0;

        if (rarity->comparison != comparison)
            continue;
        for (int level = LEVEL_EXACT; level <= rarity->classes; level++)
            bits += rarity->shares[level] * rarity->bits[level];
        return Min(portable_log2(u), bits);
    }
    return portable_log2(u);
}

uint32
rarities_mask(const rarities *rarities, int comparison)
{
    uint32 mask = UINT32_C(1) << comparison;

    for (int i = 0; i < rarities->count; i++)
        if (rarities->list[i].comparison == comparison)
            mask |= UINT32_C(1) << place_of(rarities, i);
    return mask;
}

uint64
levels_of_pair(match_run *run, uint32 a, uint32 b)
{
    const uint32 *row_a = record_row(&run->store->records, a), *row_b = record_row(&run->store->records, b);
    int64 weight;
    uint64 pattern;
    bool qualifies;

    while (kernel_must_repeat(scorer_score(&run->scorer, row_a, row_b, PG_INT64_MIN, &run->thread_memory[0],
                                           &qualifies, &weight, &pattern)))
        ;
    return pattern;
}

/* ---- into the model ---- */

bool
rarities_scale(const rarities *rarities, const logistic_weights *weights, const logistic_case *cases,
               size_t case_count, int c, double u, double *exact, double *scale)
{
    double met[MAX_LEVELS] = {0}, all = 0, mean_x = 0, mean_y = 0, xx = 0, xy = 0;
    const rarity *rarity = NULL;
    int place = 0;

    for (int i = 0; i < rarities->count; i++)
        if (rarities->list[i].comparison == c) {
            rarity = &rarities->list[i];
            place = place_of(rarities, i);
        }
    if (rarity == NULL)
        return false;
    for (size_t i = 0; i < case_count; i++)
        met[pattern_level(&rarities->layout.comparisons[place], cases[i].pattern)] += cases[i].count;
    for (int level = LEVEL_EXACT; level <= rarity->classes; level++) {
        if (rarity->bits[level] == 0)
            continue;
        all += met[level];
        mean_x += met[level] * rarity->bits[level];
        mean_y += met[level] * weights->levels[place][level];
    }
    if (all < 1)
        return false;
    mean_x /= all;
    mean_y /= all;
    for (int level = LEVEL_EXACT; level <= rarity->classes; level++) {
        if (rarity->bits[level] == 0)
            continue;
        xx += met[level] * (rarity->bits[level] - mean_x) * (rarity->bits[level] - mean_x);
        xy += met[level] * (rarity->bits[level] - mean_x) * (weights->levels[place][level] - mean_y);
    }
    *scale = xx > 0 ? Max(Min(-xy / xx, MOST_SCALE), 0) : 0;
    /* What the companion says where a value is as frequent as u. */
    *exact = weights->levels[c][LEVEL_EXACT] + mean_y + *scale * (mean_x - portable_log2(u));
    return true;
}
