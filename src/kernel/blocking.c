/*
 * blocking.c: blocks and their pairs; see blocking.h.
 */
#include "kernel/blocking.h"

#include "kernel/block_sieve.h"
#include "kernel/hash.h"

/* Pairs gone over between two looks at the stop flag, where few of them are wanted. */
#define BATCH_VISITS 16384

/* Partners of a row in a unit, from which on it pays to have much of it at hand. */
#define MANY_PARTNERS 3

/* Room in a batch that is not worth being filled. */
#define LITTLE_ROOM 32

/* Records put in order between two looks at the stop flag. */
#define STOP_ENTRIES 256

/* Partners of a row behind it in its block. */
static inline uint32_t
row_end(const block *block, const blocking_rule *rule, uint32_t row)
{
    if (block->windowed && block->count - 1 - row > rule->window)
        return row + 1 + rule->window;
    return block->count;
}

/* A large block is windowed where that leaves anything out. */
bool
blocking_is_windowed(const blocking_rule *rule, uint64_t count)
{
    return count > rule->max_block && count - 1 > rule->window;
}

/* Of count > window records, each with the window behind it. */
uint64_t
blocking_windowed_pairs(uint64_t count, uint64_t window)
{
    return (count - window) * window + window * (window - 1) / 2;
}

static uint64_t
block_end(const keyed_record *entries, uint64_t count, uint64_t first)
{
    uint64_t end = first + 1;

    while (end < count && entries[end].key == entries[first].key)
        end++;
    return end;
}

uint64_t
blocking_count(const blocking_rule *rule, const keyed_record *entries, uint64_t count,
               block_statistics *statistics)
{
    *statistics = (block_statistics){.keys = count};
    for (uint64_t first = 0, end; first < count; first = end) {
        uint64_t size, pairs;

        end = block_end(entries, count, first);
        size = end - first;
        if (size < 2)
            continue;
        statistics->blocks++;
        if (size > statistics->largest_block)
            statistics->largest_block = size;
        pairs = size * (size - 1) / 2;
        if (blocking_is_windowed(rule, size)) {
            uint64_t visited = blocking_windowed_pairs(size, rule->window);

            statistics->cut_blocks++;
            statistics->cut_pairs += pairs - visited;
            pairs = visited;
        }
        statistics->pairs += pairs;
    }
    return statistics->blocks;
}

/* The first bytes of a text in UTF-8, which sort as its characters do, behind those of key. */
static uint64_t
append_leading_bytes(uint64_t key, text_view text, int wanted)
{
    for (uint32_t i = 0; wanted > 0; i++) {
        uint32_t point = i < text.length ? text_view_at(text, i) : 0;
        int rest = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3; /* bytes after the first */
        static const uint32_t first_byte[] = {0, 0xC0, 0xE0, 0xF0};

        key = key << 8 | first_byte[rest] | point >> 6 * rest;
        wanted--;
        for (; rest > 0 && wanted > 0; wanted--) {
            rest--;
            key = key << 8 | 0x80 | (point >> 6 * rest & 0x3F);
        }
    }
    return key;
}

uint64_t
blocking_window_key_of(const text_view texts[2])
{
    return append_leading_bytes(append_leading_bytes(0, texts[0], 5), texts[1], 3);
}

uint64_t
blocking_window_key(const record_table *records, const window_order *order, uint32_t record)
{
    const uint32_t *row = record_row(records, record);
    text_view texts[2] = {{NULL, 0, 1}, {NULL, 0, 1}};

    for (int i = 0; i < 2; i++) {
        uint32_t code = order->slots[i] == UINT32_MAX ? 0 : row[order->slots[i]];

        if (code != 0)
            texts[i] = order->values[i]->texts[code];
    }
    return blocking_window_key_of(texts);
}

