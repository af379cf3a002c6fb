/*
 * term_index.c: see term_index.h.
 */
#include "compat.h"

#include "engine/term_index.h"
#include "kernel/hash.h"
#include "kernel/parallel.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define LIST_BUDGET 8000 /* list entries looked at for one record */
#define RECORDS_A_UNIT 64
#define UNITS_A_BATCH 64

/* One for each column and q asked for. */
typedef struct term_index {
    struct term_index *next;
    int slot, q;
    term_vectors vectors;
} term_index;

static void *
allocate(match_run *run, uint64 count, Size size)
{
    return MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), size));
}

const term_vectors *
term_index_vectors(match_run *run, int slot, int q)
{
    const dictionary *values = run->store->columns[slot].values;
    term_index *index;
    keyed_record *entries, *scratch;
    uint64 count;

    for (index = run->term_indexes; index != NULL; index = index->next)
        if (index->slot == slot && index->q == q)
            return &index->vectors;

    index = MemoryContextAllocZero(run->context, sizeof(term_index));
    index->slot = slot;
    index->q = q;
    index->vectors.value_count = values->count;
    count = term_entries(values->texts, values->count, (uint32)q, NULL);
    entries = allocate(run, count, sizeof(keyed_record));
    scratch = allocate(run, count, sizeof(keyed_record));
    (void)term_entries(values->texts, values->count, (uint32)q, entries);
    CHECK_FOR_INTERRUPTS();
    count = term_entries_sort(entries, scratch, count, &index->vectors.term_count);
    CHECK_FOR_INTERRUPTS();
    pfree(scratch);
    term_vectors_fill(
        entries, count, values->records, allocate(run, (uint64)values->count + 1, sizeof(uint64)),
        allocate(run, count, sizeof(uint32)), allocate(run, index->vectors.term_count, sizeof(uint16)),
        allocate(run, values->count, sizeof(double)), &index->vectors);
    pfree(entries);
    index->next = run->term_indexes;
    run->term_indexes = index;
    return &index->vectors;
}

/* By term: the records that have it, in ascending order. */
static void
make_lists(match_run *run, int slot, neighbour_search *search)
{
    const term_vectors *vectors = search->vectors;
    uint64 *starts = allocate(run, (uint64)vectors->term_count + 1, sizeof(uint64));
    uint32 *records;

    memset(starts, 0, ((Size)vectors->term_count + 1) * sizeof(uint64));
    for (uint32 record = 0; record < run->store->records.count; record++) {
        uint32 value = record_row(&run->store->records, record)[slot];

        if (value != 0)
            for (uint64 i = vectors->starts[value]; i < vectors->starts[value + 1]; i++)
                starts[vectors->terms[i] + 1]++;
    }
    for (uint32 term = 0; term < vectors->term_count; term++)
        starts[term + 1] += starts[term];
    records = allocate(run, starts[vectors->term_count], sizeof(uint32));
    for (uint32 record = 0; record < run->store->records.count; record++) {
        uint32 value = record_row(&run->store->records, record)[slot];

        if (value != 0)
            for (uint64 i = vectors->starts[value]; i < vectors->starts[value + 1]; i++)
                records[starts[vectors->terms[i]]++] = record;
    }
    for (uint32 term = vectors->term_count; term > 0; term--)
        starts[term] = starts[term - 1];
    starts[0] = 0;
    search->list_starts = starts;
    search->list_records = records;
}

typedef struct search_batch {
    const neighbour_search *search;
    uint32 first;
    uint32 end;
} search_batch;

static void
search_unit(void *context, int64_t item, int thread)
{
    search_batch *batch = context;
    uint32 first = batch->first + (uint32)item * RECORDS_A_UNIT;

    neighbours_find(batch->search, first, Min(first + RECORDS_A_UNIT, batch->end), thread);
}

static void
search_all(match_run *run, const neighbour_search *search)
{
    uint32 count = run->store->records.count;

    for (uint32 first = 0; first < count; first += RECORDS_A_UNIT * UNITS_A_BATCH) {
        search_batch batch = {search, first, Min((uint64)first + RECORDS_A_UNIT * UNITS_A_BATCH, count)};

        parallel_for(run->threads, (batch.end - first + RECORDS_A_UNIT - 1) / RECORDS_A_UNIT, search_unit,
                     &batch);
        CHECK_FOR_INTERRUPTS();
    }
}

