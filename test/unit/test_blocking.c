/*
 * test_blocking.c: the visited pairs against all pairs of records, asked one by one whether they share a key.
 *
 * The oracle knows blocks as sets of records by key, sorts large ones by comparing texts, and keeps for each
 * rule a matrix of the pairs that it finds. Keys of single values are made to collide on purpose.
 */
#include "kernel/blocking.h"
#include "kernel/hash.h"
#include "kernel/lanes.h"
#include "kernel/parallel.h"
#include "unit.h"

#define MOST_RECORDS 700
#define MOST_RULES 6
#define STRIDE 6
#define SOURCE_SLOT 5
#define VALUES 40
#define LIST_UNIVERSE 30
#define LONGEST_LIST 12
#define MOST_COMPARISONS ((size_t)5)

typedef struct world {
    uint32_t count;
    uint32_t rows[MOST_RECORDS * STRIDE];
    uint32_t entities[MOST_RECORDS];
    record_table records;
    value_table values[2];
    window_order order;
    bool across_sources;
    scorer scorer;

    int rule_count;
    blocking_rule rules[MOST_RULES];
    uint64_t key_masks[MOST_RULES]; /* single keys: the bits of their hash that are kept */
    uint64_t list_starts[MOST_RULES][MOST_RECORDS + 1];
    uint64_t list_keys[MOST_RULES][MOST_RECORDS * LONGEST_LIST];
    uint32_t list_positions[MOST_RULES][MOST_RECORDS * LONGEST_LIST];
    uint32_t positions[MOST_RULES][MOST_RECORDS];

    /* What the kernel makes of a rule. */
    uint32_t *entries[MOST_RULES];
    uint64_t entry_counts[MOST_RULES];
    block *blocks[MOST_RULES];
    block_statistics statistics[MOST_RULES];

    /* What the oracle makes of it. */
    block_statistics expected[MOST_RULES];
    bool *finds[MOST_RULES]; /* count * count, for a < b */
    uint32_t wrong_positions;
} world;

static world w;
static comparison_thread threads[8];
static text_view texts[2][VALUES];
static uint32_t points[2][VALUES][8];
static uint8_t narrow[2][VALUES][8];
static text_profile profiles[2][VALUES];
static lane_planes planes[2][VALUES];
static int32_t rare[VALUES]; /* what a value of column 0 weighs more or less */

/* Texts of 0 to 7 characters of two scripts; those of one share their beginnings. */
static void
make_texts(uint64_t *seed)
{
    for (int t = 0; t < 2; t++)
        for (int i = 1; i < VALUES; i++) {
            static const uint32_t base[] = {'a', 'a', 0xC0, 0x430, 0x4E00, 0x1F600};
            uint32_t length = unit_below(seed, 8), script = base[unit_below(seed, 6)];

            for (uint32_t j = 0; j < length; j++) {
                points[t][i][j] = script + 19 * unit_below(seed, 4);
                narrow[t][i][j] = (uint8_t)points[t][i][j];
            }
            texts[t][i] =
                script < 256 ? (text_view){narrow[t][i], length, 1} : (text_view){points[t][i], length, 4};
            profiles[t][i] = text_profile_of(texts[t][i]);
            profiles[t][i].in_planes = lane_planes_of(texts[t][i], &planes[t][i]);
            rare[i] = (int32_t)unit_below(seed, 50000) - 25000;
        }
}

/* ---- the oracle ---- */

static bool
shares_single_key(const blocking_rule *rule, uint32_t a, uint32_t b)
{
    for (int i = 0; i < rule->part_count; i++) {
        uint32_t x = w.rows[a * STRIDE + rule->slots[i]], y = w.rows[b * STRIDE + rule->slots[i]];

        if (x == 0 || x != y)
            return false;
    }
    return true;
}

static bool
single_key(int r, uint32_t record, uint64_t *key)
{
    const blocking_rule *rule = &w.rules[r];

    *key = 0;
    for (int i = 0; i < rule->part_count; i++) {
        uint32_t code = w.rows[record * STRIDE + rule->slots[i]];

        if (code == 0)
            return false;
        *key = hash_combine(*key, hash_word(code));
    }
    *key &= w.key_masks[r];
    return true;
}