/* Where in a record's keys the first one is that is not below key. */
static uint64_t
first_key_from(const blocking_rule *rule, uint32_t record, uint64_t key)
{
    uint64_t first = rule->list_starts[record], count = rule->list_starts[record + 1] - first;

    while (count > 0) {
        uint64_t half = count / 2;

        if (rule->list_keys[first + half] < key) {
            first += half + 1;
            count -= half + 1;
        } else
            count = half;
    }
    return first;
}

static void
note_position(blocking_rule *rule, uint32_t record, uint64_t key, uint32_t position)
{
    if (rule->list_starts == NULL) {
        rule->positions[record] = position;
        return;
    }
    rule->list_positions[first_key_from(rule, record, key)] = position;
}

/*
 * Orders the records of the windowed block at fill->first; false when it was stopped before all of them had
 * their window keys.
 */
static bool
order_block(blocking_rule *rule, const record_table *records, const window_order *order,
            keyed_record *entries, keyed_record *scratch, block_fill *fill, const volatile sig_atomic_t *stop)
{
    keyed_record *first = entries + fill->first;
    uint64_t size = fill->end - fill->first;

    while (fill->ordered < size) {
        first[fill->ordered].key = blocking_window_key(records, order, first[fill->ordered].record);
        fill->ordered++;
        if (fill->ordered % STOP_ENTRIES == 0 && stop != NULL && *stop)
            return false;
    }
    radix_sort_keys(first, scratch, size);
    for (uint64_t i = 0; i < size; i++) {
        note_position(rule, first[i].record, fill->key, (uint32_t)i);
        first[i].key = fill->key;
    }
    return true;
}

bool
blocking_fill(blocking_rule *rule, const record_table *records, const window_order *order,
              keyed_record *entries, keyed_record *scratch, uint64_t count, block *blocks, block_fill *fill,
              const volatile sig_atomic_t *stop)
{
    while (fill->first < count) {
        block *made = &blocks[fill->blocks];
        uint64_t size;

        if (fill->ordered == 0) { /* not in the middle of one */
            fill->end = block_end(entries, count, fill->first);
            fill->key = entries[fill->first].key;
        }
        size = fill->end - fill->first;
        if (size >= 2) {
            *made = (block){.first = fill->first,
                            .key = fill->key,
                            .count = (uint32_t)size,
                            .windowed = blocking_is_windowed(rule, size)};
            if (made->windowed && !order_block(rule, records, order, entries, scratch, fill, stop))
                return false;
            fill->blocks++;
        }
        fill->first = fill->end;
        fill->ordered = 0;
        if (size >= 2 && made->windowed && stop != NULL && *stop)
            return false;
    }
    return true;
}

static inline bool
within_window(uint32_t position_a, uint32_t position_b, uint32_t window)
{
    if (position_a == NO_POSITION)
        return true;
    return (position_a > position_b ? position_a - position_b : position_b - position_a) <= window;
}

/* Whether keys i to end_i - 1 and j to end_j - 1 of two records have one in common under which they meet. */
static bool
lists_meet(const blocking_rule *rule, uint64_t i, uint64_t end_i, uint64_t j, uint64_t end_j)
{
    while (i < end_i && j < end_j) {
        uint64_t x = rule->list_keys[i], y = rule->list_keys[j];

        if (x == y && (rule->list_positions == NULL ||
                       within_window(rule->list_positions[i], rule->list_positions[j], rule->window)))
            return true;
        /* No branch: which of two hashes is the smaller one cannot be predicted. */
        i += x <= y;
        j += y <= x;
    }
    return false;
}

static bool
list_rule_finds(const blocking_rule *rule, uint32_t a, uint32_t b)
{
    return lists_meet(rule, rule->list_starts[a], rule->list_starts[a + 1], rule->list_starts[b],
                      rule->list_starts[b + 1]);
}

static inline bool
rule_finds(const blocking_rule *rule, uint32_t a, uint32_t b, const uint32_t *row_a, const uint32_t *row_b)
{
    if (rule->list_starts != NULL)
        return list_rule_finds(rule, a, b);
    for (int i = 0; i < rule->part_count; i++) {
        uint32_t code = row_a[rule->slots[i]];

        if (code == 0 || code != row_b[rule->slots[i]])
            return false;
    }
    if (rule->parts != NULL && rule->parts[a] != rule->parts[b])
        return false;
    return rule->positions == NULL || within_window(rule->positions[a], rule->positions[b], rule->window);
}

