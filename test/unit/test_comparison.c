/*
 * test_comparison.c: levels, patterns, weights and pruning against scoring by the book: every level from the
 * measure and the thresholds, every weight added, nothing skipped and nothing remembered.
 */
#include "kernel/comparison.h"
#include "kernel/elements.h"
#include "kernel/nicknames.h"
#include "unit.h"

#define VALUES 60
#define ROWS 60
#define MODELS 120
#define PAIRS_OF_MODEL 1500

static const comparison_method methods[] = {
    METHOD_EXACT,
    METHOD_JARO,
    METHOD_JARO_WINKLER,
    METHOD_LEVENSHTEIN,
    METHOD_LEVENSHTEIN_DISTANCE,
    METHOD_DAMERAU,
    METHOD_DAMERAU_DISTANCE,
    METHOD_LCS,
    METHOD_QGRAM,
    METHOD_TOKEN,
    METHOD_TOKEN_SORT,
    METHOD_TOKEN_SET,
    METHOD_MONGE_ELKAN,
    METHOD_INITIALS,
    METHOD_NUMERIC,
    METHOD_DATE,
    METHOD_NAMES,
};
#define METHODS (int)(sizeof methods / sizeof *methods)

static text_view texts[VALUES];
static char text_bytes[VALUES][24];
static double numbers[VALUES];
static calendar_date dates[VALUES];
static int32_t value_weights[MAX_COMPARISONS][VALUES];

/* Words of the values, of which each has up to three, and what sharing one adds: by comparison. */
#define WORDS 12
static uint64_t word_starts[VALUES + 1];
static uint32_t word_codes[3 * VALUES];
static int32_t word_weights[MAX_COMPARISONS][WORDS];
static text_view word_texts[WORDS];
static element_table word_tables[MAX_COMPARISONS];

static const char *const nicknames[] = {"bob", "robert", "bert", "al", "albert", "al smith"};

static void
make_words(uint64_t *seed)
{
    uint64_t used = 0;

    for (uint32_t w = 1; w < WORDS; w++)
        word_texts[w] = unit_view(text_bytes[w]);
    for (int i = 1; i < VALUES; i++) {
        word_starts[i] = used;
        for (uint32_t w = 1; w < WORDS && used < word_starts[i] + 3; w++)
            if (unit_below(seed, 5) == 0)
                word_codes[used++] = w;
    }
    word_starts[VALUES] = used;
}

/* Distinct short texts of few letters, so that all levels occur, and a few nicknames. */
static void
make_values(uint64_t *seed)
{
    for (int i = 1; i < VALUES; i++) {
        bool fresh = false;

        while (!fresh) {
            uint32_t length = 1 + unit_below(seed, 12);

            for (uint32_t j = 0; j < length; j++)
                text_bytes[i][j] =
                    (char)(j > 0 && unit_below(seed, 5) == 0 ? ' ' : 'a' + (int)unit_below(seed, 3));
            text_bytes[i][length] = '\0';
            if (i <= (int)(sizeof nicknames / sizeof *nicknames))
                strcpy(text_bytes[i], nicknames[i - 1]);
            fresh = true;
            for (int k = 1; k < i; k++)
                fresh &= strcmp(text_bytes[i], text_bytes[k]) != 0;
        }
        texts[i] = unit_view(text_bytes[i]);
        numbers[i] = unit_below(seed, 100) / 4.0;
        dates[i] = (calendar_date){1980 + (int32_t)unit_below(seed, 20), (uint8_t)(1 + unit_below(seed, 12)),
                                   (uint8_t)(1 + unit_below(seed, 28))};
    }
    make_words(seed);
}

static element_table *
weigh_words(uint64_t *seed, int c)
{
    element_table *table = &word_tables[c];

    *table = (element_table){word_starts,     word_codes, {.texts = word_texts},
                             word_weights[c], INT32_MIN,  INT32_MAX};
    for (uint32_t w = 1; w < WORDS; w++) {
        int32_t weight = word_weights[c][w] = (int32_t)unit_below(seed, 60001) - 40000;

        table->best_weight = weight > table->best_weight ? weight : table->best_weight;
        table->least_weight = weight < table->least_weight ? weight : table->least_weight;
    }
    return table;
}

