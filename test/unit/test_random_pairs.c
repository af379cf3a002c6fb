/*
 * test_random_pairs.c: the list of all pairs is complete, random ones spread, and neither depends on how
 * often the work was stopped.
 */
#include "kernel/hash.h"
#include "kernel/random_pairs.h"
#include "unit.h"

#define MOST 150
#define BITS 10 /* of a record's number, each a comparison */

static uint32_t rows[MOST * (BITS + 1)];
static random_pairs_unit unit;
static volatile sig_atomic_t stop;
static comparison_thread memory = {.workspace = {NULL, 0, &stop}};
static scorer layout;

/*
 * A record's row spells its number in bits, so the pattern of a pair tells the exclusive or of the two
 * numbers: level 1 for equal bits, 2 for different ones.
 */
static uint32_t
difference_of(uint64_t pattern)
{
    uint32_t difference = 0;

    for (int c = 0; c < BITS; c++)
        difference |= (uint32_t)(pattern_level(&layout.comparisons[c], pattern) == 2) << c;
    return difference;
}

static random_pairs
pairs_of(uint32_t count, uint32_t sources, bool every_pair)
{
    static record_table records;

    records = (record_table){rows, BITS + 1, count, NULL};
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t bit = 0; bit < BITS; bit++)
            rows[i * (BITS + 1) + bit] = 1 + (i >> bit & 1);
        rows[i * (BITS + 1) + BITS] = sources == 0 ? 1 : 1 + i % sources;
    }
    return (random_pairs){.records = &records,
                          .record_count = count,
                          .scorer = &layout,
                          .source_slot = sources == 0 ? UINT32_MAX : BITS,
                          .seed = 7,
                          .every_pair = every_pair,
                          .threads = &memory};
}

/* Works on pairs first to end - 1; the number of calls. */
static uint32_t
work(const random_pairs *pairs, uint64_t first, uint64_t end)
{
    uint32_t calls = 0;

    unit.next = first;
    unit.end = end;
    unit.status = KERNEL_OK;
    unit.pattern_count = 0;
    while (unit.next < unit.end && unit.status == KERNEL_OK) {
        random_pairs_work(pairs, &unit, 0);
        calls++;
    }
    return calls;
}