bool
blocking_rule_finds(const blocking_rule *rule, const record_table *records, uint32_t a, uint32_t b)
{
    return rule_finds(rule, a, b, record_row(records, a), record_row(records, b));
}

static inline bool
is_probe(const pair_visit *visit, uint32_t record)
{
    return record <= visit->probe_count - 1; /* every record where that is 0 - 1 */
}

/*
 * Where the partners of a row end. Probes come first in a block that is compared in full: from the first
 * other record on, none has partners. Behind a row that has none because of that, no row of the block has
 * any.
 */
static inline uint32_t
partners_end(const pair_visit *visit, const block *block, uint32_t row)
{
    if (!block->windowed && !is_probe(visit, visit->index->entries[block->first + row]))
        return row + 1;
    return row_end(block, &visit->rules[visit->rule], row);
}

/* Steps to the next row, or block. */
static inline void
next_row(const pair_visit *visit, const block *block, pair_cursor *cursor)
{
    cursor->row++;
    if (cursor->row + 1 >= block->count ||
        (!block->windowed && !is_probe(visit, visit->index->entries[block->first + cursor->row]))) {
        cursor->block++;
        cursor->row = 0;
    }
}

static uint32_t
unit_pairs(const pair_visit *visit)
{
    return visit->unit_pairs == 0 ? PAIR_UNIT_PAIRS : visit->unit_pairs;
}

bool
pair_unit_next(const pair_visit *visit, pair_cursor *from, pair_unit *unit)
{
    uint64_t pairs = 0, most = unit_pairs(visit);

    if (from->block >= visit->index->block_count)
        return false;
    unit->next = *from;
    while (from->block < visit->index->block_count && pairs < most) {
        const block *block = &visit->index->blocks[from->block];
        uint64_t all = (uint64_t)block->count * (block->count - 1) / 2;

        if (from->row == 0 && all <= most - pairs) { /* or fewer, where some are not visited */
            pairs += all;
            from->block++;
        } else {
            pairs += partners_end(visit, block, from->row) - from->row - 1;
            next_row(visit, block, from);
        }
    }
    unit->end = *from;
    unit->done = false;
    unit->status = KERNEL_OK;
    unit->output_count = 0;
    unit->counters = (pair_counters){0};
    return true;
}

/* A bit for each rule that finds the pair; the visited one does. */
static uint64_t
finding_rules(const pair_visit *visit, uint32_t a, uint32_t b, const uint32_t *row_a, const uint32_t *row_b)
{
    uint64_t rules = UINT64_C(1) << visit->rule;

    for (int i = visit->rule + 1; i < visit->rule_count; i++)
        if (rule_finds(&visit->rules[i], a, b, row_a, row_b))
            rules |= UINT64_C(1) << i;
    return rules;
}

/* Pairs that wait to be looked at together, so that the waits for their records' rows overlap. */
typedef struct pair_batch {
    uint32_t count;
    uint32_t a[SCORER_BATCH], b[SCORER_BATCH]; /* a < b */
    const uint32_t *row_a[SCORER_BATCH], *row_b[SCORER_BATCH];
    row_mask masks[SCORER_BATCH];
    bool is_new[SCORER_BATCH];
    bool copied; /* the rows are those of block_rows */

    /* Where the pairs went through a sieve: all that it has found, of which those that are left are here. */
    bool sieved;
    uint64_t found, found_new;
} pair_batch;

/* How to find out which rules find a pair: some by the equality of columns alone, and others. */
typedef struct rule_sieve {
    uint32_t columns; /* of a row, that have a bit */
    uint64_t own;     /* columns that the visited rule wants to be equal; 0: rule_finds must be asked */
    uint64_t wanted[MAX_RULES]; /* the same of earlier rules */
    int plain_count;
    int others[MAX_RULES]; /* earlier rules that must be asked */
    int other_count;
} rule_sieve;