/* The first bytes of a text in UTF-8, filled up with zeros. */
static void
leading(uint32_t record, int column, uint32_t wanted, uint32_t *out)
{
    uint32_t code = w.order.slots[column] == UINT32_MAX ? 0 : w.rows[record * STRIDE + w.order.slots[column]];
    text_view text = code == 0 ? (text_view){NULL, 0, 1} : texts[column][code];
    uint32_t bytes[4 * 8] = {0}, used = 0;

    for (uint32_t i = 0; i < text.length; i++) {
        uint32_t c = text_view_at(text, i);

        if (c <= 0x7F)
            bytes[used++] = c;
        else if (c <= 0x7FF) {
            bytes[used++] = 0xC0 + c / 64;
            bytes[used++] = 0x80 + c % 64;
        } else if (c <= 0xFFFF) {
            bytes[used++] = 0xE0 + c / 4096;
            bytes[used++] = 0x80 + c / 64 % 64;
            bytes[used++] = 0x80 + c % 64;
        } else {
            bytes[used++] = 0xF0 + c / 262144;
            bytes[used++] = 0x80 + c / 4096 % 64;
            bytes[used++] = 0x80 + c / 64 % 64;
            bytes[used++] = 0x80 + c % 64;
        }
    }
    memcpy(out, bytes, wanted * sizeof *out);
}

static bool
comes_after(uint32_t a, uint32_t b)
{
    uint32_t x[8], y[8];

    for (int i = 0; i < 2; i++) {
        leading(a, i, i == 0 ? 5 : 3, i == 0 ? x : x + 5);
        leading(b, i, i == 0 ? 5 : 3, i == 0 ? y : y + 5);
    }
    for (int i = 0; i < 8; i++)
        if (x[i] != y[i])
            return x[i] > y[i];
    return a > b;
}

/* One block: its members in their order by number. list: which entry of a member is meant, else NULL. */
static void
expect_block(int r, uint32_t *members, uint32_t count, uint64_t key, bool is_list)
{
    const blocking_rule *rule = &w.rules[r];
    block_statistics *expected = &w.expected[r];
    uint64_t visited = 0;
    bool cut = count > rule->max_block && count - 1 > rule->window;

    expected->keys += count;
    if (count < 2)
        return;
    expected->blocks++;
    if (count > expected->largest_block)
        expected->largest_block = count;
    expected->cut_blocks += cut;
    if (cut)
        for (uint32_t i = 1; i < count; i++)
            for (uint32_t j = i; j > 0 && comes_after(members[j - 1], members[j]); j--) {
                uint32_t swap = members[j];

                members[j] = members[j - 1];
                members[j - 1] = swap;
            }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t position = NO_POSITION;

        for (uint32_t j = i + 1; j < count && (!cut || j <= i + rule->window); j++) {
            uint32_t a = members[i] < members[j] ? members[i] : members[j];
            uint32_t b = members[i] < members[j] ? members[j] : members[i];

            visited++;
            if (is_list || shares_single_key(rule, a, b))
                w.finds[r][a * w.count + b] = true;
        }
        if (is_list) {
            for (uint64_t e = w.list_starts[r][members[i]]; e < w.list_starts[r][members[i] + 1]; e++)
                if (w.list_keys[r][e] == key && rule->list_positions != NULL)
                    position = rule->list_positions[e];
        } else if (rule->positions != NULL)
            position = rule->positions[members[i]];
        w.wrong_positions += position != (cut ? i : NO_POSITION);
    }
    expected->pairs += visited;
    expected->cut_pairs += (uint64_t)count * (count - 1) / 2 - visited;
}

static bool
has_list_key(int r, uint32_t record, uint64_t key)
{
    for (uint64_t e = w.list_starts[r][record]; e < w.list_starts[r][record + 1]; e++)
        if (w.list_keys[r][e] == key)
            return true;
    return false;
}

static void
expect_rule(int r)
{
    static uint32_t members[MOST_RECORDS];
    static bool done[MOST_RECORDS];
    bool is_list = w.rules[r].list_starts != NULL;

    w.expected[r] = (block_statistics){0};
    w.finds[r] = calloc((size_t)w.count * w.count + 1, sizeof(bool));
    if (w.finds[r] == NULL)
        abort();
    memset(done, 0, sizeof done);
    for (uint32_t i = 0; is_list ? i < LIST_UNIVERSE : i < w.count; i++) {
        uint32_t count = 0;
        uint64_t key = hash_word(i + 1), other;

        if (!is_list && (done[i] || !single_key(r, i, &key)))
            continue;
        for (uint32_t j = 0; j < w.count; j++)
            if (is_list ? has_list_key(r, j, key) : single_key(r, j, &other) && other == key) {
                members[count++] = j;
                done[j] = true;
            }
        if (count > 0)
            expect_block(r, members, count, key, is_list);
    }
}