static int
compare_pair_keys(const void *a, const void *b)
{
    uint64 x = *(const uint64 *)a, y = *(const uint64 *)b;

    return x < y ? -1 : x > y;
}

static uint64
pair_key(uint32 a, uint32 b)
{
    return hash_word(a < b ? (uint64)a << 32 | b : (uint64)b << 32 | a);
}

/* Keys by record from what each record found: a pair that both found counts once. */
static void
list_pair_keys(match_run *run, const neighbour_search *search, uint64 *starts, uint64 *keys)
{
    uint32 count = run->store->records.count, width = 2 * search->k;
    uint64 used = 0, kept = 0, first = 0;

    memset(starts, 0, ((Size)count + 1) * sizeof(uint64));
    for (uint32 a = 0; a < count; a++) {
        for (uint32 i = 0; i < width; i++) {
            uint32 b = search->found[(Size)a * width + i];

            if (b == PG_UINT32_MAX)
                continue;
            starts[a + 1]++;
            starts[b + 1]++;
        }
    }
    for (uint32 a = 0; a < count; a++)
        starts[a + 1] += starts[a];
    for (uint32 a = 0; a < count; a++) {
        for (uint32 i = 0; i < width; i++) {
            uint32 b = search->found[(Size)a * width + i];

            if (b == PG_UINT32_MAX)
                continue;
            keys[starts[a]++] = pair_key(a, b);
            keys[starts[b]++] = pair_key(a, b);
        }
    }
    for (uint32 a = 0; a < count; a++) {
        uint64 end = starts[a];

        qsort(keys + first, end - first, sizeof(uint64), compare_pair_keys);
        starts[a] = used = kept;
        for (uint64 i = first; i < end; i++)
            if (kept == used || keys[kept - 1] != keys[i])
                keys[kept++] = keys[i];
        first = end;
        if ((a & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    starts[count] = kept;
}

keyed_record *
term_index_neighbours(match_run *run, int slot, int q, int k, uint64 **starts, uint64 **keys,
                      uint64 *entry_count)
{
    uint32 count = run->store->records.count;
    neighbour_search search = {
        .vectors = term_index_vectors(run, slot, q), .k = (uint32)k, .budget = LIST_BUDGET};
    keyed_record *entries;
    uint32 *values, *sources;
    double *inverses;

    values = allocate(run, count, sizeof(uint32));
    sources = run->store->source_slot >= 0 ? allocate(run, count, sizeof(uint32)) : NULL;
    inverses = allocate(run, count, sizeof(double));
    for (uint32 record = 0; record < count; record++) {
        const uint32 *row = record_row(&run->store->records, record);
        double norm = search.vectors->norms[row[slot]];

        values[record] = row[slot];
        inverses[record] = norm > 0 ? 1.0 / norm : 0;
        if (sources != NULL)
            sources[record] = row[run->store->source_slot];
    }
    search.values = values;
    search.sources = sources;
    search.inverses = inverses;
    make_lists(run, slot, &search);
    search.found = allocate(run, (uint64)count * 2 * search.k, sizeof(uint32));
    search.threads = MemoryContextAllocZero(run->context, run->threads * sizeof(neighbour_thread));
    for (int t = 0; t < run->threads; t++) {
        search.threads[t].scores = allocate(run, count, sizeof(uint32));
        memset(search.threads[t].scores, 0, (Size)count * sizeof(uint32));
        search.threads[t].touched = allocate(run, count, sizeof(uint32));
    }
    search_all(run, &search);

    *starts = allocate(run, (uint64)count + 1, sizeof(uint64));
    *keys = allocate(run, (uint64)count * 4 * search.k, sizeof(uint64));
    list_pair_keys(run, &search, *starts, *keys);
    *entry_count = (*starts)[count];
    entries = allocate(run, *entry_count, sizeof(keyed_record));
    for (uint32 record = 0; record < count; record++)
        for (uint64 i = (*starts)[record]; i < (*starts)[record + 1]; i++)
            entries[i] = (keyed_record){(*keys)[i], record, 0};

    for (int t = 0; t < run->threads; t++) {
        pfree(search.threads[t].scores);
        pfree(search.threads[t].touched);
    }
    pfree(search.threads);
    pfree(values);
    pfree(inverses);
    if (sources != NULL)
        pfree(sources);
    pfree(search.found);
    pfree((void *)search.list_starts);
    pfree((void *)search.list_records);
    return entries;
}