/* The columns whose equality is all that a rule wants; 0: it wants something else. */
static uint64_t
plain_columns(const blocking_rule *rule)
{
    uint64_t columns = 0;

    if (rule->list_starts != NULL || rule->positions != NULL || rule->parts != NULL)
        return 0;
    for (int i = 0; i < rule->part_count; i++) {
        if (rule->slots[i] >= ROW_MASK_COLUMNS)
            return 0;
        columns |= UINT64_C(1) << rule->slots[i];
    }
    return columns;
}

static void
make_sieve(const pair_visit *visit, rule_sieve *sieve)
{
    sieve->columns = visit->records->stride < ROW_MASK_COLUMNS ? visit->records->stride : ROW_MASK_COLUMNS;
    sieve->own = plain_columns(&visit->rules[visit->rule]);
    sieve->plain_count = sieve->other_count = 0;
    for (int r = 0; r < visit->rule; r++) {
        uint64_t columns = plain_columns(&visit->rules[r]);

        if (columns != 0)
            sieve->wanted[sieve->plain_count++] = columns;
        else
            sieve->others[sieve->other_count++] = r;
    }
}

/*
 * Whether the visited rule finds the pair, and it is of two sources where only such are wanted. Equal hashes
 * of different keys are not a block; a record of a list rule can meet another in two blocks.
 */
static inline bool
is_candidate(const pair_visit *visit, const rule_sieve *sieve, const pair_batch *batch, uint32_t i)
{
    const blocking_rule *rule = &visit->rules[visit->rule];

    if (visit->source_slot != UINT32_MAX &&
        batch->row_a[i][visit->source_slot] == batch->row_b[i][visit->source_slot])
        return false;
    if (sieve->own != 0)
        return (batch->masks[i].same & sieve->own) == sieve->own;
    return rule->list_starts != NULL ||
           rule_finds(rule, batch->a[i], batch->b[i], batch->row_a[i], batch->row_b[i]);
}

static inline bool
found_earlier(const pair_visit *visit, const rule_sieve *sieve, const pair_batch *batch, uint32_t i)
{
    uint64_t same = batch->masks[i].same;
    bool found = false;

    for (int r = 0; r < sieve->plain_count; r++)
        found |= (same & sieve->wanted[r]) == sieve->wanted[r];
    for (int r = 0; r < sieve->other_count && !found; r++)
        found = rule_finds(&visit->rules[sieve->others[r]], batch->a[i], batch->b[i], batch->row_a[i],
                           batch->row_b[i]);
    return found;
}

/* Drops the pairs that are none, counts the others, and leaves those whose pattern is wanted. */
static void
sift_batch(const pair_visit *visit, const rule_sieve *sieve, pair_batch *batch, pair_counters *counters)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < batch->count; i++) {
        uint32_t a = batch->a[i], b = batch->b[i];
        bool is_new;

        batch->masks[i] = row_mask_of(batch->row_a[i], batch->row_b[i], sieve->columns);
        if (!is_candidate(visit, sieve, batch, i))
            continue;
        is_new = !found_earlier(visit, sieve, batch, i);
        counters->found++;
        counters->found_new += is_new;
        if (visit->entities != NULL && visit->entities[a] != 0 && visit->entities[a] == visit->entities[b]) {
            counters->found_true++;
            counters->found_new_true += is_new;
        }
        /* No branch: whether an earlier rule finds a pair cannot be predicted. */
        batch->a[left] = a;
        batch->b[left] = b;
        batch->row_a[left] = batch->row_a[i];
        batch->row_b[left] = batch->row_b[i];
        batch->masks[left] = batch->masks[i];
        batch->is_new[left] = is_new;
        left += visit->mode == PAIRS_SAMPLED || (is_new && visit->mode != PAIRS_COUNTED);
    }
    batch->count = left;
}

