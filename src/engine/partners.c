/*
 * partners.c: see partners.h. Everything is counted by steps of weight, from PARTNERS_DEPTH below the
 * threshold on.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/partners.h"
#include "engine/passes.h"
#include "miscadmin.h"

#define STEPS_A_BIT 2
#define STEP (WEIGHT_UNITS / STEPS_A_BIT)
#define AS_IT_IS (PARTNERS_DEPTH * STEPS_A_BIT) /* the step of the threshold */
#define STEPS (AS_IT_IS + 10 * STEPS_A_BIT + 1)
#define NONE PG_UINT32_MAX

#define LEAST_LINKS 50  /* that say something */
#define NEARLY_ALL 0.9  /* of the links, that are right from another threshold on */
#define LEAST_GAIN 0.02 /* in F1, that it promises */

/* By step: links, and records whose best partner and whose second is of it. */
typedef struct partner_counts {
    double links[STEPS], best[STEPS], second[STEPS];
    double seconds, apart; /* from the threshold on; those of them that are no link of the best partner */
} partner_counts;

/* Of each step and those above: links, and how many of them are right. */
typedef struct partner_sums {
    double links[STEPS], right[STEPS];
} partner_sums;

/* Of a record. */
typedef struct partner_pair {
    uint32 best, second;
    int step; /* of the second */
} partner_pair;

static void
count_partner(partner_counts *counts, partner_pair *own, uint32 other, int step)
{
    if (own->best == NONE) {
        own->best = other;
        counts->best[step]++;
    } else if (own->second == NONE) {
        own->second = other;
        own->step = step;
        counts->second[step]++;
    }
}

/* Counts the second partners from the threshold on, and those that are no link of the best one. */
static void
count_apart(match_run *run, const partner_pair *partners, int64 least_weight, partner_counts *counts)
{
    uint32 records = run->store->records.count;
    named_pair *pairs = big_alloc(run->context, mul_size(Max(records, 1), sizeof(named_pair)));
    int64 *weights = big_alloc(run->context, mul_size(Max(records, 1), sizeof(int64)));
    uint64 count = 0;

    for (uint32 record = 0; record < records; record++)
        if (partners[record].second != NONE && partners[record].step >= AS_IT_IS)
            pairs[count++] = (named_pair){partners[record].best, partners[record].second};
    if (run->store->spool != NULL)
        passes_weigh_pairs(run, pairs, count, weights);
    for (uint64 i = 0; i < count; i++) {
        if (run->store->spool == NULL)
            weights[i] = match_run_pair_weight(run, pairs[i].a, pairs[i].b);
        if (weights[i] < least_weight)
            counts->apart++;
        CHECK_FOR_INTERRUPTS();
    }
    counts->seconds = (double)count;
    pfree(pairs);
    pfree(weights);
}

static void
count_partners(match_run *run, const link_list *list, int64 lowest, partner_counts *counts)
{
    uint32 records = run->store->records.count;
    partner_pair *partners = big_alloc(run->context, mul_size(Max(records, 1), sizeof(partner_pair)));

    for (uint32 record = 0; record < records; record++)
        partners[record] = (partner_pair){NONE, NONE, 0};
    for (uint64 i = 0; i < list->count; i++) {
        const keyed_record *link = &list->links[i];
        int64 step = (link_weight(link) - lowest) / STEP;

        if ((i & 0xfffff) == 0)
            CHECK_FOR_INTERRUPTS();
        if (link_weight(link) < lowest)
            break;
        step = Min(step, STEPS - 1);
        counts->links[step]++;
        count_partner(counts, &partners[link->record], link->extra, (int)step);
        count_partner(counts, &partners[link->extra], link->record, (int)step);
    }
    count_apart(run, partners, lowest + PARTNERS_DEPTH * WEIGHT_UNITS, counts);
    pfree(partners);
}

/* Pairs of best partners that are right, if so many records have a partner and a second one that is wrong. */
static double
right_pairs(double records, double best, double second)
{
    return best - second < 0.5 ? 0 : Max((best * best - second * records) / (best - second), 0) / 2;
}

/* No fewer links are right at a lower weight. */
static void
sum_right(const partner_counts *counts, double records, partner_sums *sums)
{
    double links = 0, best = 0, second = 0, right = 0;

    for (int step = STEPS - 1; step >= 0; step--) {
        links += counts->links[step];
        best += counts->best[step];
        second += counts->second[step];
        right = Min(Max(right, right_pairs(records, best, second)), links);
        sums->links[step] = links;
        sums->right[step] = right;
    }
}

/* The step that promises the best F1, from the first on to the last; the nearest to the threshold of those
 * that promise as much. */
static int
best_step(const partner_sums *sums, int first, int last)
{
    int best = AS_IT_IS;
    double most = 0, as_it_is = 0;

    for (int step = first; step <= last; step++) {
        double f1 = 2.0 * sums->right[step] / (sums->links[step] + sums->right[0]);

        if (step == AS_IT_IS)
            as_it_is = f1;
        if (f1 > most || (f1 == most && step <= AS_IT_IS)) {
            most = f1;
            best = step;
        }
    }
    return most >= as_it_is + LEAST_GAIN && sums->right[best] >= NEARLY_ALL * sums->links[best] ? best
                                                                                                : AS_IT_IS;
}

int32
partners_learn(match_run *run, const link_list *list, int64 least_weight)
{
    partner_counts counts = {{0}};
    partner_sums sums;
    int step;

    count_partners(run, list, least_weight - PARTNERS_DEPTH * WEIGHT_UNITS, &counts);
    sum_right(&counts, run->store->records.count, &sums);
    if (sums.links[AS_IT_IS] < LEAST_LINKS)
        return 0;
    step = best_step(&sums, 0, counts.apart > counts.seconds / 2 ? STEPS - 1 : AS_IT_IS);
    match_run_phase(run, "partners",
                    "%.0f of %.0f links right, %.0f of %.0f second partners apart; %.1f bits more",
                    sums.right[AS_IT_IS], sums.links[AS_IT_IS], counts.apart, counts.seconds,
                    (double)(AS_IT_IS - step) / STEPS_A_BIT);
    return (AS_IT_IS - step) * STEP;
}
