/*
 * split.c: see split.h.
 */
#include "compat.h"

#include "engine/block_ranges.h"
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

typedef struct candidate_key {
    uint64 records, key;
    split_key named; /* letters 0: they do not divide it, or it has no name */
} candidate_key;

struct split_state {
    rule_splits splits;
    large_key *keys; /* by key */
    int key_count;
    window_order order;
    value_table tables[2];
    split_statistics statistics;
    keyed_record *parts; /* keys that large ones became, while they are counted */
    uint64 part_count, parts_allocated;
    candidate_key *candidates; /* large keys, until it is decided about them */
    int candidate_count, candidates_allocated;
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
    return x->key < y->key ? -1 : x->key > y->key;
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

void
split_gather(match_run *run, int rule, const keyed_record *entries, uint64 count)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    const blocking_rule *blocking = &run->rules[rule];
    split_state *state = run->splits[rule];

    state->order = window_order_for(run, rule, state->tables);
    if (!block_ranges_any_larger(entries, count, blocking->max_block))
        count = 0;
    for (uint64 first = 0, end; first < count; first = end) {
        keyed_record *sorted, *scratch;
        candidate_key *candidate;

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
        if (state->candidate_count == state->candidates_allocated) {
            state->candidates_allocated = Max(2 * state->candidates_allocated, 16);
            state->candidates =
                state->candidates == NULL
                    ? palloc(state->candidates_allocated * sizeof(candidate_key))
                    : repalloc_huge(state->candidates, state->candidates_allocated * sizeof(candidate_key));
        }
        candidate = &state->candidates[state->candidate_count++];
        *candidate = (candidate_key){end - first, entries[first].key};
        candidate->named.letters = letters_for(blocking, sorted, end - first);
        if (candidate->named.letters > 0 &&
            !name_key(run, rule, entries[first].record, entries[first].key, &candidate->named))
            candidate->named.letters = 0;
        pfree(sorted);
        CHECK_FOR_INTERRUPTS();
    }
    MemoryContextSwitchTo(before);
}

bool
split_undecided(const match_run *run, int rule)
{
    return !run->splits[rule]->splits.known && !run->spec->trained && run->spec->rules[rule].top_k == 0;
}

bool
split_conclude(match_run *run, int rule)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    split_state *state = run->splits[rule];
    rule_splits splits = {.known = true};
    candidate_key *candidates = state->candidates;
    int found = state->candidate_count, kept = Min(found, MOST_SPLIT_KEYS);

    if (found > 0)
        qsort(candidates, found, sizeof(candidate_key), compare_candidates);
    while (kept > 0 && kept < found && candidates[kept - 1].records == candidates[kept].records)
        kept--;
    splits.keys = palloc0(Max(kept, 1) * sizeof(split_key));
    for (int i = 0; i < kept; i++)
        if (candidates[i].named.letters > 0)
            splits.keys[splits.count++] = candidates[i].named;
    splits.windowed = found - splits.count;
    take_over(state, &splits, &run->spec->rules[rule]);
    if (candidates != NULL)
        pfree(candidates);
    state->candidates = NULL;
    state->candidate_count = state->candidates_allocated = 0;
    MemoryContextSwitchTo(before);
    return splits.count > 0;
}

bool
split_decide(match_run *run, int rule, const keyed_record *entries, uint64 count)
{
    if (!split_undecided(run, rule))
        return false;
    split_gather(run, rule, entries, count);
    return split_conclude(run, rule);
}

uint64
split_key_of_values(const match_run *run, int rule, const spool_value *values, uint64 key)
{
    const split_state *state = run->splits[rule];
    const large_key *large;
    text_view texts[2] = {{NULL, 0, 1}, {NULL, 0, 1}};

    if (state == NULL || state->key_count == 0 || (large = find_key(state, key)) == NULL)
        return key;
    for (int i = 0; i < 2; i++)
        if (state->order.slots[i] != PG_UINT32_MAX)
            texts[i] = values[state->order.slots[i]].text;
    return part_of_key(key, blocking_window_key_of(texts), large->letters);
}

void
split_take_values(match_run *run, int rule)
{
    split_state *state = run->splits[rule];

    if (state != NULL)
        state->order = window_order_for(run, rule, state->tables);
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
