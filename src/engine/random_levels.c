/*
 * random_levels.c: see random_levels.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/hash_sort.h"
#include "engine/passes.h"
#include "engine/pattern_counts.h"
#include "engine/random_levels.h"
#include "engine/value_summary.h"
#include "kernel/hash.h"
#include "kernel/parallel.h"
#include "kernel/random_pairs.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define RANDOM_PAIRS 400000
#define RANDOM_UNITS 64
#define RANDOM_SEED 20240917
#define LEAST_U_SHARE 0.1 /* of what was seen, that taking out matches leaves */

typedef struct random_region {
    const random_pairs *pairs;
    random_pairs_unit *units;
} random_region;

static void
work_on_random_pairs(void *context, int64_t item, int thread)
{
    random_region *region = context;

    random_pairs_work(region->pairs, &region->units[item], thread);
}

/* In memory. */
static drawn_pair *
draw_all(match_run *run, const random_pairs *pairs)
{
    drawn_pair *drawn = big_alloc(run->context, pairs->total * sizeof(drawn_pair));
    drawn_pair *scratch = big_alloc(run->context, pairs->total * sizeof(drawn_pair));

    random_pairs_draw_all(pairs, run->threads, drawn, scratch);
    pfree(scratch);
    return drawn;
}

/* In passes: pairs in the order of the blocks of records that they are of, and where those of two end. */
typedef struct random_blocks {
    record_blocks *records;
    uint64 *ends; /* by lower block * count + higher block */
} random_blocks;

static inline uint32
two_blocks(const record_blocks *records, drawn_pair pair)
{
    uint32 a = pair.a / records->each, b = pair.b / records->each;

    return Min(a, b) * records->count + Max(a, b);
}

static drawn_pair *
draw_by_blocks(match_run *run, const random_pairs *pairs, random_blocks *blocks)
{
    Size size = mul_size(Max(pairs->total, 1), sizeof(drawn_pair));
    drawn_pair *drawn = big_alloc(run->context, size), *scratch = big_alloc(run->context, size);
    uint64 place = 0;
    uint32 bins;

    blocks->records = passes_deal_blocks(run, pairs->record_count);
    bins = blocks->records->count * blocks->records->count;
    blocks->ends = MemoryContextAllocZero(run->context, bins * sizeof(uint64));
    for (uint64 i = 0; i < pairs->total; i++) {
        uint32 a, b;

        random_pairs_draw(pairs, i, &a, &b);
        scratch[i] = (drawn_pair){(uint16)a, (uint16)b};
        blocks->ends[two_blocks(blocks->records, scratch[i])]++;
    }
    for (uint32 bin = 0; bin < bins; bin++) {
        uint64 count = blocks->ends[bin];

        blocks->ends[bin] = place;
        place += count;
    }
    for (uint64 i = 0; i < pairs->total; i++)
        drawn[blocks->ends[two_blocks(blocks->records, scratch[i])]++] = scratch[i];
    pfree(scratch);
    return drawn;
}

/* Loads the records of pair number next. Returns where the pairs of their blocks end. */
static uint64
load_blocks_of(match_run *run, const random_blocks *blocks, drawn_pair pair)
{
    uint32 bin = two_blocks(blocks->records, pair);

    passes_load_blocks(run, blocks->records, bin / blocks->records->count, bin % blocks->records->count);
    return blocks->ends[bin];
}

/* Counts the levels of random pairs (of all pairs where they are few): seen[comparison][level]. */
static uint64
count_random_levels(match_run *run, bool across, uint64 seen[MAX_COMPARISONS][MAX_LEVELS],
                    pattern_count **random, size_t *random_count)
{
    random_pairs pairs = {0};
    random_pairs_unit *units = MemoryContextAllocHuge(run->context, RANDOM_UNITS * sizeof(random_pairs_unit));
    random_region region = {&pairs, units};
    uint64 records = run->store->records.count, all = records < 2 ? 0 : records * (records - 1) / 2;
    uint64 next = 0, loaded = 0, taken = 0;
    pattern_counts counts;
    random_blocks blocks = {0};
    drawn_pair *drawn = NULL;
    size_t pattern_total;
    pattern_count *patterns;

    pattern_counts_init(&counts, run->context);
    pairs.records = &run->store->records;
    pairs.record_count = random_pairs_records(records);
    pairs.scorer = &run->scorer;
    pairs.source_slot = across ? (uint32)run->store->source_slot : PG_UINT32_MAX;
    pairs.seed = RANDOM_SEED;
    pairs.every_pair = all <= RANDOM_PAIRS;
    pairs.total = pairs.every_pair ? all : RANDOM_PAIRS;
    pairs.threads = run->thread_memory;
    if (run->store->spool != NULL)
        pairs.drawn = drawn = draw_by_blocks(run, &pairs, &blocks);
    else if (!pairs.every_pair)
        pairs.drawn = drawn = draw_all(run, &pairs);

    while (next < pairs.total) {
        int unit_count = 0;
        bool unfinished = true;

        if (next == loaded)
            loaded = blocks.records == NULL ? pairs.total : load_blocks_of(run, &blocks, drawn[next]);
        for (; unit_count < RANDOM_UNITS && next < loaded; unit_count++) {
            units[unit_count].next = next;
            next = Min(next + RANDOM_PAIRS_UNIT, loaded);
            units[unit_count].end = next;
            units[unit_count].status = KERNEL_OK;
            units[unit_count].pattern_count = 0;
        }
        while (unfinished) {
            parallel_for(run->threads, unit_count, work_on_random_pairs, &region);
            CHECK_FOR_INTERRUPTS();
            unfinished = false;
            for (int u = 0; u < unit_count; u++) {
                raise_kernel_status(units[u].status);
                unfinished |= units[u].next < units[u].end;
            }
        }
        for (int u = 0; u < unit_count; u++) {
            taken += units[u].pattern_count;
            for (uint32 i = 0; i < units[u].pattern_count; i++)
                pattern_counts_add(&counts, units[u].patterns[i], true);
        }
    }
    if (drawn != NULL)
        pfree(drawn);
    if (blocks.records != NULL) {
        passes_free_blocks(blocks.records);
        pfree(blocks.ends);
        passes_unload(run);
    }
    patterns = pattern_counts_sorted(&counts, false, 1.0, &pattern_total);
    for (size_t i = 0; i < pattern_total; i++)
        for (int c = 0; c < run->scorer.comparison_count; c++)
            seen[c][pattern_level(&run->scorer.comparisons[c], patterns[i].pattern)] +=
                (uint64)patterns[i].count;
    *random = patterns;
    *random_count = pattern_total;
    pattern_counts_free(&counts);
    pfree(units);
    return taken;
}