static void
list_batch(const pair_visit *visit, const pair_batch *batch, pair_unit *unit)
{
    for (uint32_t i = 0; i < batch->count; i++)
        unit->output[unit->output_count++] = (scored_pair){
            .a = batch->a[i],
            .b = batch->b[i],
            .is_new = true,
            .pattern = finding_rules(visit, batch->a[i], batch->b[i], batch->row_a[i], batch->row_b[i])};
}

static kernel_status
score_batch(const pair_visit *visit, const pair_batch *batch, comparison_thread *thread, pair_unit *unit)
{
    uint16_t chosen[SCORER_BATCH];
    int64_t weights[SCORER_BATCH];
    uint64_t patterns[SCORER_BATCH];
    uint32_t count;
    kernel_status status =
        scorer_score_batch(visit->scorer, batch->row_a, batch->row_b, batch->masks, batch->count,
                           visit->least_weight, thread, chosen, &count, weights, patterns);

    if (status != KERNEL_OK)
        return status;
    for (uint32_t n = 0; n < count; n++) {
        uint32_t i = chosen[n];

        unit->output[unit->output_count++] = (scored_pair){.a = batch->a[i],
                                                           .b = batch->b[i],
                                                           .weight = (int32_t)weights[n],
                                                           .is_new = batch->is_new[i],
                                                           .pattern = patterns[n]};
    }
    return KERNEL_OK;
}

/* What the batch adds to the unit; a batch that was stopped adds nothing. */
static kernel_status
work_on_batch(const pair_visit *visit, const rule_sieve *sieve, pair_batch *batch, comparison_thread *thread,
              pair_unit *unit)
{
    pair_counters before = unit->counters;

    unit->counters.found += batch->found;
    unit->counters.found_new += batch->found_new;
    if (!batch->sieved)
        sift_batch(visit, sieve, batch, &unit->counters);
    if (visit->mode == PAIRS_LISTED)
        list_batch(visit, batch, unit);
    else if (visit->mode != PAIRS_COUNTED && batch->count > 0) {
        kernel_status status = score_batch(visit, batch, thread, unit);

        if (status != KERNEL_OK) {
            unit->counters = before;
            return status;
        }
    }
    return KERNEL_OK;
}

/* Whether the pair at the cursor was already visited in an earlier block of the same list rule. */
static bool
met_in_earlier_block(const blocking_rule *rule, uint32_t a, uint32_t b, uint64_t key)
{
    return lists_meet(rule, rule->list_starts[a], first_key_from(rule, a, key), rule->list_starts[b],
                      first_key_from(rule, b, key));
}

static inline bool
is_sample(const pair_visit *visit)
{
    return visit->mode == PAIRS_SAMPLED && visit->sample_limit != UINT64_MAX;
}

/* The first column from one on whose pair with the row is taken into a sample; end: none is. */
static uint32_t
next_sampled(const pair_visit *visit, const uint32_t *entries, uint32_t row, uint32_t column, uint32_t end)
{
    const record_table *records = visit->records;
    uint32_t a = entries[row];
    uint64_t limit = visit->sample_limit;

    for (; column < end; column++) {
        uint32_t b = entries[column];
        uint64_t low = record_number(records, a < b ? a : b), high = record_number(records, a < b ? b : a);

        if (hash_stream(low << 32 | high, 1) <= limit)
            break;
    }
    return column;
}

/* Puts a pair into the batch, unless what is known without its rows decides against it. Rows are NULL where
 * they were not copied. */
