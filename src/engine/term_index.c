/*
 * term_index.c: see term_index.h.
 */
#include "compat.h"

#include "engine/characters.h"
#include "engine/term_index.h"
#include "kernel/hash.h"
#include "kernel/parallel.h"
#include "kernel/soft_tfidf.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define LIST_BUDGET 8000 /* list entries looked at for one record */
#define RECORDS_A_UNIT 64
#define UNITS_A_BATCH 64
#define LISTED_CHARACTERS 256 /* of a term that is listed by name */

/* One for each column and q asked for. */
typedef struct term_index {
    struct term_index *next;
    int slot, q;
    term_vectors vectors;
    term_statistics statistics;
} term_index;

static void *
allocate(match_run *run, uint64 count, Size size)
{
    return MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), size));
}

/* ---- how rare terms are ---- */

typedef struct counted_term {
    uint32 term;
    uint64 count;
} counted_term;

static int
compare_counts(const void *a, const void *b)
{
    const counted_term *x = a, *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->term < y->term ? -1 : x->term > y->term;
}

/* The text of a term that a value has; NULL when it is too long to be listed. */
static char *
term_text(const dictionary *values, const keyed_record *entry, int q)
{
    uint32 characters[LISTED_CHARACTERS], length = 0;

    if (!term_with_hash(values->texts[entry->record], (uint32)q, entry->key, characters, LISTED_CHARACTERS,
                        &length))
        return NULL;
    return text_to_cstring(text_view_to_text((text_view){characters, length, 4}));
}

/*
 * The statistics of the terms in sorted entries: those that most records have by name, the others by their
 * mean. What one record alone has is not worth a name.
 */
