/*
 * blocking.c: blocks and their pairs; see blocking.h.
 */
#include "kernel/blocking.h"

#include "kernel/hash.h"

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
static inline bool
is_windowed(const blocking_rule *rule, uint64_t count)
{
    return count > rule->max_block && count - 1 > rule->window;
}

/* Of count > window records, each with the window behind it. */
static uint64_t
windowed_pairs(uint64_t count, uint64_t window)
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
        if (is_windowed(rule, size)) {
            uint64_t visited = windowed_pairs(size, rule->window);

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

/* Five bytes of the first column and three of the second, as one number that sorts like them. */
static uint64_t
window_key(const record_table *records, const window_order *order, uint32_t record)
{
    const uint32_t *row = record_row(records, record);
    uint64_t key = 0;

    for (int i = 0; i < 2; i++) {
        uint32_t code = order->slots[i] == UINT32_MAX ? 0 : row[order->slots[i]];
        text_view text = {NULL, 0, 1};

        if (code != 0)
            text = order->values[i]->texts[code];
        key = append_leading_bytes(key, text, i == 0 ? 5 : 3);
    }
    return key;
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
        first[fill->ordered].key = window_key(records, order, first[fill->ordered].record);
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
            *made =
                (block){.first = fill->first, .count = (uint32_t)size, .windowed = is_windowed(rule, size)};
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
    return rule->positions == NULL || within_window(rule->positions[a], rule->positions[b], rule->window);
}

bool
blocking_rule_finds(const blocking_rule *rule, const record_table *records, uint32_t a, uint32_t b)
{
    return rule_finds(rule, a, b, record_row(records, a), record_row(records, b));
}

bool
pair_unit_next(const pair_visit *visit, pair_cursor *from, pair_unit *unit)
{
    const blocking_rule *rule = &visit->rules[visit->rule];
    uint64_t pairs = 0;

    if (from->block >= visit->index->block_count)
        return false;
    unit->next = *from;
    while (from->block < visit->index->block_count && pairs < PAIR_UNIT_PAIRS) {
        const block *block = &visit->index->blocks[from->block];

        pairs += row_end(block, rule, from->row) - from->row - 1;
        from->row++;
        if (from->row + 1 >= block->count) {
            from->block++;
            from->row = 0;
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

/* One pair of the visited rule's blocks. */
static kernel_status
visit_pair(const pair_visit *visit, pair_unit *unit, uint32_t a, uint32_t b, comparison_thread *thread)
{
    const uint32_t *row_a, *row_b;
    bool is_new = true, qualifies;
    scored_pair *pair = &unit->output[unit->output_count];
    kernel_status status;
    int64_t weight;

    if (a > b) {
        uint32_t swap = a;

        a = b;
        b = swap;
    }
    row_a = record_row(visit->records, a);
    row_b = record_row(visit->records, b);

    if (visit->source_slot != UINT32_MAX && row_a[visit->source_slot] == row_b[visit->source_slot])
        return KERNEL_OK;
    /* Equal hashes of different keys are not a block; a record of a list rule can meet another in two blocks.
     */
    if (visit->rules[visit->rule].list_starts == NULL &&
        !rule_finds(&visit->rules[visit->rule], a, b, row_a, row_b))
        return KERNEL_OK;
    if (visit->mode == PAIRS_SAMPLED && hash_stream((uint64_t)a << 32 | b, 1) > visit->sample_limit)
        return KERNEL_OK;
    for (int i = 0; i < visit->rule && is_new; i++)
        is_new = !rule_finds(&visit->rules[i], a, b, row_a, row_b);

    *pair = (scored_pair){.a = a, .b = b, .is_new = is_new};
    if (visit->mode == PAIRS_COUNTED || (!is_new && visit->mode != PAIRS_SAMPLED))
        qualifies = false;
    else if (visit->mode == PAIRS_LISTED) {
        pair->pattern = finding_rules(visit, a, b, row_a, row_b);
        qualifies = true;
    } else {
        status = scorer_score(visit->scorer, row_a, row_b, visit->least_weight, thread, &qualifies, &weight,
                              &pair->pattern);
        if (status != KERNEL_OK)
            return status;
        pair->weight = qualifies ? (int32_t)weight : 0;
    }

    /* Counted last: a pair that was stopped halfway is visited again. */
    unit->output_count += qualifies;
    unit->counters.found++;
    unit->counters.found_new += is_new;
    if (visit->entities != NULL && visit->entities[a] != 0 && visit->entities[a] == visit->entities[b]) {
        unit->counters.found_true++;
        unit->counters.found_new_true += is_new;
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

void
pair_unit_work(const pair_visit *visit, pair_unit *unit, int thread)
{
    const blocking_rule *rule = &visit->rules[visit->rule];
    comparison_thread *memory = &visit->threads[thread];
    uint32_t visited = 0;

    while (unit->next.block < unit->end.block ||
           (unit->next.block == unit->end.block && unit->next.row < unit->end.row)) {
        const block *block = &visit->index->blocks[unit->next.block];
        const keyed_record *entries = visit->index->entries + block->first;
        uint32_t row = unit->next.row, end = row_end(block, rule, row);
        uint32_t column = unit->next.column > row ? unit->next.column : row + 1;

        for (; column < end; column++) {
            uint32_t a = entries[row].record, b = entries[column].record;

            if (unit->output_count == PAIR_UNIT_OUTPUT ||
                (visited > 0 && kernel_stop_requested(&memory->workspace))) {
                unit->next.column = column;
                return;
            }
            visited++;
            if (rule->list_starts != NULL && met_in_earlier_block(rule, a, b, entries[row].key))
                continue;
            unit->status = visit_pair(visit, unit, a, b, memory);
            if (unit->status == KERNEL_STOPPED) { /* halfway through this pair: it is done again */
                unit->status = KERNEL_OK;
                unit->next.column = column;
                return;
            }
            if (unit->status != KERNEL_OK)
                return;
        }
        unit->next.column = 0;
        unit->next.row++;
        if (unit->next.row + 1 >= block->count) {
            unit->next.block++;
            unit->next.row = 0;
        }
    }
    unit->done = true;
}
