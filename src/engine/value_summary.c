/*
 * value_summary.c: see value_summary.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/elements.h"
#include "engine/passes.h"
#include "engine/profile.h"
#include "engine/value_summary.h"
#include "kernel/hash.h"
#include "kernel/parallel.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define SHARE_THAT_FITS 0.8 /* of the values that took the memory, next time: arrays double */
#define ONE_LOOKED_AT 8     /* of so many different values, by their content: a power of two; */
#define ONE_OF_MANY 32      /* the same, of more records than this: */
#define MANY_RECORDS 262144
#define LONGEST_LOOKED_AT 60
#define MOST_COUNTED_RECORDS 1023
#define LEAST_RECORDS 3 /* a value that comes once or twice is not worth a name */

/* The most frequent first, ties by content. */
static inline int
compare_frequencies(const value_frequency *a, const value_frequency *b)
{
    if (a->records != b->records)
        return a->records > b->records ? -1 : 1;
    return text_view_compare(a->text, b->text);
}

#define ST_SORT sort_frequencies
#define ST_ELEMENT_TYPE value_frequency
#define ST_COMPARE(a, b) compare_frequencies(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* A value of so many records may be among those that are kept, and fewer may not. */
static uint32
least_records_kept(const dictionary *values)
{
    uint32 counts[MOST_COUNTED_RECORDS + 1] = {0}, listed = 0, least = MOST_COUNTED_RECORDS;

    for (uint32 code = 1; code < values->count; code++)
        if (values->texts[code].length < COMPARED_CHARACTERS)
            counts[Min(values->records[code], MOST_COUNTED_RECORDS)]++;
    for (; least > LEAST_RECORDS; least--) {
        listed += counts[least];
        if (listed > LISTED_VALUES)
            break;
    }
    return least;
}

/* What a value is of. */
static void
look_at_value(value_summary *summary, text_view text)
{
    if (text.length > LONGEST_LOOKED_AT)
        return;
    summary->looked_at++;
    summary->dates += value_is_date(text);
    summary->names[value_given_name(text)]++;
}

/* Values that are to be looked at: they lie anywhere, and are fetched while others are counted. */
#define VALUES_AHEAD 16

typedef struct values_ahead {
    uint32 count;
    text_view texts[VALUES_AHEAD];
} values_ahead;

static inline void
look_at_later(value_summary *summary, values_ahead *ahead, text_view text)
{
    text_view *place = &ahead->texts[ahead->count % VALUES_AHEAD];

    __builtin_prefetch(text.chars);
    if (ahead->count++ >= VALUES_AHEAD)
        look_at_value(summary, *place);
    *place = text;
}

static void
look_at_rest(value_summary *summary, const values_ahead *ahead)
{
    for (uint32 i = 0; i < Min(ahead->count, VALUES_AHEAD); i++)
        look_at_value(summary, ahead->texts[i]);
}

static inline uint64
pairs_of(uint64 records)
{
    return records > 0 ? records * (records - 1) / 2 : 0;
}

/* The place of a text's first or last word; words end at blanks. one: it is all that there is. */
static uint32
place_of_word(text_view text, bool last, bool *one)
{
    uint32 from = 0, to = text.length;
    uint64 hash = 0;

    for (uint32 i = 0; i < text.length; i++) {
        uint32 at = last ? text.length - 1 - i : i;

        if (text_view_at(text, at) != ' ')
            continue;
        *(last ? &from : &to) = last ? at + 1 : at;
        break;
    }
    *one = to - from == text.length;
    for (uint32 i = from; i < to; i++)
        hash = hash_combine(hash, text_view_at(text, i));
    return (uint32)(hash_word(hash) & (WORD_PLACES - 1));
}

static void
count_words(word_places *words, text_view text, uint32 records)
{
    bool one;
    uint32 first = place_of_word(text, false, &one), last;

    if (one) {
        words->equal_of_word += pairs_of(records);
        return;
    }
    last = place_of_word(text, true, &one);
    words->first[first] += records;
    words->last[last] += records;
    words->records += records;
}

/* The values of a dictionary that may be among those that are kept. */
typedef struct frequent_candidates {
    uint32 least; /* records that such a value has at least */
    uint32 count;
} frequent_candidates;