/* The most that a word which both values have adds; 0: they have none in common. */
static int32_t
naive_shared_word(int c, uint32_t a, uint32_t b)
{
    int32_t most = INT32_MIN;

    for (uint64_t i = word_starts[a]; i < word_starts[a + 1]; i++)
        for (uint64_t j = word_starts[b]; j < word_starts[b + 1]; j++)
            if (word_codes[i] == word_codes[j] && word_weights[c][word_codes[i]] > most)
                most = word_weights[c][word_codes[i]];
    return most == INT32_MIN ? 0 : most;
}

static bool
is_distance_method(comparison_method method)
{
    return method == METHOD_LEVENSHTEIN_DISTANCE || method == METHOD_DAMERAU_DISTANCE;
}

static void
make_model(uint64_t *seed, scorer *scorer)
{
    memset(scorer, 0, sizeof *scorer);
    do {
        scorer->comparison_count = 1 + (int)unit_below(seed, unit_below(seed, 4) ? 6 : 20);
        scorer->prior_weight = (int32_t)unit_below(seed, 200001) - 150000;
        for (int c = 0; c < scorer->comparison_count; c++) {
            comparison *comparison = &scorer->comparisons[c];
            bool distance;

            memset(comparison, 0, sizeof *comparison);
            comparison->method = methods[unit_below(seed, METHODS)];
            distance = is_distance_method(comparison->method);
            comparison->slot = unit_below(seed, 8);
            comparison->level_count = 2 + (comparison->method == METHOD_EXACT
                                               ? 0
                                               : (int)unit_below(seed, unit_below(seed, 3) ? 4 : 13));
            for (int t = 0; t < comparison->level_count - 2; t++)
                comparison->thresholds[t] = distance ? t + 1 : 1.0 - (t + unit_below(seed, 2) * 0.5) / 13.0;
            comparison->q = 1 + unit_below(seed, 3);
            comparison->measure = (set_measure)unit_below(seed, 4);
            comparison->scale = 10;
            comparison->values = (value_table){.texts = texts, .numbers = numbers, .dates = dates};
            /* Any weights: bounds may not lean on an order among them. */
            for (int level = 1; level < MAX_LEVELS; level++)
                comparison->weights[level] = (int32_t)unit_below(seed, 200001) - 100000;
            if (comparison->method == METHOD_NAMES && unit_below(seed, 3) != 0)
                comparison->values.words = weigh_words(seed, c);
            if (unit_below(seed, 3) == 0) {
                for (int i = 0; i < VALUES; i++)
                    value_weights[c][i] = (int32_t)unit_below(seed, 100001) - 50000;
                comparison->value_weights = value_weights[c];
            }
            /* A part of an earlier one's texts: often their values are others. */
            if (c > 0 && comparison->value_weights == NULL && unit_below(seed, 4) == 0) {
                int text = (int)unit_below(seed, (uint32_t)c);

                if (scorer->comparisons[text].part_of == 0 && scorer->comparisons[text].level_count > 2)
                    comparison->part_of = 1 + text;
            }
        }
    } while (!scorer_prepare(scorer));
}

static int
naive_level(const comparison *comparison, uint32_t a, uint32_t b, kernel_workspace *workspace)
{
    double measure = -1;

    if (a == 0 || b == 0)
        return 0;
    if (a == b)
        return 1;
    if (comparison_measure(comparison, a, b, workspace, &measure) != KERNEL_OK)
        abort();
    for (int level = 2; level < comparison->level_count; level++)
        if (is_distance_method(comparison->method) ? measure <= comparison->thresholds[level - 2]
                                                   : measure >= comparison->thresholds[level - 2])
            return level;
    return comparison->level_count;
}

static int64_t
naive_weight(const scorer *scorer, const uint32_t *a, const uint32_t *b, int levels[MAX_COMPARISONS],
             kernel_workspace *workspace)
{
    int64_t weight = scorer->prior_weight;

    for (int c = 0; c < scorer->comparison_count; c++) {
        const comparison *comparison = &scorer->comparisons[c];
        uint32_t code_a = a[comparison->slot], code_b = b[comparison->slot];

        levels[c] = naive_level(comparison, code_a, code_b, workspace);
        if (comparison->part_of != 0) {
            const int text = comparison->part_of - 1;

            if (levels[text] == 1 || levels[text] == scorer->comparisons[text].level_count)
                levels[c] = 0;
        }
        if (levels[c] > 0)
            weight += comparison->weights[levels[c]];
        if (levels[c] == 1 && comparison->value_weights != NULL)
            weight += comparison->value_weights[code_a];
        if (levels[c] > 1 && levels[c] < comparison->level_count && comparison->weights[levels[c]] > 0 &&
            comparison->values.words != NULL)
            weight += naive_shared_word(c, code_a, code_b);
    }
    return weight;
}