/* ---- the kernel ---- */

static int
compare_words(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void
make_lists(uint64_t *seed, int r, uint32_t most)
{
    uint64_t used = 0;

    for (uint32_t i = 0; i < w.count; i++) {
        uint32_t length = unit_below(seed, most + 1);
        uint64_t first = used;

        w.list_starts[r][i] = used;
        for (uint32_t j = 0; j < length; j++) {
            uint64_t key = hash_word(1 + unit_below(seed, unit_below(seed, 2) ? LIST_UNIVERSE : 5));
            bool there = false;

            for (uint64_t k = first; k < used; k++)
                there |= w.list_keys[r][k] == key;
            if (!there)
                w.list_keys[r][used++] = key;
        }
        qsort(w.list_keys[r] + first, used - first, sizeof(uint64_t), compare_words);
    }
    w.list_starts[r][w.count] = used;
    w.rules[r].list_starts = w.list_starts[r];
    w.rules[r].list_keys = w.list_keys[r];
}

static void
build_rule(int r)
{
    blocking_rule *rule = &w.rules[r];
    bool is_list = rule->list_starts != NULL;
    uint64_t count = 0, room = is_list ? w.list_starts[r][w.count] : w.count, block_count;
    keyed_record *entries = malloc((room + !room) * sizeof *entries),
                 *scratch = malloc((room + !room) * sizeof *entries);
    static const volatile sig_atomic_t always = 1;
    block_fill fill = {0};

    if (entries == NULL || scratch == NULL)
        abort();
    for (uint32_t i = 0; i < w.count; i++) {
        uint64_t key;

        if (is_list)
            for (uint64_t e = w.list_starts[r][i]; e < w.list_starts[r][i + 1]; e++)
                entries[count++] = (keyed_record){w.list_keys[r][e], i, 0};
        else if (single_key(r, i, &key))
            entries[count++] = (keyed_record){key, i, 0};
    }
    radix_sort_hashed(entries, scratch, count);
    block_count = blocking_count(rule, entries, count, &w.statistics[r]);
    w.blocks[r] = malloc((block_count + !block_count) * sizeof(block));
    if (w.blocks[r] == NULL)
        abort();
    if (w.statistics[r].cut_blocks > 0) {
        memset(w.positions[r], 0xff, sizeof w.positions[r]);
        memset(w.list_positions[r], 0xff, sizeof w.list_positions[r]);
        if (is_list)
            rule->list_positions = w.list_positions[r];
        else
            rule->positions = w.positions[r];
    }
    /* Stopped wherever it looks, it still comes to the same end. */
    for (uint32_t stops = 0;
         !blocking_fill(rule, &w.records, &w.order, entries, scratch, count, w.blocks[r], &fill, &always);
         stops++)
        if (stops > count)
            abort();
    w.entries[r] = malloc((count + !count) * sizeof(uint32_t));
    if (w.entries[r] == NULL)
        abort();
    for (uint64_t i = 0; i < count; i++)
        w.entries[r][i] = entries[i].record;
    w.entry_counts[r] = count;
    free(entries);
    free(scratch);
}

/* Three columns that are the same or not, and one or both of the texts, with weights of any size. */
static void
make_scorer(uint64_t *seed)
{
    static const comparison_method methods[] = {
        METHOD_LEVENSHTEIN_DISTANCE, METHOD_DAMERAU_DISTANCE, METHOD_JARO, METHOD_JARO_WINKLER,
        METHOD_LEVENSHTEIN,          METHOD_DAMERAU,          METHOD_LCS};
    int32_t scale = unit_below(seed, 20) == 0 ? 5000 : 1; /* so that sums need more than 32 bits */

    w.scorer.comparison_count = 3 + (int)unit_below(seed, 3);
    w.scorer.prior_weight = (int32_t)unit_below(seed, 125000) - 100000;
    for (int c = 0; c < w.scorer.comparison_count; c++) {
        comparison *comparison = &w.scorer.comparisons[c];

        comparison->level_count = 2;
        comparison->slot = (uint32_t)c;
        if (c >= 3) {
            bool distance;

            comparison->method = methods[unit_below(seed, sizeof methods / sizeof *methods)];
            distance = method_is_distance(comparison->method);
            comparison->values = w.values[c - 3];
            comparison->level_count = 4;
            comparison->thresholds[0] = distance ? 1 : 0.9;
            comparison->thresholds[1] = distance ? 2 : 0.5 + unit_below(seed, 40) / 100.0;
        }
        comparison->weights[1] = scale * (int32_t)unit_below(seed, 100000);
        for (int level = 2; level <= comparison->level_count; level++)
            comparison->weights[level] = scale * ((int32_t)unit_below(seed, 150000) - 100000);
    }
    /* At times one of the texts has a part: the other text, or what is the same or not, of any weight. */
    if (w.scorer.comparison_count > 3 && unit_below(seed, 2)) {
        bool other = w.scorer.comparison_count > 4 && unit_below(seed, 3);
        int text = w.scorer.comparison_count - 1 - (other && unit_below(seed, 2)),
            part = other ? 7 - text : 1 + (int)unit_below(seed, 2);

        w.scorer.comparisons[part].part_of = 1 + text;
        w.scorer.comparisons[part].weights[LEVEL_EXACT] = scale * ((int32_t)unit_below(seed, 150000) - 75000);
    }
    if (unit_below(seed, 2))
        w.scorer.comparisons[0].value_weights = rare;
    (void)scorer_prepare(&w.scorer);
}

/* What was remembered of the texts of another world. */
static void
forget_levels(void)
{
    for (int t = 0; t < 8; t++)
        if (threads[t].cache != NULL)
            memset(threads[t].cache, 0, MOST_COMPARISONS * LEVEL_CACHE_SIZE * sizeof(level_cache_entry));
}

static void
make_world(uint64_t *seed, uint32_t count, int rule_count)
{
    uint32_t distinct = 1 + unit_below(seed, 12), missing = unit_below(seed, 4);
    bool colliding = unit_below(seed, 2);

    w.count = count;
    w.rule_count = rule_count;
    w.records = (record_table){w.rows, STRIDE, count, NULL};
    w.across_sources = unit_below(seed, 3) == 0;
    w.wrong_positions = 0;
    for (uint32_t i = 0; i < count * STRIDE; i++)
        w.rows[i] = unit_below(seed, 16) < missing
                        ? 0
                        : 1 + unit_below(seed, i % STRIDE == SOURCE_SLOT ? 3 : distinct);
    for (uint32_t i = 0; i < count; i++) {
        w.entities[i] = unit_below(seed, count / 2 + 1);
        w.rows[i * STRIDE + 3] = unit_below(seed, VALUES);
        w.rows[i * STRIDE + 4] = unit_below(seed, VALUES);
    }
    for (int t = 0; t < 2; t++) {
        w.values[t] = (value_table){.texts = texts[t], .profiles = profiles[t], .planes = planes[t]};
        w.order.values[t] = &w.values[t];
        w.order.slots[t] = unit_below(seed, 5) == 0 ? UINT32_MAX : 3 + (uint32_t)t;
    }
    memset(&w.scorer, 0, sizeof w.scorer);
    forget_levels();
    make_scorer(seed);
    for (int r = 0; r < rule_count; r++) {
        blocking_rule *rule = &w.rules[r];

        *rule = (blocking_rule){0};
        rule->max_block = unit_below(seed, 2) ? 1000 : 2 + unit_below(seed, 20);
        rule->window = 1 + unit_below(seed, unit_below(seed, 3) ? 5 : 60);
        w.key_masks[r] = colliding ? 3 : UINT64_MAX;
        if (unit_below(seed, 3) == 0)
            make_lists(seed, r, 1 + unit_below(seed, LONGEST_LIST));
        else {
            rule->part_count = 1 + (int)unit_below(seed, 3);
            for (int i = 0; i < rule->part_count; i++)
                rule->slots[i] = unit_below(seed, 3);
        }
    }
}

static void
build_world(void)
{
    for (int r = 0; r < w.rule_count; r++) {
        build_rule(r);
        expect_rule(r);
    }
}

static void
drop_world(void)
{
    for (int r = 0; r < w.rule_count; r++) {
        free(w.entries[r]);
        free(w.blocks[r]);
        free(w.finds[r]);
    }
}

/* ---- visiting ---- */

#define REGION 5
#define MOST_PAIRS ((size_t)MOST_RECORDS * MOST_RECORDS / 2)

typedef enum brake {
    BRAKE_NEVER,
    BRAKE_ALWAYS, /* one pair a call */
    BRAKE_AT_TIMES,
} brake;

typedef struct visit_result {
    scored_pair *pairs;
    size_t count;
    pair_counters counters;
    uint32_t calls, full;
    bool failed;
} visit_result;

static volatile sig_atomic_t stop;
static pair_unit units[REGION];
static visit_result results[2];

typedef struct work {
    const pair_visit *visit;
    brake brake;
    uint64_t seed;
} work;

static void
work_on_unit(void *context, int64_t item, int thread)
{
    work *work = context;

    if (units[item].done)
        return;
    if (work->brake == BRAKE_AT_TIMES)
        stop = unit_below(&work->seed, 3) > 0;
    pair_unit_work(work->visit, &units[item], thread);
}

/* All pairs of a rule, in the order of the units. */
static void
visit_all(const pair_visit *visit, brake brake, int thread_count, visit_result *result)
{
    work work = {visit, brake, 99};
    pair_cursor cursor = {0};
    int unit_count;

    result->count = 0;
    result->counters = (pair_counters){0};
    result->calls = result->full = 0;
    result->failed = false;
    stop = brake == BRAKE_ALWAYS;
    do {
        unit_count = 0;
        while (unit_count < REGION && pair_unit_next(visit, &cursor, &units[unit_count]))
            unit_count++;
        for (int u = 0; u < unit_count; u++)
            while (!units[u].done) {
                if (thread_count > 1)
                    parallel_for(thread_count, unit_count, work_on_unit, &work);
                else
                    work_on_unit(&work, u, 0);
                result->calls++;
                result->failed |= units[u].status != KERNEL_OK || units[u].output_count > PAIR_UNIT_OUTPUT;
                /* Only the unit whose turn it is is emptied, so others wait with what they hold. */
                result->full += units[u].output_count == PAIR_UNIT_OUTPUT;
                if (result->failed || result->count + units[u].output_count > MOST_PAIRS) {
                    result->failed = true;
                    return;
                }
                memcpy(result->pairs + result->count, units[u].output,
                       units[u].output_count * sizeof(scored_pair));
                result->count += units[u].output_count;
                units[u].output_count = 0;
            }
        for (int u = 0; u < unit_count; u++) {
            /* Done before its turn by another call of the region: not emptied yet. */
            if (result->count + units[u].output_count > MOST_PAIRS) {
                result->failed = true;
                return;
            }
            memcpy(result->pairs + result->count, units[u].output,
                   units[u].output_count * sizeof(scored_pair));
            result->count += units[u].output_count;
            result->counters.found += units[u].counters.found;
            result->counters.found_new += units[u].counters.found_new;
            result->counters.found_true += units[u].counters.found_true;
            result->counters.found_new_true += units[u].counters.found_new_true;
        }
    } while (unit_count > 0);
}

static pair_visit
rule_visit(int r, pair_mode mode, const block_index *index)
{
    return (pair_visit){.records = &w.records,
                        .rules = w.rules,
                        .rule_count = w.rule_count,
                        .rule = r,
                        .index = index,
                        .source_slot = w.across_sources ? SOURCE_SLOT : UINT32_MAX,
                        .mode = mode,
                        .scorer = &w.scorer,
                        .least_weight = INT64_MIN,
                        .sample_limit = UINT64_MAX,
                        .entities = w.entities,
                        .threads = threads};
}

static int
compare_pairs(const void *x, const void *y)
{
    const scored_pair *p = x, *q = y;

    return p->a != q->a ? (p->a < q->a ? -1 : 1) : p->b < q->b ? -1 : p->b > q->b;
}

/* Goes through all pairs of records and through the result, sorted, side by side. */
static bool
is_expected(int r, const pair_visit *visit, visit_result *result)
{
    pair_counters expected = {0};
    size_t at = 0;

    if (result->failed)
        return false;
    stop = 0;
    qsort(result->pairs, result->count, sizeof(scored_pair), compare_pairs);
    for (uint32_t a = 0; a < w.count; a++)
        for (uint32_t b = a + 1; b < w.count; b++) {
            bool is_new = true, listed, qualifies = true;
            uint64_t pattern = 0, rules = 0;
            int64_t weight = 0;

            if (!w.finds[r][a * w.count + b] ||
                (w.across_sources && w.rows[a * STRIDE + SOURCE_SLOT] == w.rows[b * STRIDE + SOURCE_SLOT]) ||
                (visit->mode == PAIRS_SAMPLED && hash_stream((uint64_t)a << 32 | b, 1) > visit->sample_limit))
                continue;
            for (int i = 0; i < w.rule_count; i++)
                if (w.finds[i][a * w.count + b]) {
                    rules |= UINT64_C(1) << i;
                    is_new &= i >= r;
                }
            expected.found++;
            expected.found_new += is_new;
            if (visit->entities != NULL && w.entities[a] != 0 && w.entities[a] == w.entities[b]) {
                expected.found_true++;
                expected.found_new_true += is_new;
            }
            if (scorer_score(visit->scorer, w.rows + a * STRIDE, w.rows + b * STRIDE, visit->least_weight,
                             &threads[0], &qualifies, &weight, &pattern) != KERNEL_OK)
                return false;
            listed = visit->mode == PAIRS_LISTED    ? is_new
                     : visit->mode == PAIRS_SCORED  ? is_new && qualifies
                     : visit->mode == PAIRS_SAMPLED ? qualifies
                                                    : false;
            if (!listed)
                continue;
            if (at == result->count || result->pairs[at].a != a || result->pairs[at].b != b ||
                result->pairs[at].is_new != is_new)
                return false;
            if (visit->mode == PAIRS_LISTED
                    ? result->pairs[at].pattern != rules
                    : result->pairs[at].pattern != pattern || result->pairs[at].weight != (int32_t)weight)
                return false;
            at++;
        }
    return at == result->count && memcmp(&expected, &result->counters, sizeof expected) == 0;
}

static bool
statistics_agree(int r)
{
    return memcmp(&w.statistics[r], &w.expected[r], sizeof w.expected[r]) == 0;
}

static bool
finds_agrees(int r)
{
    for (uint32_t a = 0; a < w.count; a++)
        for (uint32_t b = a + 1; b < w.count; b++)
            if (blocking_rule_finds(&w.rules[r], &w.records, a, b) != w.finds[r][a * w.count + b] ||
                blocking_rule_finds(&w.rules[r], &w.records, b, a) != w.finds[r][a * w.count + b])
                return false;
    return true;
}

static block_index
rule_index(int r)
{
    return (block_index){w.entries[r], w.blocks[r], w.statistics[r].blocks, w.entry_counts[r]};
}

typedef struct verdict {
    uint32_t statistics, positions, finds, modes[4], braked, order;
    uint32_t cut, cut_lists, full, units;
} verdict;

static void
judge_world(uint64_t *seed, verdict *wrong)
{
    build_world();
    wrong->positions += w.wrong_positions > 0;
    for (int r = 0; r < w.rule_count; r++) {
        block_index index = rule_index(r);

        wrong->statistics += !statistics_agree(r);
        wrong->finds += !finds_agrees(r);
        wrong->cut += w.expected[r].cut_blocks > 0;
        wrong->cut_lists += w.expected[r].cut_blocks > 0 && w.rules[r].list_starts != NULL;
        for (int mode = PAIRS_COUNTED; mode <= PAIRS_SAMPLED; mode++) {
            pair_visit visit = rule_visit(r, (pair_mode)mode, &index);

            if (mode == PAIRS_SCORED) {
                if (unit_below(seed, 8) > 0) /* otherwise all pairs are asked for */
                    visit.least_weight = (int64_t)unit_below(seed, 400000) - 200000;
                if (unit_below(seed, 4) > 0)
                    visit.entities = NULL; /* rows go through a sieve, with all kinds of vectors */
                lanes_use((lane_target)unit_below(seed, 3));
            }
            if (mode == PAIRS_SAMPLED && unit_below(seed, 3) > 0)
                visit.sample_limit = unit_random(seed);
            visit_all(&visit, BRAKE_NEVER, 1, &results[0]);
            wrong->full += results[0].full;
            wrong->units += results[0].calls > 1;
            visit_all(&visit, w.count < 100 && unit_below(seed, 2) ? BRAKE_ALWAYS : BRAKE_AT_TIMES, 1,
                      &results[1]);
            wrong->order +=
                results[0].count != results[1].count ||
                memcmp(results[0].pairs, results[1].pairs, results[0].count * sizeof(scored_pair)) != 0;
            wrong->modes[mode] += !is_expected(r, &visit, &results[0]);
            wrong->braked += !is_expected(r, &visit, &results[1]);
        }
    }
    drop_world();
}

static void
report(const verdict *wrong, const char *what)
{
    static const char *modes[] = {"counted", "listed with their rules", "scored", "sampled"};
    char name[160];

    snprintf(name, sizeof name, "%s: statistics of blocks", what);
    unit_ok(wrong->statistics == 0, name);
    snprintf(name, sizeof name, "%s: places in windowed blocks", what);
    unit_ok(wrong->positions == 0, name);
    snprintf(name, sizeof name, "%s: a rule finds the pairs that it finds", what);
    unit_ok(wrong->finds == 0, name);
    for (int mode = 0; mode < 4; mode++) {
        snprintf(name, sizeof name, "%s: pairs %s", what, modes[mode]);
        unit_ok(wrong->modes[mode] == 0, name);
    }
    snprintf(name, sizeof name, "%s: the same pairs when stopped again and again", what);
    unit_ok(wrong->braked == 0, name);
    snprintf(name, sizeof name, "%s: in the same order", what);
    unit_ok(wrong->order == 0, name);
}

static void
test_small(void)
{
    uint64_t seed = 21;
    verdict wrong = {0};

    for (int round = 0; round < 600; round++) {
        make_texts(&seed);
        make_world(&seed, round < 20 ? (uint32_t)round % 4 : unit_below(&seed, 60),
                   1 + (int)unit_below(&seed, MOST_RULES));
        judge_world(&seed, &wrong);
    }
    report(&wrong, "600 small worlds");
    unit_ok(wrong.cut > 100 && wrong.cut_lists > 30, "many of them with windowed blocks, of lists too");
}

/* Blocks of more pairs than a unit has, and units of more pairs than they hold. */
static void
test_large(void)
{
    uint64_t seed = 22;
    verdict wrong = {0};

    for (int round = 0; round < 12; round++) {
        make_texts(&seed);
        make_world(&seed, MOST_RECORDS - unit_below(&seed, 200), 3);
        judge_world(&seed, &wrong);
    }
    for (int round = 0; round < 3; round++) { /* one block of all */
        make_texts(&seed);
        make_world(&seed, MOST_RECORDS, 2);
        for (uint32_t i = 0; i < w.count * STRIDE; i++)
            if (i % STRIDE != SOURCE_SLOT)
                w.rows[i] = 1;
        w.across_sources = false;
        for (int r = 0; r < 2; r++) {
            w.rules[r] = (blocking_rule){.part_count = 1, .slots = {(uint32_t)r}, .max_block = 1000000};
            if (round > 0)
                w.rules[r] =
                    (blocking_rule){.part_count = 1, .slots = {(uint32_t)r}, .max_block = 10, .window = 200};
            if (round == 2)
                make_lists(&seed, r, 12);
        }
        judge_world(&seed, &wrong);
    }
    report(&wrong, "large worlds");
    unit_ok(wrong.units > 20 && wrong.full > 20, "of several units, some with their output full");
}

/* One row of more pairs than a unit holds. */
static void
test_long_row(void)
{
    enum { COUNT = 3 * PAIR_UNIT_OUTPUT + 10 };
    uint32_t *rows = malloc(COUNT * sizeof *rows), seen = 0, calls = 0;
    uint32_t *entries = malloc(COUNT * sizeof *entries);
    block one = {.count = COUNT};
    blocking_rule rule = {.part_count = 1, .max_block = COUNT};
    block_index index = {entries, &one, 1, COUNT};
    record_table records = {rows, 1, COUNT, NULL};
    pair_visit visit = {.records = &records,
                        .rules = &rule,
                        .rule_count = 1,
                        .index = &index,
                        .source_slot = UINT32_MAX,
                        .mode = PAIRS_LISTED,
                        .threads = threads};
    pair_cursor cursor = {0};
    bool good = true;

    if (rows == NULL || entries == NULL)
        abort();
    stop = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        rows[i] = 1;
        entries[i] = COUNT - 1 - i;
    }
    if (!pair_unit_next(&visit, &cursor, &units[0]))
        abort();
    while (!units[0].done && calls < 10) {
        pair_unit_work(&visit, &units[0], 0);
        for (uint32_t i = 0; i < units[0].output_count; i++, seen++)
            good &= units[0].output[i].a == COUNT - 2 - seen && units[0].output[i].b == COUNT - 1;
        units[0].output_count = 0;
        calls++;
    }
    unit_ok(good && seen == COUNT - 1 && calls == 4 && units[0].counters.found == COUNT - 1,
            "a row of three times what a unit holds");
    unit_ok(cursor.block == 0 && cursor.row == 1, "is a unit by itself");
    free(rows);
    free(entries);
}