/* Counts the values of a dictionary, which holds all records of each; any thread. */
static void
count_values(value_summary *summary, const dictionary *values, frequent_candidates *candidates)
{
    uint32 least = summary->wants_frequent ? least_records_kept(values) : PG_UINT32_MAX, counted = 0;
    uint64 all_records = 0, equal_pairs = summary->equal_pairs;
    uint64 not_looked_at = summary->one_looked_at - 1; /* bits of a hash */
    values_ahead ahead = {0};

    for (uint32 code = 1; code < values->count; code++) {
        all_records += values->records[code];
        equal_pairs += pairs_of(values->records[code]);
        if ((values->hashes[code] & not_looked_at) == 0)
            look_at_later(summary, &ahead, values->texts[code]);
        if (summary->words != NULL && (values->hashes[code] & (summary->words->one_counted - 1)) == 0)
            count_words(summary->words, values->texts[code], values->records[code]);
        counted += values->records[code] >= least && values->texts[code].length < COMPARED_CHARACTERS;
    }
    look_at_rest(summary, &ahead);
    summary->filled += (double)all_records;
    summary->held += (double)all_records;
    summary->equal_pairs = equal_pairs;
    summary->values += values->count - 1;
    *candidates = (frequent_candidates){least, counted};
}

/* Keeps the most frequent of what was kept before and of the values of a dictionary. */
static void
keep_frequent(match_run *run, value_summary *summary, const dictionary *values,
              const frequent_candidates *counted)
{
    uint32 least = counted->least, candidates = counted->count;
    value_frequency *list, *kept;

    list = big_alloc(run->context,
                     mul_size(add_size(candidates, summary->frequent_count) + 1, sizeof(value_frequency)));
    candidates = 0;
    for (uint32 code = 1; code < values->count && candidates < counted->count; code++)
        if (values->records[code] >= least && values->texts[code].length < COMPARED_CHARACTERS)
            list[candidates++] = (value_frequency){values->texts[code], values->records[code], code};
    if (summary->frequent_count > 0)
        memcpy(list + candidates, summary->frequent, summary->frequent_count * sizeof(value_frequency));
    candidates += summary->frequent_count;
    sort_frequencies(list, candidates);
    candidates = Min(candidates, LISTED_VALUES + 1);

    /* Of their own: the dictionary may go. */
    kept = MemoryContextAllocHuge(run->context, mul_size(Max(candidates, 1), sizeof(value_frequency)));
    for (uint32 i = 0; i < candidates; i++) {
        Size size = (Size)list[i].text.length * list[i].text.width;

        kept[i] = list[i];
        kept[i].text.chars = memcpy(MemoryContextAlloc(run->context, size), list[i].text.chars, size);
    }
    for (uint32 i = 0; i < summary->frequent_count; i++)
        pfree(unconstify(void *, summary->frequent[i].text.chars));
    if (summary->frequent != NULL)
        pfree(summary->frequent);
    pfree(list);
    summary->frequent = kept;
    summary->frequent_count = candidates;
}

static void
add_values(match_run *run, value_summary *summary, const dictionary *values)
{
    frequent_candidates candidates;

    count_values(summary, values, &candidates);
    keep_frequent(run, summary, values, &candidates);
}

/* Adds the parts of a spooled value whose hashes are in a range. */
static void
count_parts(dictionary *counted, part_of_value next_part, text_view value, uint64 first, uint64 last,
            uint8 *buffer)
{
    uint32 place = 0;
    text_view element;

    while (next_part(value, &place, &element)) {
        uint64 hash;

        element = narrow_element(element, buffer);
        hash = dictionary_hash(element);
        if (hash >= first && hash <= last)
            (void)dictionary_add(counted, element);
    }
}

/* Short values on their way into a dictionary, whose look-ups overlap. */
#define WAITING_VALUES 64
#define WAITING_BYTES 256

typedef struct waiting_values {
    dictionary *counted;
    uint32 count;
    spool_value values[WAITING_VALUES];
    uint64 hashes[WAITING_VALUES];
    uint64 characters[WAITING_VALUES][WAITING_BYTES / sizeof(uint64)];
} waiting_values;

static void
count_waiting(waiting_values *waiting)
{
    dictionary_reserve(waiting->counted, waiting->count, (Size)waiting->count * WAITING_BYTES);
    dictionary_prefetch_values(waiting->counted, waiting->hashes, waiting->count);
    for (uint32 i = 0; i < waiting->count; i++)
        (void)dictionary_add_kept_reserved(waiting->counted, waiting->values[i].text, waiting->hashes[i],
                                           waiting->values[i].second_hash);
    waiting->count = 0;
}