static int
compare_words(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void
test_every_pair(void)
{
    bool complete = true, stopped = true;

    for (uint32_t count = 0; count <= MOST; count += count < 5 ? 1 : 29)
        for (uint32_t sources = 0; sources < 4; sources++) {
            random_pairs pairs = pairs_of(count, sources, true);
            uint64_t all = count < 2 ? 0 : (uint64_t)count * (count - 1) / 2, cut = all / 3;
            uint32_t expected[1 << BITS] = {0}, differences = 0, calls;

            for (uint32_t a = 0; a < count; a++)
                for (uint32_t b = 0; b < a; b++)
                    if (sources == 0 || a % sources != b % sources)
                        expected[a ^ b]++;
            for (uint64_t first = 0, end, part = 0; first < all;
                 first = end, part++) { /* the first unit is smaller */
                end = first + (part == 0 ? cut % RANDOM_PAIRS_UNIT : RANDOM_PAIRS_UNIT);
                end = end < all ? end : all;
                stop = part & 1;
                calls = work(&pairs, first, end);
                stopped &= calls == (stop ? end - first : end > first);
                for (uint32_t i = 0; i < unit.pattern_count; i++)
                    expected[difference_of(unit.patterns[i])]--;
            }
            for (uint32_t d = 0; d < 1 << BITS; d++)
                differences += expected[d] != 0;
            complete &= differences == 0;
        }
    stop = 0;
    unit_ok(complete, "every pair once, with and without sources");
    unit_ok(stopped, "one pair a call while a stop is requested");
}

static void
test_random(void)
{
    enum { COUNT = 128, UNITS = 40 };
    random_pairs pairs = pairs_of(COUNT, 0, false);
    static uint32_t seen[1 << BITS];
    static uint64_t kept[RANDOM_PAIRS_UNIT];
    uint32_t taken = 0, count;
    double expected, chi = 0;
    bool same;

    for (uint64_t i = 0; i < UNITS; i++) {
        (void)work(&pairs, i * RANDOM_PAIRS_UNIT, (i + 1) * RANDOM_PAIRS_UNIT);
        taken += unit.pattern_count;
        for (uint32_t p = 0; p < unit.pattern_count; p++)
            seen[difference_of(unit.patterns[p])]++;
    }
    /* A record meets itself once in 128 times; each other difference is as frequent. 127 - 1 degrees of
     * freedom. */
    expected = (double)UNITS * RANDOM_PAIRS_UNIT / COUNT;
    for (int d = 1; d < COUNT; d++)
        chi += (seen[d] - expected) * (seen[d] - expected) / expected;
    unit_ok(seen[0] == 0 && fabs(UNITS * (double)RANDOM_PAIRS_UNIT - taken - expected) < 6 * sqrt(expected),
            "a record is not paired with itself, and nothing else is left out");
    unit_ok(fabs(chi - 127) < 6 * sqrt(2 * 127), "random pairs spread evenly");

    (void)work(&pairs, 1000, 1000 + RANDOM_PAIRS_UNIT);
    count = unit.pattern_count;
    memcpy(kept, unit.patterns, sizeof kept);
    stop = 1;
    (void)work(&pairs, 1000, 1000 + RANDOM_PAIRS_UNIT);
    stop = 0;
    same = count == unit.pattern_count && memcmp(kept, unit.patterns, count * sizeof *kept) == 0;
    unit_ok(same, "a unit stopped at every pair gives the same patterns in the same order");
    (void)work(&pairs, 1000, 1010);
    same = memcmp(kept, unit.patterns, unit.pattern_count * sizeof *kept) == 0 && unit.pattern_count >= 5;
    unit_ok(same, "a shorter unit begins like the longer one");
    pairs.seed = 8;
    (void)work(&pairs, 1000, 1000 + RANDOM_PAIRS_UNIT);
    unit_ok(memcmp(kept, unit.patterns, 100 * sizeof *kept) != 0, "another seed gives other pairs");
}

/* All pairs drawn beforehand are those that are drawn as they come, in whatever order. */
static void
test_drawn_all(void)
{
    enum { RECORDS = RANDOM_RECORDS, PAIRS = 20000 };
    static drawn_pair drawn[PAIRS], scratch[PAIRS];
    static uint64_t as_they_come[PAIRS], before[PAIRS];
    static const uint32_t counts[] = {2, MOST, 5000, RECORDS};

    for (int k = 0; k < 4; k++) {
        random_pairs pairs = {.record_count = counts[k], .seed = 7, .total = PAIRS};
        bool same;

        random_pairs_draw_all(&pairs, 1 + k, drawn, scratch);
        for (uint64_t i = 0; i < PAIRS; i++) {
            uint32_t a, b;

            random_pairs_draw(&pairs, i, &a, &b);
            as_they_come[i] = (uint64_t)a << 32 | b;
            before[i] = (uint64_t)drawn[i].a << 32 | drawn[i].b;
        }
        qsort(as_they_come, PAIRS, sizeof(uint64_t), compare_words);
        qsort(before, PAIRS, sizeof(uint64_t), compare_words);
        same = memcmp(as_they_come, before, sizeof before) == 0;
        unit_ok(same, "all pairs drawn beforehand are those that are drawn one by one");
    }
    {
        random_pairs pairs = pairs_of(MOST, 3, false);
        static uint64_t kept[RANDOM_PAIRS_UNIT];
        uint32_t count;

        pairs.total = RANDOM_PAIRS_UNIT;
        (void)work(&pairs, 0, RANDOM_PAIRS_UNIT);
        count = unit.pattern_count;
        memcpy(kept, unit.patterns, sizeof kept);
        random_pairs_draw_all(&pairs, 2, drawn, scratch);
        pairs.drawn = drawn;
        (void)work(&pairs, 0, RANDOM_PAIRS_UNIT);
        qsort(kept, count, sizeof(uint64_t), compare_words);
        qsort(unit.patterns, unit.pattern_count, sizeof(uint64_t), compare_words);
        unit_ok(unit.pattern_count == count && memcmp(kept, unit.patterns, count * sizeof *kept) == 0,
                "and their patterns are the same");
    }
}

/* The records that some pairs name, and no others, give what all records give. */
static void
test_numbers(void)
{
    enum { PAIRS = 150 };
    static uint32_t few_rows[2 * PAIRS * (BITS + 1)], numbers[2 * PAIRS];
    static uint64_t kept[RANDOM_PAIRS_UNIT];
    random_pairs pairs = pairs_of(MOST, 3, false);
    record_table few = {few_rows, BITS + 1, 0, numbers};
    uint32_t count;

    (void)work(&pairs, 0, PAIRS);
    count = unit.pattern_count;
    memcpy(kept, unit.patterns, sizeof kept);
    for (uint32_t number = 0; number < MOST; number++)
        for (uint64_t i = 0; i < PAIRS; i++) {
            uint32_t a, b;

            random_pairs_draw(&pairs, i, &a, &b);
            if (a != number && b != number)
                continue;
            memcpy(&few_rows[few.count * (BITS + 1)], &rows[number * (BITS + 1)],
                   sizeof(uint32_t) * (BITS + 1));
            numbers[few.count++] = number;
            break;
        }
    pairs.records = &few;
    (void)work(&pairs, 0, PAIRS);
    unit_ok(few.count < MOST && count > 0 && unit.pattern_count == count &&
                memcmp(kept, unit.patterns, count * sizeof *kept) == 0,
            "the records that pairs name are enough");
}

/* Numbers of pairs at the end of what 32-bit record numbers make. */
static void
test_far_end(void)
{
    enum { COUNT = 3000000 };
    uint32_t *wide = calloc(COUNT, sizeof *wide);
    record_table records = {wide, 1, COUNT, NULL};
    static scorer one;
    random_pairs pairs = {.records = &records,
                          .record_count = COUNT,
                          .scorer = &one,
                          .source_slot = UINT32_MAX,
                          .every_pair = true};
    uint64_t all = (uint64_t)COUNT * (COUNT - 1) / 2;

    if (wide == NULL)
        abort();
    one.comparison_count = 1;
    one.comparisons[0].level_count = 2;
    (void)scorer_prepare(&one);
    pairs.threads = &memory;
    /* The last row begins with pair all - (COUNT - 1); codes tell where row and column are. */
    wide[COUNT - 1] = 1;
    wide[0] = 1;
    wide[COUNT - 2] = 2;
    (void)work(&pairs, all - (COUNT - 1), all - (COUNT - 1) + 2);
    unit_ok(unit.pattern_count == 2 && unit.patterns[0] == LEVEL_EXACT && unit.patterns[1] == LEVEL_MISSING,
            "the first pairs of the last row of three million");
    (void)work(&pairs, all - 1, all);
    unit_ok(unit.pattern_count == 1 && unit.patterns[0] == 2, "and its last one");
    free(wide);
}

/*
 * Pairs of some records say what pairs of all would: here that two of them have equal values, whose
 * frequencies fall as 1 / rank. Errors are held against their formula (Hoeffding 1948): that of pairs, and
 * that of records, 4 Var(frequency of a record's value) / records.
 */
static void
test_sample(void)
{
    enum { RECORDS = 600000, VALUES = 2000, PAIRS = 400000 };
    uint32_t *values = calloc(RECORDS, sizeof *values);
    double sum = 0, reach[VALUES], share = 0, cube = 0, error, equal = 0;
    record_table records = {values, 1, RECORDS, NULL};
    static scorer one;
    random_pairs pairs = {.records = &records,
                          .record_count = random_pairs_records(RECORDS),
                          .scorer = &one,
                          .source_slot = UINT32_MAX,
                          .seed = 11,
                          .threads = &memory};
    uint64_t state = 5, taken = 0;

    if (values == NULL)
        abort();
    one.comparison_count = 1;
    one.comparisons[0].level_count = 2;
    (void)scorer_prepare(&one);
    for (int v = 0; v < VALUES; v++)
        reach[v] = sum += 1.0 / (v + 1);
    for (int v = 0; v < VALUES; v++) {
        double p = 1.0 / (v + 1) / sum;

        share += p * p;
        cube += p * p * p;
    }
    for (uint32_t i = 0; i < RECORDS; i++) {
        double drawn = (double)(unit_random(&state) >> 11) / 9007199254740992.0 * sum;
        uint32_t low = 0, high = VALUES - 1;

        while (low < high) {
            uint32_t middle = (low + high) / 2;

            if (reach[middle] < drawn)
                low = middle + 1;
            else
                high = middle;
        }
        values[i] = 1 + low;
    }
    for (uint64_t first = 0; first < PAIRS; first += RANDOM_PAIRS_UNIT) {
        (void)work(&pairs, first, first + RANDOM_PAIRS_UNIT);
        taken += unit.pattern_count;
        for (uint32_t p = 0; p < unit.pattern_count; p++)
            equal += unit.patterns[p] == LEVEL_EXACT;
    }
    error = sqrt(share * (1 - share) / (double)taken + 4 * (cube - share * share) / RANDOM_RECORDS);
    unit_ok(random_pairs_records(1000) == 1000 && pairs.record_count == RANDOM_RECORDS,
            "many records are drawn from a part of them");
    unit_ok(fabs(equal / (double)taken - share) < 5 * error && error < 0.04 * share,
            "which says what all of them would");
    free(values);
}

int
main(void)
{
    layout.comparison_count = BITS;
    for (int c = 0; c < BITS; c++) {
        layout.comparisons[c].level_count = 2;
        layout.comparisons[c].slot = (uint32_t)c;
    }
    if (!scorer_prepare(&layout))
        abort();
    test_every_pair();
    test_random();
    test_drawn_all();
    test_numbers();
    test_far_end();
    test_sample();
    return unit_done();
}
