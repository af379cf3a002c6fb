/*
 * key_parts.c: see key_parts.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/key_parts.h"
#include "engine/split.h"
#include "engine/spool.h"
#include "kernel/hash.h"
#include "settings.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define MOST_PARTS 1024
#define FILE_BUFFERS (2 * (BLCKSZ + 256)) /* of the two files of a part */
#define MUCH_SPACE (UINT64_C(16) << 30)   /* of temporary files, if each rule took what the spool takes */
#define LARGE_RULES UINT64_C(3)           /* that are dealt at a time beyond that */
#define RECORDS_AT_ONCE 64                /* whose bits are fetched together */
#define MOST_VALUES (256 * 1024)          /* bytes of theirs */

/* A bit each for keys that were seen, and seen twice, in words side by side. */
typedef struct key_marks {
    uint64 mask, *seen;
    uint64 repeated; /* records whose key's bit was set already */
    uint64 keys;
} key_marks;

/* A record whose keys are made. */
typedef struct keyed {
    uint64 keys[MAX_RULES]; /* as they are dealt; where has_key */
    bool has_key[MAX_RULES];
    uint32 number, source, size;
    Size place; /* of its values among those that wait */
} keyed;

/* The rules that are dealt at a time. */
typedef struct dealing {
    match_run *run;
    int first, end; /* rules */
    key_marks marks[MAX_RULES];
    key_parts *parts[MAX_RULES];
    uint64 bytes;   /* written */
    bool *wanted;   /* by column: it is part of a key */
    uint64 *hashes; /* by column, of the record that is looked at */
    keyed *waiting; /* RECORDS_AT_ONCE */
    int waiting_count;
    StringInfoData values; /* of those that wait, where they are to be dealt */
} dealing;

static inline uint64 *
word_of(const key_marks *marks, uint64 key)
{
    return &marks->seen[(key & marks->mask) >> 6 << 1];
}

static void
hash_values(const dealing *deal, const spool_record *record)
{
    for (int i = 0; i < deal->run->store->column_count; i++)
        if (deal->wanted[i] && record->values[i].text.length > 0)
            deal->hashes[i] = spool_value_hash(&record->values[i]);
}

/* The key of a record whose values were hashed, before it is divided. */
static bool
key_of(const dealing *deal, int rule, const spool_record *record, uint64 *key)
{
    const blocking_rule *blocking = &deal->run->rules[rule];

    *key = 0;
    for (int i = 0; i < blocking->part_count; i++) {
        if (record->values[blocking->slots[i]].text.length == 0)
            return false;
        *key = hash_combine(*key, deal->hashes[blocking->slots[i]]);
    }
    return true;
}

/* The keys of a record for all rules, divided where they are. */
static void
make_keys(dealing *deal, const spool_record *record, bool counted, keyed *made)
{
    match_run *run = deal->run;

    hash_values(deal, record);
    for (int r = deal->first; r < deal->end; r++) {
        uint64 key;

        made->has_key[r] = key_of(deal, r, record, &key);
        if (!made->has_key[r])
            continue;
        made->keys[r] = split_any(run, r) ? split_key_of_values(run, r, record->values, key) : key;
        if (counted)
            split_count(run, r, key, made->keys[r]);
        __builtin_prefetch(word_of(&deal->marks[r], made->keys[r]), 1);
    }
}

/*
 * Makes the keys of the next records; their bits are fetched meanwhile: those of one record after the other
 * would each be waited for. False at the end.
 */
static bool
next_records(dealing *deal, spool_scan *scan, bool to_deal)
{
    const spool_record *record = &scan->record;

    deal->waiting_count = 0;
    resetStringInfo(&deal->values);
    while (deal->waiting_count < RECORDS_AT_ONCE && deal->values.len < MOST_VALUES && spool_scan_next(scan)) {
        keyed *made = &deal->waiting[deal->waiting_count++];

        make_keys(deal, record, !to_deal, made);
        if (!to_deal)
            continue;
        made->number = record->number;
        made->source = record->source;
        made->size = record->size;
        made->place = (Size)deal->values.len;
        appendBinaryStringInfoNT(&deal->values, record->bytes, (int)record->size);
    }
    return deal->waiting_count > 0;
}

/* A bit for a record's key. memory: of both bits of all keys, at most. */
static void
make_marks(const dealing *deal, key_marks *marks, Size memory)
{
    uint64 most_bits = memory * 8;
    Size words;

    *marks = (key_marks){.mask = 1023};
    while (marks->mask < (uint64)deal->run->store->spool->count * 8 && marks->mask < most_bits / 2)
        marks->mask = marks->mask * 2 + 1;
    words = (Size)(marks->mask / 64 + 1);
    marks->seen = big_alloc_zero(deal->run->context, mul_size(words, 2 * sizeof(uint64)));
}

static void
mark_key(key_marks *marks, uint64 key)
{
    uint64 bit = UINT64_C(1) << (key & 63), *word = word_of(marks, key);

    marks->keys++;
    marks->repeated += (word[0] & bit) != 0;
    word[1] |= word[0] & bit;
    word[0] |= bit;
}

static inline bool
is_shared(const key_marks *marks, uint64 key)
{
    return word_of(marks, key)[1] >> (key & 63) & 1;
}

