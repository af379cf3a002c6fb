/*
 * blocking.h: candidate pairs: two records that share a key of a blocking rule.
 *
 * Pairs are iterated, never stored: a rule's (key, record) entries are sorted so that a block lies
 * together, and the pairs of its records are visited. A pair that several rules find belongs to the first
 * of them. A block of more than max_block records is not compared in full but within a window of its
 * nearest records in an order by content; what that leaves out is counted.
 *
 * Records are numbered in an order of their own content, so all of this is independent of the order in
 * which they were read.
 */
#ifndef MASTERING_KERNEL_BLOCKING_H
#define MASTERING_KERNEL_BLOCKING_H

#include "kernel/comparison.h"
#include "kernel/radix_sort.h"

#define MAX_RULES 64
#define MAX_KEY_PARTS 8
#define NO_POSITION UINT32_MAX

typedef struct record_table {
    const uint32_t *rows; /* count * stride codes */
    uint32_t stride;
    uint32_t count;
    const uint32_t
        *numbers; /* of records, ascending, where these are some of many; NULL: all, 0 to count - 1 */
} record_table;

static inline const uint32_t *
record_row(const record_table *records, uint32_t record)
{
    return records->rows + (size_t)record * records->stride;
}

/* A short row may lie in two cache lines, of a long one that is where most are looked at. */
static inline void
record_row_prefetch(const record_table *records, const uint32_t *row)
{
    __builtin_prefetch(row);
    __builtin_prefetch(row + records->stride - 1);
}

/* What a record is known by. */
static inline uint32_t
record_number(const record_table *records, uint32_t record)
{
    return records->numbers == NULL ? record : records->numbers[record];
}

/* How to tell whether a rule finds a pair. */
typedef struct blocking_rule {
    int part_count;
    uint32_t slots[MAX_KEY_PARTS];
    uint32_t max_block;
    uint32_t window;

    /* A rule with an array among its parts: the sorted key hashes of each record. NULL for other rules. */
    const uint64_t *list_starts; /* count + 1 */
    const uint64_t *list_keys;
    uint32_t *list_positions; /* place of the record in its windowed block, else NO_POSITION; NULL: no
                                 windowed block */

    uint32_t *positions; /* the same for a rule of single keys, by record */

    /* Of a rule of single keys, by record: what its key became where records of that key must agree in more
     * to meet, the key itself elsewhere. NULL: there is no such key. */
    const uint64_t *parts;
} blocking_rule;

typedef struct block {
    uint64_t first; /* entry */
    uint64_t key;
    uint32_t count;
    bool windowed;
} block;

/* The blocks of one rule, in the order of their keys' hashes; blocks of one record are left out. */
typedef struct block_index {
    const uint32_t *entries; /* records */
    const block *blocks;
    uint64_t block_count;
    uint64_t entry_count;
} block_index;

typedef struct block_statistics {
    uint64_t keys;          /* entries: records with a key, once a key */
    uint64_t blocks;        /* of at least two records */
    uint64_t pairs;         /* that will be visited */
    uint64_t largest_block; /* records */
    uint64_t cut_blocks;    /* windowed */
    uint64_t cut_pairs;     /* left out by windows */
} block_statistics;

/* Adds those of a part of a rule's entries, but for keys: who divides entries knows their number. */
static inline void
block_statistics_add(block_statistics *sum, const block_statistics *part)
{
    sum->blocks += part->blocks;
    sum->pairs += part->pairs;
    sum->largest_block = part->largest_block > sum->largest_block ? part->largest_block : sum->largest_block;
    sum->cut_blocks += part->cut_blocks;
    sum->cut_pairs += part->cut_pairs;
}

/* Two columns whose leading characters order the records of a windowed block; slot UINT32_MAX: none. */
typedef struct window_order {
    uint32_t slots[2];
    const value_table *values[2];
} window_order;

/*
 * The place of a record in the order by content: leading bytes in UTF-8, five of the first column and three
 * of the second, as one number that sorts like them.
 */
uint64_t blocking_window_key(const record_table *records, const window_order *order, uint32_t record);
uint64_t blocking_window_key_of(const text_view texts[2]);

/* Whether a block of so many records is compared within windows; and the pairs that leaves. */
bool blocking_is_windowed(const blocking_rule *rule, uint64_t count);
uint64_t blocking_windowed_pairs(uint64_t count, uint64_t window);