/* Pairs that records in groups of these sizes make. */
static double
pairs_of(double records)
{
    return records * (records - 1) / 2;
}

/* Pairs of a column's values, equal ones among them, of records of one source. */
static void
pairs_within_sources(match_run *run, int slot, double *equal, double *filled)
{
    const record_store *store = run->store;
    uint32 count = store->records.count;
    keyed_record *entries =
        MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(keyed_record)));
    keyed_record *scratch =
        MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(keyed_record)));
    double *records = palloc0(store->sources->count * sizeof(double));
    uint64 used = 0;

    for (uint32 record = 0; record < count; record++) {
        const uint32 *row = record_row(&store->records, record);

        if (row[slot] == 0)
            continue;
        entries[used++] =
            (keyed_record){hash_word((uint64)row[slot] << 32 | row[store->source_slot]), record, 0};
        records[row[store->source_slot]]++;
    }
    hash_sort_all(run->threads, entries, used, scratch);
    for (uint64 i = 0, end; i < used; i = end) {
        for (end = i + 1; end < used && scratch[end].key == scratch[i].key; end++)
            ;
        *equal += pairs_of((double)(end - i));
    }
    for (uint32 source = 0; source < store->sources->count; source++)
        *filled += pairs_of(records[source]);
    pfree(entries);
    pfree(scratch);
    pfree(records);
}

/* Share of pairs with equal values among pairs that have values; -1 when there is no such pair. */
static double
exact_share(match_run *run, int slot, bool across)
{
    const value_summary *values = value_summary_of(run, slot);
    double equal = (double)values->equal_pairs, filled = pairs_of(values->filled);
    double equal_within = 0, filled_within = 0;

    if (across)
        pairs_within_sources(run, slot, &equal_within, &filled_within);
    return filled - filled_within < 1 ? -1 : (equal - equal_within) / (filled - filled_within);
}

/* Half a pair is added to each level, so that what was never seen is rare and not impossible. */
void
random_levels_count(match_run *run, bool across, double all[MAX_COMPARISONS][MAX_LEVELS],
                    pattern_count **random, size_t *random_count)
{
    uint64 seen[MAX_COMPARISONS][MAX_LEVELS] = {{0}};

    (void)count_random_levels(run, across, seen, random, random_count);
    for (int c = 0; c < run->scorer.comparison_count; c++) {
        int levels = run->scorer.comparisons[c].level_count;
        double exact = exact_share(run, run->comparison_slots[c], across);
        double filled = run->store->records.count, rest = 0;

        if (filled < 2)
            filled = 2;
        if (exact < 0)
            exact = 0.01;
        if (exact < 0.5 / (filled * (filled - 1) / 2))
            exact = 0.5 / (filled * (filled - 1) / 2);
        if (exact > 0.999)
            exact = 0.999;
        for (int level = 2; level <= levels; level++)
            rest += seen[c][level] + 0.5;
        all[c][LEVEL_EXACT] = exact;
        for (int level = 2; level <= levels; level++)
            all[c][level] = (1.0 - exact) * ((seen[c][level] + 0.5) / rest);
    }
}

void
random_levels_less_matches(const scorer *scorer, double all[MAX_COMPARISONS][MAX_LEVELS], double prior,
                           em_parameters *parameters)
{
    for (int c = 0; c < scorer->comparison_count; c++) {
        int levels = scorer->comparisons[c].level_count;
        double sum = 0;

        for (int level = LEVEL_EXACT; level <= levels; level++) {
            double u = (all[c][level] - prior * parameters->m[c][level]) / (1.0 - prior);

            if (u < LEAST_U_SHARE * all[c][level])
                u = LEAST_U_SHARE * all[c][level];
            parameters->u[c][level] = u;
            sum += u;
        }
        for (int level = LEVEL_EXACT; level <= levels; level++)
            parameters->u[c][level] /= sum;
    }
}