/* Notes all keys: those of one record alone need not be looked at again. */
static void
mark_keys(dealing *deal)
{
    match_run *run = deal->run;
    int rules = deal->end - deal->first;
    Size memory = rules == 1 ? mastering_memory_budget() / 16 : mastering_memory_budget() / 4 / rules;
    spool_scan scan;

    for (int r = deal->first; r < deal->end; r++)
        make_marks(deal, &deal->marks[r], memory);
    spool_scan_open(&scan, run->store->spool, NULL);
    while (next_records(deal, &scan, false))
        for (int i = 0; i < deal->waiting_count; i++)
            for (int r = deal->first; r < deal->end; r++)
                if (deal->waiting[i].has_key[r])
                    mark_key(&deal->marks[r], deal->waiting[i].keys[r]);
    spool_scan_close(&scan);
    for (int r = deal->first; r < deal->end; r++)
        split_finish_counting(run, r);
}

/* Returns the bytes written. */
static Size
deal_record(key_parts *dealt, uint64 key, const spool_record *record)
{
    key_part *part = &dealt->parts[dealt->bits == 0 ? 0 : key >> (64 - dealt->bits)];

    if (part->keys == NULL) {
        part->keys = BufFileCreateTemp(false);
        part->records = BufFileCreateTemp(false);
    }
    BufFileWrite(part->keys, &key, sizeof key);
    part->count++;
    return sizeof key + spool_write_numbered(part->records, record);
}

static void
deal_records(dealing *deal)
{
    match_run *run = deal->run;
    spool_scan scan;

    spool_scan_open(&scan, run->store->spool, NULL);
    while (next_records(deal, &scan, true))
        for (int i = 0; i < deal->waiting_count; i++) {
            const keyed *made = &deal->waiting[i];
            spool_record record = {.number = made->number,
                                   .source = made->source,
                                   .bytes = deal->values.data + made->place,
                                   .size = made->size};

            for (int r = deal->first; r < deal->end; r++)
                if (made->has_key[r] && is_shared(&deal->marks[r], made->keys[r]))
                    deal->bytes += deal_record(deal->parts[r], made->keys[r], &record);
        }
    spool_scan_close(&scan);
}

static void
deal_rules(match_run *run, int first, int end, uint64 records_each)
{
    dealing *deal = palloc0(sizeof(dealing));

    deal->run = run;
    deal->first = first;
    deal->end = end;
    deal->wanted = palloc0(Max(run->store->column_count, 1) * sizeof(bool));
    deal->hashes = palloc0(Max(run->store->column_count, 1) * sizeof(uint64));
    deal->waiting = palloc0(RECORDS_AT_ONCE * sizeof(keyed));
    initStringInfo(&deal->values);
    for (int r = first; r < end; r++)
        for (int i = 0; i < run->rules[r].part_count; i++)
            deal->wanted[run->rules[r].slots[i]] = true;
    mark_keys(deal);
    for (int r = first; r < end; r++) {
        key_parts *parts = palloc0(sizeof(key_parts));
        uint64 shared = Min(deal->marks[r].keys, deal->marks[r].repeated * 2);

        while (1 << parts->bits < MOST_PARTS && shared >> parts->bits > records_each)
            parts->bits++;
        parts->parts = palloc0(sizeof(key_part) << parts->bits);
        parts->keys = deal->marks[r].keys;
        deal->parts[r] = run->dealt[r] = parts;
    }
    deal_records(deal);
    if (end - first > 1)
        match_run_phase(run, "dealt", "records of %d rules in " UINT64_FORMAT " kB of temporary files",
                        end - first, deal->bytes / 1024);
    for (int r = first; r < end; r++)
        pfree(deal->marks[r].seen);
    pfree(deal->wanted);
    pfree(deal->hashes);
    pfree(deal->waiting);
    pfree(deal->values.data);
    pfree(deal);
}

/* Rules that are dealt at a time: who limits temporary files has them as small as they can be, and large runs
 * do not fill the disk. */
static int
rules_at_once(const match_run *run, uint64 records_each)
{
    uint64 parts = Min(run->store->spool->count / records_each + 1, MOST_PARTS);
    uint64 by_memory = mastering_memory_budget() / 6 / (parts * FILE_BUFFERS);
    uint64 by_space = Max(MUCH_SPACE / (run->store->spool->bytes + 1), LARGE_RULES);

    if (temp_file_limit >= 0)
        return 1;
    return (int)Max(Min(Min(by_memory, by_space), (uint64)run->spec->rule_count), 1);
}

key_parts *
key_parts_of(match_run *run, int rule, uint64 records_each)
{
    if (run->dealt[rule] == NULL) {
        int rules = rules_at_once(run, records_each);

        run->keep_dealt = rules == run->spec->rule_count;
        deal_rules(run, rule, Min(rule + rules, run->spec->rule_count), records_each);
    }
    return run->dealt[rule];
}

static void
close_rule(match_run *run, int rule)
{
    key_parts *dealt = run->dealt[rule];

    if (dealt == NULL)
        return;
    for (int p = 0; p < 1 << dealt->bits; p++)
        if (dealt->parts[p].count > 0) {
            BufFileClose(dealt->parts[p].keys);
            BufFileClose(dealt->parts[p].records);
        }
    pfree(dealt->parts);
    pfree(dealt);
    run->dealt[rule] = NULL;
}

key_parts *
key_parts_again(match_run *run, int rule, uint64 records_each)
{
    close_rule(run, rule);
    deal_rules(run, rule, rule + 1, records_each);
    return run->dealt[rule];
}

void
key_parts_done(match_run *run, int rule, bool another_visit)
{
    if (!another_visit || !run->keep_dealt)
        close_rule(run, rule);
}

void
key_parts_close(match_run *run)
{
    for (int r = 0; r < run->spec->rule_count; r++)
        close_rule(run, r);
}