/* The number of blocks in a rule's entries, which are sorted by key, and what there is to say of them. */
uint64_t blocking_count(const blocking_rule *rule, const keyed_record *entries, uint64_t count,
                        block_statistics *statistics);

/* How far blocking_fill has come; all zero at the start. */
typedef struct block_fill {
    uint64_t first;   /* entry where the next block begins */
    uint64_t blocks;  /* written */
    uint64_t end;     /* of the block at first */
    uint64_t key;     /* of its records */
    uint64_t ordered; /* of its records: they have window keys in place of it */
} block_fill;

/*
 * Writes the blocks that blocking_count has counted, puts the records of windowed ones in order and writes
 * their positions into the rule (positions or list_positions must have room, filled with NO_POSITION, when
 * statistics->cut_blocks > 0). False when *stop (which may be NULL) became true: call again to go on. Each
 * call comes further.
 */
bool blocking_fill(blocking_rule *rule, const record_table *records, const window_order *order,
                   keyed_record *entries, keyed_record *scratch, uint64_t count, block *blocks,
                   block_fill *fill, const volatile sig_atomic_t *stop);

/* Whether the rule finds the pair. */
bool blocking_rule_finds(const blocking_rule *rule, const record_table *records, uint32_t a, uint32_t b);

/* ---- visiting the pairs of one rule ---- */

typedef struct scored_pair {
    uint32_t a, b; /* a < b */
    int32_t weight;
    uint32_t is_new;  /* no earlier rule finds it */
    uint64_t pattern; /* or, for PAIRS_LISTED, a bit for each rule that finds the pair */
} scored_pair;

typedef enum pair_mode {
    PAIRS_COUNTED, /* counters only */
    PAIRS_LISTED,  /* new pairs with the rules that find them */
    PAIRS_SCORED,  /* new pairs that reach least_weight, with weight and pattern */
    PAIRS_SAMPLED, /* a share of all pairs, new or not, with pattern */
} pair_mode;

typedef struct pair_counters {
    uint64_t found;     /* pairs of the rule, of different sources where asked for, sampled where asked for */
    uint64_t found_new; /* that no earlier rule finds */
    uint64_t found_true; /* of one entity, where entities are given */
    uint64_t found_new_true;
} pair_counters;

#define PAIR_UNIT_PAIRS 16384  /* visited by one unit of work, about, unless a visit says otherwise */
#define PAIR_UNIT_OUTPUT 16384 /* pairs that a unit can hold */

typedef struct pair_cursor {
    uint64_t block;
    uint32_t row;    /* within the block */
    uint32_t column; /* next partner within the block; 0: the first one */
} pair_cursor;

/* A unit of work: the pairs from next up to (not including) row end.row of block end.block. */
typedef struct pair_unit {
    pair_cursor next, end;
    bool done;
    kernel_status status;
    uint32_t output_count;
    scored_pair *output; /* PAIR_UNIT_OUTPUT */
    pair_counters counters;
} pair_unit;

typedef struct pair_visit {
    const record_table *records;
    const blocking_rule *rules; /* all rules */
    int rule_count;
    int rule; /* the one visited */
    const block_index *index;
    uint32_t source_slot; /* pairs of two sources only; UINT32_MAX: all */
    pair_mode mode;
    const scorer *scorer;
    int64_t least_weight;
    uint64_t sample_limit;    /* PAIRS_SAMPLED: a pair is taken when its hash is at most this */
    const uint32_t *entities; /* by record; 0: unknown; NULL: none given */
    comparison_thread *threads;
    uint32_t probe_count; /* only pairs with one of that many first records; 0: all pairs */
    uint32_t unit_pairs;  /* visited by one unit of work, about; 0: PAIR_UNIT_PAIRS */
} pair_visit;

/* Marks off the next unit of work behind *from; false when there is none. Advances *from. */
bool pair_unit_next(const pair_visit *visit, pair_cursor *from, pair_unit *unit);

/*
 * Goes on with a unit until it is done, its output is full, or a stop is requested. At least one pair is
 * visited, so that whoever calls again comes to an end.
 */
void pair_unit_work(const pair_visit *visit, pair_unit *unit, int thread);

#endif