/* With one least weight: the answer, and that nothing is written where the pair does not qualify. */
static bool
scores(const scorer *scorer, const uint32_t *a, const uint32_t *b, int64_t least, comparison_thread *thread,
       int64_t expected, const int *levels)
{
    bool qualifies = !(expected >= least);
    int64_t weight = 12345678;
    uint64_t pattern = UINT64_C(0xdeadbeef);

    if (scorer_score(scorer, a, b, least, thread, &qualifies, &weight, &pattern) != KERNEL_OK)
        return false;
    if (qualifies != (expected >= least))
        return false;
    if (!qualifies)
        return weight == 12345678 && pattern == UINT64_C(0xdeadbeef);
    for (int c = 0; c < scorer->comparison_count; c++)
        if (pattern_level(&scorer->comparisons[c], pattern) != levels[c])
            return false;
    return weight == expected;
}

static void
test_scoring(void)
{
    static uint32_t rows[ROWS][8];
    static scorer scorer;
    uint64_t seed = 11;
    uint32_t wrong = 0, wrong_cached = 0, wrong_levels = 0, wrong_symmetry = 0;
    uint32_t met[MAX_LEVELS] = {0};

    for (int model = 0; model < MODELS; model++) {
        comparison_thread plain = {0}, cached = {0};

        make_values(&seed);
        make_model(&seed, &scorer);
        cached.cache = calloc((size_t)scorer.comparison_count * LEVEL_CACHE_SIZE, sizeof(level_cache_entry));
        if (cached.cache == NULL)
            abort();
        for (int r = 0; r < ROWS; r++)
            for (int s = 0; s < 8; s++)
                rows[r][s] =
                    unit_below(&seed, 8) == 0 ? 0 : unit_below(&seed, unit_below(&seed, 3) ? VALUES : 4);
        for (int p = 0; p < PAIRS_OF_MODEL; p++) {
            const uint32_t *a = rows[unit_below(&seed, ROWS)], *b = rows[unit_below(&seed, ROWS)];
            int levels[MAX_COMPARISONS], c = (int)unit_below(&seed, (uint32_t)scorer.comparison_count),
                                         level = -1;
            int64_t expected = naive_weight(&scorer, a, b, levels, &plain.workspace);
            int64_t least[] = {INT64_MIN, expected - 1,
                               expected,  expected + 1,
                               INT64_MAX, expected + (int64_t)unit_below(&seed, 200001) - 100000};

            for (size_t i = 0; i < sizeof least / sizeof *least; i++) {
                wrong += !scores(&scorer, a, b, least[i], &plain, expected, levels);
                wrong_cached += !scores(&scorer, a, b, least[i], &cached, expected, levels);
                wrong_symmetry += !scores(&scorer, b, a, least[i], &cached, expected, levels);
            }
            if (comparison_level(&scorer, c, a[scorer.comparisons[c].slot], b[scorer.comparisons[c].slot],
                                 &cached, &level) != KERNEL_OK ||
                (level != levels[c] && !(scorer.comparisons[c].part_of != 0 && levels[c] == 0)))
                wrong_levels++;
            met[levels[c]]++;
        }
        free(cached.cache);
        kernel_workspace_free(&plain.workspace);
        kernel_workspace_free(&cached.workspace);
    }
    unit_ok(wrong == 0,
            "any least weight: what qualifies, its weight and its pattern are those of scoring in full");
    unit_ok(wrong_cached == 0, "the same with remembered levels");
    unit_ok(wrong_symmetry == 0, "the same the other way round");
    unit_ok(wrong_levels == 0, "the level of one comparison");
    for (int level = 0; level < MAX_LEVELS; level++)
        wrong += met[level] == 0;
    unit_ok(wrong == 0, "every level was met");
}

