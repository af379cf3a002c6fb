/*
 * shared_keys.c: see shared_keys.h.
 *
 * Rules that read a common column are looked at together. Records are dealt into parts by their value there,
 * each with sixteen bits of its key of every rule, so that a part is small enough for a core's own cache. In
 * a part two bits for each of these tell keys that were seen once from those seen twice. Keys are mixed from
 * the codes of their values, so nothing is looked up; where two keys are the same in sixteen bits a record is
 * kept that might have gone, and whoever puts the keys in order finds that out. Of a column that is a key by
 * itself it is known how many records have each value.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/hash_sort.h"
#include "engine/shared_keys.h"

#define RANGE_RECORDS 16384
#define PART_RECORDS 8192 /* about */
#define MOST_PART_BITS 11
#define MOST_RULES 8                    /* a bit each */
#define SEEN_WORDS (2 * (1 << 16) / 64) /* two bits a key: it was seen, and it was seen again */
#define RECORDS_AHEAD 24 /* whose values' numbers of records are fetched before they are needed */
#define ITEMS_AT_ONCE 64 /* between two looks at cancel requests */

/* Rules that read a column, and what was found out of them. */
typedef struct shared_group {
    struct shared_group *next;
    uint32 slot;
    int rule_count;
    int rules[MOST_RULES];
    uint64 keys[MOST_RULES];
    uint8 *bits; /* by record */
} shared_group;

typedef struct group_job {
    const record_table *records;
    blocking_rule rules[MOST_RULES]; /* their columns */
    int rule_count;
    uint32 slot;
    uint8 *bits;
    uint32 ranges;
    int part_bits;
    uint16 *dealt; /* by range and part: of each record that has a value in the column its place in the range,
                      and by rule some bits of its key; 0: it has none */
    uint32 *starts;             /* by part and range: where in the range the part begins, in records */
    uint32 *counts;             /* the same: how many they are */
    uint64 *seen;               /* by thread and rule: SEEN_WORDS */
    uint64 (*keys)[MOST_RULES]; /* by part */
} group_job;

static inline Size
place_of(const group_job *job, uint32 part, uint32 range)
{
    return (Size)part * job->ranges + range;
}

/* By part of a key: odd numbers, in whose multiples the upper bits depend on all of a code. */
static const uint64 multipliers[MAX_KEY_PARTS] = {UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xd1b54a32d192ed03),
                                                  UINT64_C(0xaef17502108ef2d9), UINT64_C(0xdb4f0b9175ae2165),
                                                  UINT64_C(0xbbe0563303a4615f), UINT64_C(0xa0f2ec75a1fe1575),
                                                  UINT64_C(0x89e182857d9ed689), UINT64_C(0xf1357aea2e62a9c5)};

static inline uint32
part_of(const group_job *job, uint32 code)
{
    return (uint32)(code * UINT64_C(0x9fb21c651e98df25) >> 1 >> (63 - job->part_bits));
}

/* A record's words among those that are dealt. */
static inline uint16 *
dealt_at(const group_job *job, uint32 range, uint32 place)
{
    return job->dealt + ((Size)range * RANGE_RECORDS + place) * (job->rule_count + 1);
}

/* Some bits of a rule's key; 0: there is none. */
static inline uint16
mixed_key(const blocking_rule *rule, const uint32 *row)
{
    uint64 key = 0;
    bool whole = true;

    for (int i = 0; i < rule->part_count; i++) {
        uint32 code = row[rule->slots[i]];

        whole &= code != 0;
        key += code * multipliers[i];
    }
    key >>= 48;
    return whole ? (uint16)(key + (key == 0)) : 0;
}

static void
deal_range(void *context, int64_t item, int thread)
{
    const group_job *job = context;
    uint32 range = (uint32)item, first = range * RANGE_RECORDS, ends[1 << MOST_PART_BITS] = {0}, place = 0;
    uint32 count = Min(job->records->count - first, RANGE_RECORDS), parts = UINT32_C(1) << job->part_bits;
    uint16 part_of_record[RANGE_RECORDS];

    for (uint32 i = 0; i < count; i++) {
        uint32 code = record_row(job->records, first + i)[job->slot], part = part_of(job, code);

        part_of_record[i] = (uint16)part;
        ends[part] += code != 0;
    }
    for (uint32 part = 0; part < parts; part++) {
        uint32 records = ends[part];

        job->starts[place_of(job, part, range)] = place;
        job->counts[place_of(job, part, range)] = records;
        ends[part] = place;
        place += records;
    }
    for (uint32 i = 0; i < count; i++) {
        const uint32 *row = record_row(job->records, first + i);
        uint16 *words;

        if (row[job->slot] == 0)
            continue;
        words = dealt_at(job, range, ends[part_of_record[i]]++);
        words[0] = (uint16)i;
        for (int r = 0; r < job->rule_count; r++)
            words[r + 1] = mixed_key(&job->rules[r], row);
    }
}