static void
count_value(waiting_values *waiting, const spool_value *value, uint64 hash)
{
    Size size = (Size)value->text.length * value->text.width;
    uint32 place = waiting->count;

    if (size > WAITING_BYTES - sizeof(uint64)) {
        (void)dictionary_add_kept(waiting->counted, value->text, hash, value->second_hash);
        return;
    }
    dictionary_prefetch_place(waiting->counted, hash);
    waiting->values[place] = *value;
    waiting->values[place].text.chars = memcpy(waiting->characters[place], value->text.chars, size);
    waiting->hashes[place] = hash;
    if (++waiting->count == WAITING_VALUES)
        count_waiting(waiting);
}

/*
 * Counts the values whose hashes are in a range; false when they do not fit, and then *share is the share of
 * the records that did. What the other columns' empty dictionaries take does not count: with many columns no
 * range would ever fit.
 */
static bool
count_range(match_run *run, int slot, part_of_value next_part, uint64 first, uint64 last,
            waiting_values *waiting, double *share)
{
    uint8 buffer[ELEMENT_CHARACTERS];
    spool_scan scan;
    bool fits = true;
    uint32 records = 0;
    Size empty;

    record_store_clear(run->store);
    empty = MemoryContextMemAllocated(run->store->data, true);
    waiting->counted = run->store->columns[slot].values;
    waiting->count = 0;
    spool_scan_open(&scan, run->store->spool, NULL);
    while (fits && spool_scan_next(&scan)) {
        const spool_value *value = &scan.record.values[slot];

        uint64 hash;

        if (value->text.length == 0)
            continue;
        if (next_part != NULL)
            count_parts(waiting->counted, next_part, value->text, first, last, buffer);
        else {
            hash = spool_value_hash(value);
            if (hash < first || hash > last)
                continue;
            count_value(waiting, value, hash);
        }
        if ((++records & 0xff) == 0)
            fits = first == last ||
                   MemoryContextMemAllocated(run->store->data, true) - empty <= mastering_memory_budget() / 2;
    }
    count_waiting(waiting);
    *share = (double)scan.next / Max(run->store->spool->count, 1);
    spool_scan_close(&scan);
    return fits;
}

static void
count_in_passes(match_run *run, int slot, part_of_value next_part, value_summary *summary)
{
    waiting_values *waiting = palloc(sizeof(waiting_values));
    uint64 first = 0, width = PG_UINT64_MAX;

    for (;;) {
        uint64 last = PG_UINT64_MAX - first < width ? PG_UINT64_MAX : first + width;
        double share;

        if (!count_range(run, slot, next_part, first, last, waiting, &share)) {
            width = (uint64)((double)(last - first) * Min(share * SHARE_THAT_FITS, 0.5));
            continue;
        }
        add_values(run, summary, waiting->counted);
        run->pass_count++;
        if (last == PG_UINT64_MAX)
            break;
        first = last + 1;
    }
    pfree(waiting);
    passes_unload(run);
}

static value_summary *
empty_summary(match_run *run)
{
    value_summary *summary = MemoryContextAllocZero(run->context, sizeof(value_summary));

    summary->one_looked_at = run->store->records.count > MANY_RECORDS ? ONE_OF_MANY : ONE_LOOKED_AT;
    return summary;
}

static value_summary *
new_summary(match_run *run, int slot)
{
    value_summary *summary = empty_summary(run);

    for (int c = 0; c < run->spec->comparison_count; c++)
        summary->wants_frequent |=
            run->comparison_slots[c] == slot && run->spec->comparisons[c].term_frequency;
    for (int c = 0; c < run->spec->comparison_count && summary->words == NULL; c++)
        if (run->comparison_slots[c] == slot && run->spec->comparisons[c].method == METHOD_NAMES) {
            summary->words = MemoryContextAllocZero(run->context, sizeof(word_places));
            summary->words->one_counted = run->store->records.count > MANY_RECORDS ? ONE_OF_MANY : 1;
        }
    if (run->summaries == NULL)
        run->summaries =
            MemoryContextAllocZero(run->context, run->store->column_count * sizeof(value_summary *));
    return summary;
}