/* Batches, with profiles that rule out and without: the same as pair by pair. */
static void
test_batches(void)
{
    static uint32_t rows[ROWS][8];
    static scorer scorer;
    static text_profile profiles[VALUES];
    uint64_t seed = 12;
    uint32_t wrong = 0, chosen_pairs = 0, dropped_pairs = 0, bounds = 0;

    nicknames_prepare();

    for (int model = 0; model < MODELS; model++) {
        comparison_thread thread = {0}, batch_thread = {0};

        make_values(&seed);
        make_model(&seed, &scorer);
        for (int i = 1; i < VALUES; i++) {
            profiles[i] = text_profile_of(texts[i]);
            profiles[i].names = names_signature(texts[i]);
        }
        for (int c = 0; c < scorer.comparison_count; c++)
            if (model % 4 != 0 && method_has_bound(scorer.comparisons[c].method)) {
                scorer.comparisons[c].values.profiles = profiles;
                bounds++;
            }
        for (int r = 0; r < ROWS; r++)
            for (int s = 0; s < 8; s++)
                rows[r][s] = unit_below(&seed, 8) == 0 ? 0 : unit_below(&seed, VALUES);
        for (int round = 0; round < 4; round++) {
            const uint32_t *a[SCORER_BATCH], *b[SCORER_BATCH];
            row_mask masks[SCORER_BATCH];
            uint16_t chosen[SCORER_BATCH];
            int64_t weights[SCORER_BATCH], least = (int64_t)unit_below(&seed, 400001) - 300000;
            uint64_t patterns[SCORER_BATCH];
            uint32_t count = unit_below(&seed, SCORER_BATCH + 1), found, next = 0;

            if (round == 0)
                least = INT64_MIN;
            for (uint32_t i = 0; i < count; i++) {
                a[i] = rows[unit_below(&seed, ROWS)];
                b[i] = rows[unit_below(&seed, ROWS)];
                masks[i] = scorer_row_mask(&scorer, a[i], b[i]);
            }
            if (scorer_score_batch(&scorer, a, b, masks, count, least, &batch_thread, chosen, &found, weights,
                                   patterns) != KERNEL_OK)
                abort();
            for (uint32_t i = 0; i < count; i++) {
                bool qualifies;
                int64_t weight = 0;
                uint64_t pattern = 0;

                if (scorer_score(&scorer, a[i], b[i], least, &thread, &qualifies, &weight, &pattern) !=
                    KERNEL_OK)
                    abort();
                if (!qualifies) {
                    dropped_pairs++;
                    continue;
                }
                chosen_pairs++;
                wrong += next >= found || chosen[next] != i || weights[next] != weight ||
                         patterns[next] != pattern;
                next++;
            }
            wrong += next != found;
        }
        kernel_workspace_free(&thread.workspace);
        kernel_workspace_free(&batch_thread.workspace);
    }
    unit_ok(wrong == 0, "a batch has the pairs, weights and patterns of scoring one by one");
    unit_ok(chosen_pairs > 1000 && dropped_pairs > 1000 && bounds > 100, "some qualify and some do not");
}

/* More pairs of values than the cache has places, so that places are taken over. */
/* Masks against a count by hand, for every number of columns. */
static void
test_row_masks(void)
{
    uint32_t a[ROW_MASK_COLUMNS], b[ROW_MASK_COLUMNS];
    uint64_t seed = 5;
    uint32_t wrong = 0;

    for (int round = 0; round < 2000; round++) {
        uint32_t columns = 1 + unit_below(&seed, ROW_MASK_COLUMNS);
        row_mask expected = {0, 0}, found;

        for (uint32_t i = 0; i < ROW_MASK_COLUMNS; i++) {
            a[i] = unit_below(&seed, 3) * (unit_below(&seed, 2) == 0 ? 1 : UINT32_C(0x40000001));
            b[i] = unit_below(&seed, 2) == 0 ? a[i] : unit_below(&seed, 3);
            if (i < columns && a[i] != 0 && b[i] != 0) {
                expected.there |= UINT64_C(1) << i;
                expected.same |= (uint64_t)(a[i] == b[i]) << i;
            }
        }
        found = row_mask_of(a, b, columns);
        wrong += found.there != expected.there || found.same != expected.same;
    }
    unit_ok(wrong == 0, "masks of rows");
}