/* Notes the keys of some of a part's records. */
static void
see_keys(const group_job *job, const uint16 *words, uint32 count, uint64 *seen, uint64 *keys)
{
    uint32 rules = (uint32)job->rule_count;

    for (uint32 r = 1; r <= rules; r++, seen += SEEN_WORDS) {
        uint32 without_key = 0;

        for (uint32 i = 0; i < count; i++) {
            uint32 key = words[i * (rules + 1) + r];
            uint64 *word = &seen[key >> 5], once = UINT64_C(1) << (key & 31) * 2;

            *word |= once | (*word & once) << 1;
            without_key += key == 0;
        }
        keys[r - 1] += count - without_key;
        seen[0] &= ~UINT64_C(3); /* there is no key 0 */
    }
}

/* Which of their keys were seen twice. */
static void
note_shared(const group_job *job, const uint16 *words, uint32 count, const uint64 *seen, uint8 *bits)
{
    uint32 rules = (uint32)job->rule_count;

    for (uint32 r = 1; r <= rules; r++, seen += SEEN_WORDS)
        for (uint32 i = 0; i < count; i++) {
            const uint16 *of_record = words + i * (rules + 1);
            uint32 key = of_record[r], twice = (uint32)(seen[key >> 5] >> ((key & 31) * 2 + 1) & 1);

            bits[of_record[0]] |= (uint8)(twice << (r - 1));
        }
}

static void
sift_part(void *context, int64_t item, int thread)
{
    const group_job *job = context;
    uint32 part = (uint32)item;
    uint64 *seen = job->seen + (Size)thread * job->rule_count * SEEN_WORDS;

    memset(seen, 0, job->rule_count * SEEN_WORDS * sizeof(uint64));
    memset(job->keys[part], 0, sizeof job->keys[part]);
    for (uint32 range = 0; range < job->ranges; range++)
        see_keys(job, dealt_at(job, range, job->starts[place_of(job, part, range)]),
                 job->counts[place_of(job, part, range)], seen, job->keys[part]);
    for (uint32 range = 0; range < job->ranges; range++)
        note_shared(job, dealt_at(job, range, job->starts[place_of(job, part, range)]),
                    job->counts[place_of(job, part, range)], seen, job->bits + (Size)range * RANGE_RECORDS);
}

/* ---- one column ---- */

typedef struct column_job {
    const record_table *records;
    uint32 slot;
    const uint32 *records_of_value;
    uint8 *bits;
} column_job;

static void
look_at_range(void *context, int64_t range, int thread)
{
    const column_job *job = context;
    uint32 first = (uint32)range * RANGE_RECORDS, end = Min(job->records->count, first + RANGE_RECORDS);

    for (uint32 record = first; record < end; record++) {
        if (record + RECORDS_AHEAD < end)
            __builtin_prefetch(
                &job->records_of_value[record_row(job->records, record + RECORDS_AHEAD)[job->slot]]);
        job->bits[record] = job->records_of_value[record_row(job->records, record)[job->slot]] > 1;
    }
}

static uint32
ranges_of(uint32 records)
{
    return records / RANGE_RECORDS + (records % RANGE_RECORDS != 0);
}

static void
find_repeated(match_run *run, shared_group *group)
{
    const dictionary *values = run->store->columns[group->slot].values;
    column_job job = {&run->store->records, group->slot, values->records, group->bits};

    for (uint32 code = 1; code < values->count; code++)
        group->keys[0] += values->records[code];
    parallel_in_turns(run->threads, ranges_of(job.records->count), ITEMS_AT_ONCE, look_at_range, &job);
}

/* ---- groups ---- */

/* Whether its keys are still to be put in order, and are of single values. */
static bool
is_open(const match_run *run, int rule)
{
    const rule_spec *spec = &run->spec->rules[rule];

    if (run->indexes[rule].entries != NULL || spec->top_k > 0)
        return false;
    for (int i = 0; i < spec->part_count; i++)
        if (run->store->columns[run->rule_slots[rule][i]].is_list)
            return false;
    for (const shared_group *group = run->shared_keys; group != NULL; group = group->next)
        for (int i = 0; i < group->rule_count; i++)
            if (group->rules[i] == rule)
                return false;
    return true;
}

