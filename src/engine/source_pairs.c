/*
 * source_pairs.c: see source_pairs.h.
 */
#include "compat.h"

#include "engine/source_pairs.h"

/* Records of each source; [0]: of those that say none. */
static double *
records_by_source(const record_store *store)
{
    double *records = palloc0(store->sources->count * sizeof(double));

    for (uint32 record = 0; record < store->records.count; record++)
        records[record_row(&store->records, record)[store->source_slot]]++;
    return records;
}

double
source_pairs_all(const match_run *run, bool across)
{
    const record_store *store = run->store;
    double pairs = (double)store->records.count * ((double)store->records.count - 1) / 2;

    if (across) {
        double *records = records_by_source(store);

        for (uint32 source = 0; source < store->sources->count; source++)
            pairs -= records[source] * (records[source] - 1) / 2;
        pfree(records);
    }
    return pairs;
}

static int
compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double
source_pairs_one_to_one(const match_run *run)
{
    uint32 sources = run->store->sources->count;
    double *records = records_by_source(run->store), pairs = 0;

    qsort(records, sources, sizeof(double), compare_numbers);
    for (uint32 source = 0; source < sources; source++)
        pairs += records[source] * (sources - 1 - source); /* the lesser of each two */
    pfree(records);
    return pairs;
}

uint32
source_pairs_one_sided(const match_run *run)
{
    const record_store *store = run->store;
    uint32 first[MAX_COMPARISONS] = {0}, one_sided = 0; /* first: the source that has values, plus 1 */

    for (int c = 0; c < run->scorer.comparison_count; c++)
        one_sided |= UINT32_C(1) << c;
    for (uint32 record = 0; record < store->records.count && one_sided != 0; record++) {
        const uint32 *row = record_row(&store->records, record);
        uint32 source = row[store->source_slot] + 1;

        for (int c = 0; c < run->scorer.comparison_count; c++) {
            if (row[run->comparison_slots[c]] == 0)
                continue;
            if (first[c] == 0)
                first[c] = source;
            else if (first[c] != source)
                one_sided &= ~(UINT32_C(1) << c);
        }
    }
    return one_sided;
}