static void
collect_statistics(match_run *run, const dictionary *values, const term_index *index,
                   const keyed_record *entries, uint64 entry_count, term_statistics *statistics)
{
    uint32 term_count = index->vectors.term_count, listed = 0, candidates = 0;
    uint64 *counts = allocate(run, term_count, sizeof(uint64));
    uint64 *places = allocate(run, term_count, sizeof(uint64));
    counted_term *list = allocate(run, term_count, sizeof(counted_term));
    double rest = 0, rest_terms = 0;

    term_counts(entries, entry_count, values->records, counts);
    for (uint64 i = entry_count; i > 0; i--)
        places[entries[i - 1].extra] = i - 1;
    for (uint32 term = 0; term < term_count; term++)
        if (counts[term] > 1)
            list[candidates++] = (counted_term){term, counts[term]};
    qsort(list, candidates, sizeof(counted_term), compare_counts);
    listed = Min(candidates, LISTED_TERMS);
    /* A cut between equals would depend on nothing but their hashes: keep all or none of a count. */
    while (listed > 0 && listed < candidates && list[listed - 1].count == list[listed].count)
        listed--;

    statistics->known = true;
    for (uint32 code = 1; code < values->count; code++)
        statistics->records += values->records[code];
    statistics->terms = MemoryContextAlloc(run->context, Max(listed, 1) * sizeof(char *));
    statistics->counts = MemoryContextAlloc(run->context, Max(listed, 1) * sizeof(double));
    for (uint32 term = 0; term < term_count; term++) {
        rest += counts[term];
        rest_terms++;
    }
    for (uint32 i = 0; i < listed; i++) {
        char *text = term_text(values, &entries[places[list[i].term]], index->q);

        if (text == NULL)
            continue;
        statistics->terms[statistics->count] = MemoryContextStrdup(run->context, text);
        statistics->counts[statistics->count++] = list[i].count;
        rest -= list[i].count;
        rest_terms--;
        pfree(text);
        if ((i & 0xff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    statistics->other = rest_terms > 0 ? Max(rest / rest_terms, 1.0) : 1.0;
    pfree(list);
    pfree(places);
    pfree(counts);
}

/* The statistics that the specification has for a slot; NULL: none. */
static const term_statistics *
known_statistics(const match_run *run, int slot, int q)
{
    for (int c = 0; c < run->spec->comparison_count; c++) {
        const comparison_spec *comparison = &run->spec->comparisons[c];

        if (method_weighs_terms(comparison->method) && run->comparison_slots[c] == slot &&
            comparison->q == q && comparison->terms.known)
            return &comparison->terms;
    }
    return NULL;
}

/* Weights by term; hashes: of the terms, ascending. */
static uint16 *
term_weights(match_run *run, int q, const term_statistics *statistics, const uint64 *hashes,
             uint32 term_count)
{
    uint16 *weights = allocate(run, term_count, sizeof(uint16));
    uint16 other = term_weight(statistics->records, statistics->other);
    character_buffer buffer;

    character_buffer_init(&buffer, run->context);
    for (uint32 term = 0; term < term_count; term++)
        weights[term] = other;
    for (int i = 0; i < statistics->count; i++) {
        const char *text = statistics->terms[i];
        uint64 hash = term_hash(text_view_from_bytes(&buffer, text, strlen(text)), (uint32)q);
        uint32 low = 0, high = term_count;

        while (low < high) {
            uint32 middle = low + (high - low) / 2;

            if (hashes[middle] < hash)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < term_count && hashes[low] == hash)
            weights[low] = term_weight(statistics->records, statistics->counts[i]);
    }
    if (buffer.memory != NULL)
        pfree(buffer.memory);
    return weights;
}

/* The weights of the terms in sorted entries. */
static uint16 *
weigh_terms(match_run *run, term_index *index, const keyed_record *entries, uint64 count)
{
    const term_statistics *known = known_statistics(run, index->slot, index->q);
    uint64 *hashes = allocate(run, index->vectors.term_count, sizeof(uint64));
    uint16 *weights;

    if (known != NULL)
        index->statistics = *known;
    else
        collect_statistics(run, run->store->columns[index->slot].values, index, entries, count,
                           &index->statistics);
    CHECK_FOR_INTERRUPTS();
    for (uint64 i = 0; i < count; i++)
        hashes[entries[i].extra] = entries[i].key;
    weights = term_weights(run, index->q, &index->statistics, hashes, index->vectors.term_count);
    pfree(hashes);
    return weights;
}

static term_index *
find_index(match_run *run, int slot, int q)
{
    const dictionary *values = run->store->columns[slot].values;
    term_index *index;
    keyed_record *entries, *scratch;
    uint64 count;

    for (index = run->term_indexes; index != NULL; index = index->next)
        if (index->slot == slot && index->q == q)
            return index;

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
    term_vectors_fill(entries, count, weigh_terms(run, index, entries, count),
                      allocate(run, (uint64)values->count + 1, sizeof(uint64)),
                      allocate(run, count, sizeof(uint32)), allocate(run, values->count, sizeof(double)),
                      &index->vectors);
    pfree(entries);
    index->next = run->term_indexes;
    run->term_indexes = index;
    return index;
}

const term_vectors *
term_index_vectors(match_run *run, int slot, int q)
{
    return &find_index(run, slot, q)->vectors;
}

#define VALUES_AT_ONCE 4096

const term_vectors *
term_index_of(match_run *run, const comparison_spec *comparison, int slot)
{
    term_index *index = find_index(run, slot, comparison->q);

    if (comparison->method == METHOD_SOFT_TFIDF && index->vectors.words == NULL) {
        text_view *words = allocate(run, index->vectors.term_count, sizeof(text_view));
        const text_view *texts = run->store->columns[slot].values->texts;

        for (uint32 first = 1; first < index->vectors.value_count; first += VALUES_AT_ONCE) {
            term_words_fill(texts, &index->vectors, first,
                            Min(index->vectors.value_count, first + VALUES_AT_ONCE), words);
            CHECK_FOR_INTERRUPTS();
        }
        index->vectors.words = words;
    }
    return &index->vectors;
}

const term_statistics *
term_index_statistics(match_run *run, int slot, int q)
{
    return &find_index(run, slot, q)->statistics;
}

/* ---- neighbours ---- */

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