static bool
reads(const match_run *run, int rule, int slot)
{
    for (int i = 0; i < run->spec->rules[rule].part_count; i++)
        if (run->rule_slots[rule][i] == slot)
            return true;
    return false;
}

/* The open rules that read a column, the given one among them; their number. */
static int
rules_that_read(const match_run *run, int rule, int slot, int *rules)
{
    int count = 0;

    rules[count++] = rule;
    if (run->spec->rules[rule].part_count == 1)
        return count;
    for (int r = 0; r < run->spec->rule_count && count < MOST_RULES; r++)
        if (r != rule && run->spec->rules[r].part_count > 1 && is_open(run, r) && reads(run, r, slot))
            rules[count++] = r;
    return count;
}

static void
find_shared(match_run *run, shared_group *group)
{
    group_job job = {.records = &run->store->records,
                     .rule_count = group->rule_count,
                     .slot = group->slot,
                     .bits = group->bits};
    uint32 count = job.records->count, parts;
    Size places;

    for (int r = 0; r < group->rule_count; r++) {
        job.rules[r].part_count = run->spec->rules[group->rules[r]].part_count;
        for (int i = 0; i < job.rules[r].part_count; i++)
            job.rules[r].slots[i] = (uint32)run->rule_slots[group->rules[r]][i];
    }
    while (job.part_bits < MOST_PART_BITS && count >> job.part_bits > PART_RECORDS)
        job.part_bits++;
    parts = UINT32_C(1) << job.part_bits;
    job.ranges = ranges_of(count);
    places = mul_size(mul_size(Max(job.ranges, 1), parts), sizeof(uint32));
    job.starts = big_alloc(run->context, places);
    job.counts = big_alloc(run->context, places);
    job.dealt = big_alloc(run->context, mul_size(mul_size(Max(job.ranges, 1), RANGE_RECORDS),
                                                 (job.rule_count + 1) * sizeof(uint16)));
    job.seen =
        MemoryContextAlloc(run->context, (Size)run->threads * job.rule_count * SEEN_WORDS * sizeof(uint64));
    job.keys = MemoryContextAlloc(run->context, parts * sizeof *job.keys);
    parallel_in_turns(run->threads, job.ranges, ITEMS_AT_ONCE, deal_range, &job);
    parallel_in_turns(run->threads, parts, ITEMS_AT_ONCE, sift_part, &job);
    for (uint32 part = 0; part < parts; part++)
        for (int r = 0; r < group->rule_count; r++)
            group->keys[r] += job.keys[part][r];
    pfree(job.keys);
    pfree(job.seen);
    pfree(job.dealt);
    pfree(job.counts);
    pfree(job.starts);
}

/* The column that most of the open rules read that may go with a rule; false: it would be alone. */
static bool
choose_column(match_run *run, int rule, shared_group *group)
{
    int rules[MOST_RULES], most = 1;

    for (int i = 0; i < run->spec->rules[rule].part_count; i++) {
        int slot = run->rule_slots[rule][i], count = rules_that_read(run, rule, slot, rules);

        if (count <= most && run->spec->rules[rule].part_count > 1)
            continue;
        most = group->rule_count = count;
        group->slot = (uint32)slot;
        memcpy(group->rules, rules, sizeof rules);
    }
    return group->rule_count > 0;
}

static void
make_group(match_run *run, int rule)
{
    shared_group found = {0}, *group;

    if (!is_open(run, rule) || !choose_column(run, rule, &found))
        return;
    group = MemoryContextAlloc(run->context, sizeof(shared_group));
    *group = found;
    group->bits = big_alloc_zero(run->context, Max(run->store->records.count, 1));
    if (run->spec->rules[rule].part_count == 1)
        find_repeated(run, group);
    else
        find_shared(run, group);
    group->next = run->shared_keys;
    run->shared_keys = group;
}

shared_keys
shared_keys_of(match_run *run, int rule)
{
    make_group(run, rule);
    for (const shared_group *group = run->shared_keys; group != NULL; group = group->next)
        for (int r = 0; r < group->rule_count; r++)
            if (group->rules[r] == rule)
                return (shared_keys){group->bits, (uint8)(1 << r), group->keys[r]};
    return (shared_keys){0};
}

uint32
shared_keys_count(const shared_keys *shared, uint32 first, uint32 end)
{
    const uint8 *rules = shared->rules;
    uint32 count = 0;

    for (uint32 record = first; record < end; record++)
        count += (rules[record] & shared->bit) != 0;
    return count;
}

void
shared_keys_free(match_run *run)
{
    while (run->shared_keys != NULL) {
        shared_group *group = run->shared_keys;

        run->shared_keys = group->next;
        pfree(group->bits);
        pfree(group);
    }
}