static inline void
add_to_batch(const pair_visit *visit, pair_batch *batch, uint32_t a, uint32_t b, const uint32_t *row_a,
             const uint32_t *row_b, uint64_t key)
{
    const blocking_rule *rule = &visit->rules[visit->rule];
    uint32_t low = a < b ? a : b, high = a < b ? b : a, i = batch->count;

    if (!is_probe(visit, low))
        return;
    if (rule->list_starts != NULL && met_in_earlier_block(rule, a, b, key))
        return;
    batch->a[i] = low;
    batch->b[i] = high;
    if (row_a != NULL) {
        batch->row_a[i] = a < b ? row_a : row_b;
        batch->row_b[i] = a < b ? row_b : row_a;
    } else {
        batch->row_a[i] = record_row(visit->records, low);
        batch->row_b[i] = record_row(visit->records, high);
        record_row_prefetch(visit->records, batch->row_a[i]);
        record_row_prefetch(visit->records, batch->row_b[i]);
    }
    batch->count++;
}

/* The entry behind the last one that a unit's end has a use for: the partners of its last row. */
static uint64_t
last_entry(const pair_visit *visit, pair_cursor end)
{
    const block *block;

    if (end.row == 0)
        block = &visit->index->blocks[end.block - 1];
    else
        block = &visit->index->blocks[end.block];
    return block->first +
           (end.row == 0 ? block->count : row_end(block, &visit->rules[visit->rule], end.row - 1));
}

/*
 * Makes sure that the rows of a row's pairs are copied, where they can be. False: the batch holds pairs of
 * other copies and is to be done before.
 */
static inline bool
copy_rows(const pair_visit *visit, uint64_t first, uint64_t end, pair_cursor unit_end,
          kernel_workspace *memory, pair_batch *batch, block_rows *rows, bool *copied)
{
    if (first >= rows->first && end <= rows->end) {
        *copied = true;
        return batch->count == 0 || batch->copied;
    }
    *copied = false;
    if (batch->count > 0 && (batch->copied || rows->stride != 0))
        return false;
    if (rows->stride != 0)
        *copied = block_rows_take(visit, first, end, last_entry(visit, unit_end), memory, rows);
    return true;
}

/* Puts those of a row's pairs into the batch that the sieve leaves. */
static inline void
sieve_to_batch(const pair_visit *visit, const block_sieve *sieve, const block_rows *rows,
               const sieve_row *row, uint64_t from, uint64_t end, pair_batch *batch)
{
    uint32_t left[SCORER_BATCH];
    sieve_result result = {.left = left};
    uint32_t a = row->entries[row->entry];
    const uint32_t *row_a = rows->rows + row->entry * rows->stride;

    block_sieve_row(visit, sieve, rows, row, from, end, &result);
    batch->found += result.found;
    batch->found_new += result.found_new;
    for (uint32_t n = 0; n < result.left_count; n++) {
        uint32_t b = row->entries[left[n]], i = batch->count + n;
        const uint32_t *row_b = rows->rows + (uint64_t)left[n] * rows->stride;

        batch->a[i] = a < b ? a : b;
        batch->b[i] = a < b ? b : a;
        batch->row_a[i] = a < b ? row_a : row_b;
        batch->row_b[i] = a < b ? row_b : row_a;
        batch->masks[i] = scorer_row_mask(visit->scorer, row_a, row_b);
        batch->is_new[i] = true;
    }
    batch->count += result.left_count;
}

/* The pairs of a row from a column on, until the batch has no room for more; the first column not gone over.
 */
static uint32_t
sieve_row_to_batch(const pair_visit *visit, const block_sieve *sieve, const block_rows *rows, uint64_t first,
                   uint32_t row, uint32_t column, uint32_t last, uint32_t most, pair_batch *batch)
{
    sieve_row opened;

    if (column < last)
        block_sieve_open_row(visit, sieve, rows, first + row, &opened);
    while (column < last && (batch->count == 0 || most - batch->count >= LITTLE_ROOM)) {
        uint32_t next = last - column < most - batch->count ? last : column + most - batch->count;

        sieve_to_batch(visit, sieve, rows, &opened, first + column, first + next, batch);
        column = next;
    }
    return column;
}