const value_summary *
value_summary_of(match_run *run, int slot)
{
    value_summary *summary;

    if (run->summaries != NULL && run->summaries[slot] != NULL)
        return run->summaries[slot];
    summary = new_summary(run, slot);
    if (run->store->spool != NULL)
        count_in_passes(run, slot, NULL, summary);
    else
        add_values(run, summary, run->store->columns[slot].values);
    run->summaries[slot] = summary;
    return summary;
}

/* Columns whose values are counted at once, each by one thread. */
typedef struct columns_job {
    const record_store *store;
    int count;
    int slots[MAX_COMPARISONS];
    value_summary *summaries[MAX_COMPARISONS];
    frequent_candidates candidates[MAX_COMPARISONS];
} columns_job;

static void
count_column(void *context, int64_t item, int thread)
{
    columns_job *job = context;

    count_values(job->summaries[item], job->store->columns[job->slots[item]].values, &job->candidates[item]);
}

/* The columns with most values come first, so that threads end together. */
static void
add_column(columns_job *job, int slot, value_summary *summary)
{
    const store_column *columns = job->store->columns;
    int place = job->count++;

    for (; place > 0 && columns[job->slots[place - 1]].values->count < columns[slot].values->count; place--) {
        job->slots[place] = job->slots[place - 1];
        job->summaries[place] = job->summaries[place - 1];
    }
    job->slots[place] = slot;
    job->summaries[place] = summary;
}

void
value_summaries_make(match_run *run)
{
    columns_job job = {.store = run->store};

    if (run->store->spool != NULL)
        return;
    for (int c = 0; c < run->spec->comparison_count; c++) {
        int slot = run->comparison_slots[c];
        bool listed = run->summaries != NULL && run->summaries[slot] != NULL;

        for (int i = 0; i < job.count; i++)
            listed |= job.slots[i] == slot;
        if (listed)
            continue;
        add_column(&job, slot, new_summary(run, slot));
    }
    parallel_for(run->threads, job.count, count_column, &job);
    CHECK_FOR_INTERRUPTS();
    for (int i = 0; i < job.count; i++) {
        keep_frequent(run, job.summaries[i], run->store->columns[job.slots[i]].values, &job.candidates[i]);
        run->summaries[job.slots[i]] = job.summaries[i];
    }
}

const value_summary *
value_summary_of_parts(match_run *run, int slot, part_of_value next_part)
{
    value_summary *whole = unconstify(value_summary *, value_summary_of(run, slot)), *summary;

    if (whole->parts != NULL)
        return whole->parts;
    summary = empty_summary(run);
    summary->wants_frequent = true;
    if (run->store->spool != NULL)
        count_in_passes(run, slot, next_part, summary);
    else {
        MemoryContext scratch =
            AllocSetContextCreate(run->context, "mastering parts of values", ALLOCSET_DEFAULT_SIZES);

        add_values(run, summary,
                   element_index_of_parts(scratch, run->store->columns[slot].values, next_part)->elements);
        MemoryContextDelete(scratch);
    }
    summary->filled = whole->filled;
    whole->parts = summary;
    return summary;
}

/* The most frequent ones by name, the others by their mean. A value that comes once or twice is not worth a
 * name.
 */
void
value_summary_list(const value_summary *values, double least, term_frequencies *frequencies)
{
    const value_frequency *list = values->frequent;
    uint32 listed = Min(values->frequent_count, LISTED_VALUES);
    double rest = values->held, rest_values = values->values;

    /* A cut between equals would depend on nothing but their names: keep all or none of a frequency. */
    while (listed > 0 &&
           ((listed < values->frequent_count && list[listed - 1].records == list[listed].records) ||
            list[listed - 1].records < least))
        listed--;
    frequencies->count = (int)listed;
    frequencies->listed = 0;
    frequencies->values = palloc(Max(listed, 1) * sizeof(char *));
    frequencies->shares = palloc(Max(listed, 1) * sizeof(double));
    for (uint32 i = 0; i < listed; i++) {
        frequencies->values[i] = text_to_cstring(text_view_to_text(list[i].text));
        frequencies->shares[i] = list[i].records / values->filled;
        rest -= list[i].records;
        rest_values--;
    }
    frequencies->other = rest_values > 0      ? rest / rest_values / values->filled
                         : values->filled > 0 ? 1.0 / values->filled
                                              : 1.0;
}