/* Numbers beyond 32 bits, from blocks whose entries are counted only. */
static void
test_many(void)
{
    const uint64_t count = 300000;
    keyed_record *entries = calloc(count, sizeof *entries);
    blocking_rule rule = {.part_count = 1, .max_block = UINT32_MAX, .window = 10};
    block_statistics statistics;

    if (entries == NULL)
        abort();
    unit_ok(blocking_count(&rule, entries, count, &statistics) == 1 &&
                statistics.pairs == count * (count - 1) / 2 && statistics.cut_pairs == 0,
            "45 billion pairs of one block are counted");
    rule.max_block = 1000;
    (void)blocking_count(&rule, entries, count, &statistics);
    unit_ok(statistics.pairs == count * 10 - 55 &&
                statistics.pairs + statistics.cut_pairs == count * (count - 1) / 2,
            "and what a window leaves of them");
    rule.window = UINT32_MAX;
    (void)blocking_count(&rule, entries, count, &statistics);
    unit_ok(statistics.pairs == count * (count - 1) / 2 && statistics.cut_blocks == 0 &&
                statistics.cut_pairs == 0,
            "a window as wide as the block cuts nothing");
    free(entries);
}

static void
test_sampled_share(void)
{
    uint64_t seed = 23;
    bool good = true;

    make_texts(&seed);
    make_world(&seed, MOST_RECORDS, 1);
    for (uint32_t i = 0; i < w.count; i++)
        w.rows[i * STRIDE] = 1;
    w.rules[0] = (blocking_rule){.part_count = 1, .max_block = 1000000};
    w.across_sources = false;
    build_world();
    for (int i = 1; i < 10; i++) {
        block_index index = rule_index(0);
        pair_visit visit = rule_visit(0, PAIRS_SAMPLED, &index);
        double share = i / 20.0, all = (double)w.count * (w.count - 1) / 2;

        visit.sample_limit = (uint64_t)(share * 18446744073709551615.0);
        visit_all(&visit, BRAKE_NEVER, 1, &results[0]);
        good &= fabs((double)results[0].count - share * all) < 5 * sqrt(all * share * (1 - share));
    }
    unit_ok(good, "a sample has the share of pairs that was asked for");
    drop_world();
}