static void
test_cache(void)
{
    enum { MANY = 2000 };
    static double many[MANY + 1];
    static scorer scorer;
    comparison_thread thread = {0};
    uint64_t seed = 12;
    uint32_t wrong = 0;

    memset(&scorer, 0, sizeof scorer);
    scorer.comparison_count = 2;
    for (int c = 0; c < 2; c++) {
        scorer.comparisons[c].method = METHOD_NUMERIC;
        scorer.comparisons[c].level_count = 4;
        scorer.comparisons[c].thresholds[0] = c == 0 ? 0.9 : 0.5;
        scorer.comparisons[c].thresholds[1] = c == 0 ? 0.5 : 0.1;
        scorer.comparisons[c].scale = 1000;
        scorer.comparisons[c].values.numbers = many;
    }
    if (!scorer_prepare(&scorer))
        abort();
    for (int i = 1; i <= MANY; i++)
        many[i] = (double)(unit_random(&seed) % 2000);
    thread.cache = calloc((size_t)2 * LEVEL_CACHE_SIZE, sizeof(level_cache_entry));
    if (thread.cache == NULL)
        abort();
    for (int i = 0; i < 400000; i++) {
        uint32_t a = 1 + unit_below(&seed, i & 1 ? 90 : MANY), b = 1 + unit_below(&seed, i & 1 ? 90 : MANY);
        int c = (int)unit_below(&seed, 2), level = -1;

        if (comparison_level(&scorer, c, a, b, &thread, &level) != KERNEL_OK ||
            level != naive_level(&scorer.comparisons[c], a, b, &thread.workspace))
            wrong++;
    }
    unit_ok(wrong == 0, "two comparisons remember more pairs of values than there is room for");
    free(thread.cache);
}

static void
test_layout(void)
{
    static scorer scorer;
    uint64_t seen = 0;
    bool apart = true;

    memset(&scorer, 0, sizeof scorer);
    scorer.comparison_count = MAX_COMPARISONS;
    for (int c = 0; c < MAX_COMPARISONS; c++)
        scorer.comparisons[c].level_count = 2;
    unit_ok(scorer_prepare(&scorer), "32 comparisons of two levels fill 64 bits");
    for (int c = 0; c < MAX_COMPARISONS; c++) {
        const comparison *comparison = &scorer.comparisons[c];
        uint64_t bits = ((UINT64_C(1) << comparison->pattern_bits) - 1) << comparison->pattern_shift;

        apart &= (seen & bits) == 0 && pattern_level(comparison, bits) >= comparison->level_count;
        seen |= bits;
    }
    unit_ok(apart && seen == UINT64_MAX, "no two share a bit, and each has room for its levels");
    scorer.comparisons[7].level_count = 4;
    unit_ok(!scorer_prepare(&scorer), "65 bits are refused");
    for (int levels = 2; levels <= MAX_LEVELS - 1; levels++) {
        scorer.comparison_count = 1;
        scorer.comparisons[0].level_count = levels;
        apart &= scorer_prepare(&scorer) && 1 << scorer.comparisons[0].pattern_bits > levels;
    }
    unit_ok(apart, "the largest level of every count fits");
}

/* What a comparison says when it is stopped or gets no memory is not remembered. */
static void
test_stop(void)
{
    const uint32_t length = 300000;
    char *x = malloc(length), *y = malloc(length);
    static scorer scorer;
    volatile sig_atomic_t stop = 1;
    comparison_thread thread = {.workspace = {NULL, 0, &stop}};
    text_view long_texts[3];
    uint32_t a[1] = {1}, b[1] = {2};
    bool qualifies = true;
    int64_t weight = 0;
    uint64_t pattern = 0;

    if (x == NULL || y == NULL)
        abort();
    memset(x, 'x', length);
    memset(y, 'x', length);
    y[length - 1] = 'y';
    long_texts[1] = (text_view){x, length, 1};
    long_texts[2] = (text_view){y, length, 1};
    memset(&scorer, 0, sizeof scorer);
    scorer.comparison_count = 1;
    scorer.comparisons[0] = (comparison){.method = METHOD_JARO, .level_count = 3, .thresholds = {0.9}};
    scorer.comparisons[0].values.texts = long_texts;
    scorer.comparisons[0].weights[2] = -7;
    if (!scorer_prepare(&scorer))
        abort();
    thread.cache = calloc(LEVEL_CACHE_SIZE, sizeof(level_cache_entry));
    if (thread.cache == NULL)
        abort();
    unit_ok(scorer_score(&scorer, a, b, INT64_MIN, &thread, &qualifies, &weight, &pattern) ==
                    KERNEL_STOPPED &&
                !qualifies,
            "a stop is handed on");
    stop = 0;
    unit_ok(scorer_score(&scorer, a, b, INT64_MIN, &thread, &qualifies, &weight, &pattern) == KERNEL_OK &&
                qualifies && weight == -7 && pattern == 2,
            "and what was stopped was not remembered");
    kernel_workspace_free(&thread.workspace);
    free(thread.cache);
    free(x);
    free(y);
}

int
main(void)
{
    test_row_masks();
    test_scoring();
    test_batches();
    test_cache();
    test_layout();
    test_stop();
    return unit_done();
}
