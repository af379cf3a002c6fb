/*
 * partners.c: see partners.h. Everything is counted by steps of weight, from PARTNERS_DEPTH below the
 * threshold on.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/partners.h"
#include "engine/passes.h"
#include "kernel/fixed_point.h"
#include "miscadmin.h"

#define STEPS_A_BIT 2
#define STEP (WEIGHT_UNITS / STEPS_A_BIT)
#define AS_IT_IS (PARTNERS_DEPTH * STEPS_A_BIT) /* the step of the threshold */
#define STEPS (AS_IT_IS + 12 * STEPS_A_BIT + 1)
#define NONE PG_UINT32_MAX

#define LEAST_LINKS 10        /* that say something */
#define LEAST_SECONDS 8       /* that a lower threshold would show, were all links that it adds wrong */
#define LEAST_F1 0.4          /* that another threshold promises: less may be by chance */
#define LEAST_GAIN 0.02       /* in F1, that a lower one promises */
#define LEAST_GAIN_HIGHER 0.1 /* the same, a higher one: second partners may be right */
#define LEAST_LEFT 0.1        /* of the records with a partner: few of those that weigh most have a second */
#define MOST_APART 0.4        /* of the second partners, where links are of copies */
#define HALVINGS 50
#define LN_2 0.69314718055994530942

/* By step: links, and records whose best partner and whose second is of it. */
typedef struct partner_counts {
    double links[STEPS], best[STEPS], second[STEPS];
    double seconds, apart; /* from the threshold on; those of them that are no link of the best partner */
} partner_counts;

/* Of each step and those above: links, and how many of them are right. */
typedef struct partner_sums {
    double links[STEPS], right[STEPS];
    double best[STEPS]; /* and records with a partner */
    double most;        /* that may be right, of all that are looked at */
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

/*
 * Pairs of best partners that are right, if so many of the records have a partner and a second one. A share p
 * has its true one, and all meet false ones by chance, none of them with chance e (Poisson). Then no partner
 * is (1 - p) e, and fewer than two is e - (1 - p) e ln e, which rises with e.
 */
static double
right_pairs(double records, double best, double second)
{
    double none = 1.0 - best / records, fewer_than_two = 1.0 - second / records;
    double low = none, high = 1.0; /* e, if no partner is true, and if none is false */

    if (none <= 0)
        return 0;
    for (int i = 0; i < HALVINGS; i++) {
        double e = (low + high) / 2;

        if (e - none * portable_log2(e) * LN_2 > fewer_than_two)
            high = e;
        else
            low = e;
    }
    return (1.0 - none / low) * records / 2;
}

/*
 * The same where false partners come in heaps, each with the chance of the one before: the most that may be
 * right.
 */
static double
most_right_pairs(double records, double best, double second)
{
    return best - second < 0.5 ? 0 : Max((best * best - second * records) / (best - second), 0) / 2;
}

/* No fewer links are right at a lower weight. */
static void
sum_right(const partner_counts *counts, double records, partner_sums *sums)
{
    double links = 0, best = 0, second = 0, right = 0;

    sums->most = 0;
    for (int step = STEPS - 1; step >= 0; step--) {
        links += counts->links[step];
        best += counts->best[step];
        second += counts->second[step];
        right = Min(Max(right, right_pairs(records, best, second)), links);
        sums->links[step] = links;
        sums->right[step] = right;
        sums->best[step] = best;
        if (step >= AS_IT_IS)
            sums->most = Max(sums->most, Min(most_right_pairs(records, best, second), links));
    }
    sums->most = Max(sums->most, right);
}

/* Whether it were seen, if what a lower threshold adds were wrong: second partners that come by chance. */
static bool
would_be_seen(const partner_sums *sums, double records, int step)
{
    return (sums->best[step] - sums->best[AS_IT_IS]) * sums->best[step] / records >= LEAST_SECONDS;
}

/*
 * The step that promises the best F1; the nearest to the threshold of those that promise as much. strangers:
 * whether partners are hardly ever those of each other, so that any higher one is better.
 */
static int
best_step(const partner_sums *sums, double records, bool strangers)
{
    int best = strangers ? STEPS - 1 : AS_IT_IS;
    double most = 0, as_it_is = 0, gain;

    for (int step = 0; step < STEPS; step++) {
        double f1 = 2.0 * sums->right[step] / Max(sums->links[step] + sums->most, 1.0);

        if (step == AS_IT_IS)
            as_it_is = f1;
        if (sums->links[step] < LEAST_LINKS || (step < AS_IT_IS && !would_be_seen(sums, records, step)) ||
            (!strangers && sums->best[step] < LEAST_LEFT * sums->best[AS_IT_IS]))
            continue;
        if (f1 > most || (f1 == most && f1 > 0 && step <= AS_IT_IS)) {
            most = f1;
            best = step;
        }
    }
    if (strangers && best > AS_IT_IS)
        return best;
    gain = best > AS_IT_IS ? LEAST_GAIN_HIGHER : LEAST_GAIN;
    return most >= as_it_is + gain && most >= LEAST_F1 ? best : AS_IT_IS;
}

int32
partners_learn(match_run *run, const link_list *list, int64 least_weight)
{
    partner_counts counts = {{0}};
    partner_sums sums;
    double records = Max(run->store->records.count, 1);
    bool strangers;
    int step;

    count_partners(run, list, least_weight - PARTNERS_DEPTH * WEIGHT_UNITS, &counts);
    sum_right(&counts, records, &sums);
    strangers = counts.seconds >= LEAST_LINKS && counts.apart > MOST_APART * counts.seconds;
    step = best_step(&sums, records, strangers);
    match_run_phase(
        run, "partners",
        "%.0f of %.0f links right, %.0f of %.0f second partners apart; %.0f of %.0f with %.1f bits more",
        sums.right[AS_IT_IS], sums.links[AS_IT_IS], counts.apart, counts.seconds, sums.right[step],
        sums.links[step], (double)(AS_IT_IS - step) / STEPS_A_BIT);
    return (AS_IT_IS - step) * STEP;
}