static void
test_threads(void)
{
    uint64_t seed = 24;
    bool same = true;

    for (int round = 0; round < 4; round++) {
        make_texts(&seed);
        make_world(&seed, MOST_RECORDS, 3);
        build_world();
        for (int r = 0; r < w.rule_count; r++) {
            block_index index = rule_index(r);
            pair_visit visit = rule_visit(r, round & 1 ? PAIRS_LISTED : PAIRS_SCORED, &index);

            visit_all(&visit, BRAKE_NEVER, 1, &results[0]);
            for (int t = 2; t <= 8; t += 3) {
                visit_all(&visit, BRAKE_NEVER, t, &results[1]);
                same &=
                    !results[1].failed && results[0].count == results[1].count &&
                    memcmp(results[0].pairs, results[1].pairs, results[0].count * sizeof(scored_pair)) == 0 &&
                    memcmp(&results[0].counters, &results[1].counters, sizeof(pair_counters)) == 0;
            }
        }
        drop_world();
    }
    parallel_release();
    unit_ok(same, "several threads find the same pairs in the same order as one");
}

int
main(void)
{
    for (int t = 0; t < 8; t++) {
        threads[t].workspace.stop = &stop;
        threads[t].cache = calloc(MOST_COMPARISONS * LEVEL_CACHE_SIZE, sizeof(level_cache_entry));
    }
    for (int u = 0; u < REGION; u++) {
        units[u].output = malloc(PAIR_UNIT_OUTPUT * sizeof(scored_pair));
        if (units[u].output == NULL)
            abort();
    }
    for (int i = 0; i < 2; i++) {
        results[i].pairs = malloc(MOST_PAIRS * sizeof(scored_pair));
        if (results[i].pairs == NULL)
            abort();
    }
    test_small();
    test_large();
    test_long_row();
    test_many();
    test_sampled_share();
    test_threads();
    for (int t = 0; t < 8; t++)
        free(threads[t].cache);
    for (int u = 0; u < REGION; u++)
        free(units[u].output);
    for (int i = 0; i < 2; i++)
        free(results[i].pairs);
    return unit_done();
}