/* Goes over at most visits pairs from the cursor on, takes up to most of them, and advances it. */
static void
gather_batch(const pair_visit *visit, pair_cursor *cursor, pair_cursor end, uint32_t most, uint32_t visits,
             kernel_workspace *memory, block_rows *rows, const block_sieve *sieve, pair_batch *batch)
{
    uint32_t visited = 0;
    bool sampled = is_sample(visit);

    batch->count = 0;
    batch->copied = batch->sieved = false;
    batch->found = batch->found_new = 0;
    while (cursor->block < end.block || (cursor->block == end.block && cursor->row < end.row)) {
        const block *block = &visit->index->blocks[cursor->block];
        const uint32_t *entries = visit->index->entries + block->first;
        uint32_t row = cursor->row, last = partners_end(visit, block, row);
        uint32_t column = cursor->column > row ? cursor->column : row + 1;
        bool copied = false;

        if (column < last &&
            !copy_rows(visit, block->first + row, block->first + last, end, memory, batch, rows, &copied))
            return;
        batch->copied = copied;
        batch->sieved = copied && sieve->usable;
        if (batch->sieved) {
            uint32_t stop = last - column < visits - visited ? last : column + (visits - visited);
            uint32_t next =
                sieve_row_to_batch(visit, sieve, rows, block->first, row, column, stop, most, batch);

            visited += next - column;
            column = next;
            if (column < last) {
                cursor->column = column;
                return;
            }
        }
        for (; column < last; column++, visited++) {
            if (sampled) {
                uint32_t stop = last - column < visits - visited ? last : column + (visits - visited);
                uint32_t next = next_sampled(visit, entries, row, column, stop);

                visited += next - column;
                column = next;
                if (column == last)
                    break;
            }
            if (batch->count == most || visited == visits) {
                cursor->column = column;
                return;
            }
            add_to_batch(visit, batch, entries[row], entries[column],
                         copied ? block_rows_at(rows, block->first + row) : NULL,
                         copied ? block_rows_at(rows, block->first + column) : NULL, block->key);
        }
        cursor->column = 0;
        next_row(visit, block, cursor);
    }
}

static inline bool
at_end(pair_cursor cursor, pair_cursor end)
{
    return cursor.block > end.block || (cursor.block == end.block && cursor.row >= end.row);
}

/* How many profiles of a row a sieve is to look at; 0: it is not worth one. */
static int
profiles_for_sieve(const pair_visit *visit, const pair_unit *unit)
{
    uint64_t rows;

    if (at_end(unit->next, unit->end) || !block_sieve_serves(visit))
        return 0;
    rows = last_entry(visit, unit->end) - visit->index->blocks[unit->next.block].first;
    return rows * MANY_PARTNERS <= unit_pairs(visit) ? BLOCK_PROFILES : 0;
}

void
pair_unit_work(const pair_visit *visit, pair_unit *unit, int thread)
{
    comparison_thread *memory = &visit->threads[thread];
    rule_sieve sieve;
    block_sieve block_sieve;
    pair_batch batch;
    block_rows rows;
    bool any = false;

    make_sieve(visit, &sieve);
    block_rows_open(visit, profiles_for_sieve(visit, unit), &rows);
    block_sieve_open(visit, &rows, &block_sieve);
    while (!at_end(unit->next, unit->end)) {
        pair_cursor next = unit->next;
        uint32_t room = PAIR_UNIT_OUTPUT - unit->output_count;
        bool stopping = kernel_stop_requested(&memory->workspace);

        if (room == 0 || (any && stopping))
            return;
        gather_batch(visit, &next, unit->end, room < SCORER_BATCH ? room : SCORER_BATCH,
                     stopping ? 1 : BATCH_VISITS, &memory->copies, &rows, &block_sieve, &batch);
        any = true;
        memory->carried = batch.copied ? rows.carried : NULL;
        unit->status = work_on_batch(visit, &sieve, &batch, memory, unit);
        memory->carried = NULL;
        if (unit->status == KERNEL_STOPPED) { /* halfway through these pairs: they are done again */
            unit->status = KERNEL_OK;
            return;
        }
        if (unit->status != KERNEL_OK)
            return;
        unit->next = next;
    }
    unit->done = true;
}
