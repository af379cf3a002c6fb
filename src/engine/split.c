/*
 * split.c: see split.h.
 */
#include "compat.h"

#include "engine/blocks.h"
#include "engine/characters.h"
#include "engine/split.h"
#include "kernel/hash.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define PAIRS_FOR_ONE 2 /* that letters may leave, for one that windows would */

typedef struct large_key {
    uint64 key;
    int letters;
    uint64 records; /* of this run that have it */
} large_key;

struct split_state {
    rule_splits splits;
    large_key *keys; /* by key */
    int key_count;
    window_order order;
    value_table tables[2];
    split_statistics statistics;
    keyed_record *parts; /* keys that large ones became, while they are counted */
    uint64 part_count, parts_allocated;
};

static int
compare_large_keys(const void *a, const void *b)
{
    const large_key *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

static large_key *
find_key(const split_state *state, uint64 key)
{
    int low = 0, high = state->key_count;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (state->keys[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < state->key_count && state->keys[low].key == key ? &state->keys[low] : NULL;
}

/* The hash of a key by its parts, as blocks.c makes it. */
static uint64
hash_of_parts(const split_key *key, int parts)
{
    character_buffer buffer;
    uint64 hash = 0;

    character_buffer_init(&buffer, CurrentMemoryContext);
    for (int i = 0; i < parts; i++)
        hash = hash_combine(
            hash, dictionary_hash(text_view_from_bytes(&buffer, key->parts[i], strlen(key->parts[i]))));
    if (buffer.memory != NULL)
        pfree(buffer.memory);
    return hash;
}

static void
take_over(split_state *state, const rule_splits *splits, const rule_spec *rule)
{
    state->splits = *splits;
    state->key_count = splits->count;
    state->keys = palloc0(Max(splits->count, 1) * sizeof(large_key));
    for (int i = 0; i < splits->count; i++)
        state->keys[i] =
            (large_key){hash_of_parts(&splits->keys[i], rule->part_count), splits->keys[i].letters, 0};
    qsort(state->keys, state->key_count, sizeof(large_key), compare_large_keys);
}

void
split_prepare(match_run *run, int rule)
{
    MemoryContext before;
    split_state *state;

    if (run->splits[rule] != NULL)
        return;
    before = MemoryContextSwitchTo(run->context);
    state = palloc0(sizeof(split_state));
    state->order = window_order_for(run, rule, state->tables);
    take_over(state, &run->spec->rules[rule].splits, &run->spec->rules[rule]);
    run->splits[rule] = state;
    MemoryContextSwitchTo(before);
}

bool
split_any(const match_run *run, int rule)
{
    return run->splits[rule] != NULL && run->splits[rule]->key_count > 0;
}

static uint64
part_of_key(uint64 key, uint64 window_key, int letters)
{
    return hash_combine(hash_combine(key, (uint64)letters), window_key >> (64 - 8 * letters));
}

uint64
split_key_of(const match_run *run, int rule, uint32 record, uint64 key)
{
    const split_state *state = run->splits[rule];
    const large_key *large;

    if (state == NULL || state->key_count == 0 || (large = find_key(state, key)) == NULL)
        return key;
    return part_of_key(key, blocking_window_key(&run->store->records, &state->order, record), large->letters);
}

/* ---- deciding ---- */

typedef struct candidate_key {
    uint64 records, first; /* the first of its entries */
    int letters;           /* 0: they do not divide it */
} candidate_key;

/*
 * The fewest letters that divide the records of a block; 0 when none do. sorted: window keys, in order.
 */
static int
letters_for(const blocking_rule *rule, const keyed_record *sorted, uint64 count)
{
    uint64 most = PAIRS_FOR_ONE * blocking_windowed_pairs(count, rule->window);
    uint64 pairs[MOST_LETTERS + 1] = {0}, size[MOST_LETTERS + 1] = {0}, largest[MOST_LETTERS + 1] = {0};

    for (uint64 i = 0; i < count; i++) {
        for (int letters = 1; letters <= MOST_LETTERS; letters++) {
            int shift = 64 - 8 * letters;

            if (i == 0 || sorted[i].key >> shift != sorted[i - 1].key >> shift)
                size[letters] = 0;
            pairs[letters] += size[letters]++;
            largest[letters] = Max(largest[letters], size[letters]);
        }
    }
    for (int letters = 1; letters <= MOST_LETTERS; letters++)
        if (pairs[letters] <= most && largest[letters] <= rule->max_block)
            return letters;
    return 0;
}

static int
compare_candidates(const void *a, const void *b)
{
    const candidate_key *x = a, *y = b;

    if (x->records != y->records)
        return x->records > y->records ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* The texts of a key that a record has; false when they are not the whole key. */
static bool
name_key(match_run *run, int rule, uint32 record, uint64 key, split_key *named)
{
    const rule_spec *spec = &run->spec->rules[rule];
    uint32 codes[MAX_KEY_PARTS];

    if (!blocks_find_key(run, rule, record, key, codes))
        return false;
    for (int i = 0; i < spec->part_count; i++)
        named->parts[i] = text_to_cstring(
            text_view_to_text(run->store->columns[run->rule_slots[rule][i]].values->texts[codes[i]]));
    return hash_of_parts(named, spec->part_count) == key;
}

/* The large keys of sorted entries, and in how many letters to divide them. */
static candidate_key *
find_candidates(match_run *run, int rule, const keyed_record *entries, uint64 count, int *found)
{
    const blocking_rule *blocking = &run->rules[rule];
    const split_state *state = run->splits[rule];
    candidate_key *list = palloc(sizeof(candidate_key));
    int allocated = 1;

    *found = 0;
    for (uint64 first = 0, end; first < count; first = end) {
        keyed_record *sorted, *scratch;

        for (end = first + 1; end < count && entries[end].key == entries[first].key; end++)
            ;
        if (!blocking_is_windowed(blocking, end - first))
            continue;
        sorted =
            MemoryContextAllocHuge(CurrentMemoryContext, mul_size(end - first, 2 * sizeof(keyed_record)));
        scratch = sorted + (end - first);
        for (uint64 i = first; i < end; i++)
            sorted[i - first] = (keyed_record){
                blocking_window_key(&run->store->records, &state->order, entries[i].record), 0, 0};
        radix_sort_keys(sorted, scratch, end - first);
        if (*found == allocated)
            list = repalloc_huge(list, mul_size(allocated *= 2, sizeof(candidate_key)));
        list[(*found)++] = (candidate_key){end - first, first, letters_for(blocking, sorted, end - first)};
        pfree(sorted);
        CHECK_FOR_INTERRUPTS();
    }
    qsort(list, *found, sizeof(candidate_key), compare_candidates);
    return list;
}

bool
split_decide(match_run *run, int rule, const keyed_record *entries, uint64 count)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    rule_splits splits = {.known = true};
    candidate_key *candidates;
    int found, kept;

    if (run->splits[rule]->splits.known || run->spec->trained || run->spec->rules[rule].top_k > 0) {
        MemoryContextSwitchTo(before);
        return false;
    }
    candidates = find_candidates(run, rule, entries, count, &found);
    kept = Min(found, MOST_SPLIT_KEYS);
    while (kept > 0 && kept < found && candidates[kept - 1].records == candidates[kept].records)
        kept--;
    splits.keys = palloc0(Max(kept, 1) * sizeof(split_key));
    for (int i = 0; i < kept; i++) {
        const keyed_record *entry = &entries[candidates[i].first];
        split_key *named = &splits.keys[splits.count];

        named->letters = candidates[i].letters;
        if (named->letters > 0 && name_key(run, rule, entry->record, entry->key, named))
            splits.count++;
    }
    splits.windowed = found - splits.count;
    take_over(run->splits[rule], &splits, &run->spec->rules[rule]);
    pfree(candidates);
    MemoryContextSwitchTo(before);
    return splits.count > 0;
}

const rule_splits *
split_decided(const match_run *run, int rule)
{
    static const rule_splits nothing = {0};

    return run->splits[rule] == NULL ? &nothing : &run->splits[rule]->splits;
}

/* ---- counting ---- */

void
split_count(match_run *run, int rule, uint64 key, uint64 part)
{
    split_state *state = run->splits[rule];

    if (part == key)
        return;
    find_key(state, key)->records++;
    if (state->part_count == state->parts_allocated) {
        state->parts_allocated = Max(2 * state->parts_allocated, 4096);
        state->parts =
            state->parts == NULL
                ? MemoryContextAllocHuge(run->context, mul_size(state->parts_allocated, sizeof(keyed_record)))
                : repalloc_huge(state->parts, mul_size(state->parts_allocated, sizeof(keyed_record)));
    }
    state->parts[state->part_count++] = (keyed_record){part, 0, 0};
}

static uint64
pairs_among(uint64 records)
{
    return records < 2 ? 0 : records * (records - 1) / 2;
}

void
split_finish_counting(match_run *run, int rule)
{
    split_state *state = run->splits[rule];
    split_statistics *statistics = &state->statistics;

    *statistics = (split_statistics){0};
    for (int i = 0; i < state->key_count; i++) {
        uint64 records = state->keys[i].records;

        statistics->pairs += pairs_among(records);
        statistics->keys += records > run->rules[rule].max_block;
        statistics->largest = Max(statistics->largest, records);
        state->keys[i].records = 0;
    }
    if (state->part_count > 0) {
        keyed_record *scratch =
            MemoryContextAllocHuge(run->context, mul_size(state->part_count, sizeof(keyed_record)));

        radix_sort_hashed(state->parts, scratch, state->part_count);
        for (uint64 first = 0, end; first < state->part_count; first = end) {
            for (end = first + 1; end < state->part_count && state->parts[end].key == state->parts[first].key;
                 end++)
                ;
            statistics->pairs -= pairs_among(end - first);
        }
        pfree(scratch);
        pfree(state->parts);
        state->parts = NULL;
        state->part_count = state->parts_allocated = 0;
    }
}

const split_statistics *
split_statistics_of(const match_run *run, int rule)
{
    static const split_statistics nothing = {0};

    return run->splits[rule] == NULL ? &nothing : &run->splits[rule]->statistics;
}
