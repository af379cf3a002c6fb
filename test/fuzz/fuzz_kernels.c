/*
 * fuzz_kernels.c: every kernel against a naive oracle, on inputs that a fuzzer or a seeded generator makes
 * up.
 *
 *   FUZZ_KERNEL=jaro fuzz -runs=1000000      under libFuzzer (clang -fsanitize=fuzzer)
 *   FUZZ_KERNEL=jaro fuzz 1000000 [seed]     by itself (-DFUZZ_ALONE)
 *
 * An input is two texts: a byte of widths, a byte that divides the rest, then characters. Characters are
 * drawn from few, so that texts have something in common. What an oracle does not agree with ends the
 * program.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/naive_jaro.h"
#include "fuzz.h"
#include "kernel/comparison.h"
#include "kernel/lanes.h"
#include "kernel/nicknames.h"
#include "kernel/phonetic.h"
#include "kernel/similarity.h"
#include "kernel/text_profile.h"

fuzz_text a, b;
kernel_workspace workspace;

void
complain(const char *what, double expected, double got)
{
    fprintf(stderr, "%s: expected %.17g, got %.17g\n", what, expected, got);
    for (int t = 0; t < 2; t++) {
        const fuzz_text *text = t == 0 ? &a : &b;

        fprintf(stderr, "%c, width %d:", 'a' + t, text->view.width);
        for (uint32_t i = 0; i < text->length; i++)
            fprintf(stderr, " %u", text->points[i]);
        fprintf(stderr, "\n");
    }
    abort();
}

void
expect(const char *what, double expected, double got)
{
    if (!(fabs(expected - got) <= 1e-12))
        complain(what, expected, got);
}

static uint32_t
least(uint32_t x, uint32_t y)
{
    return x < y ? x : y;
}

/* ---- oracles ---- */

/* Edit distance by the whole matrix; swaps: of neighbours, too. */
uint32_t
naive_distance_of(const uint32_t *x, uint32_t x_length, const uint32_t *y, uint32_t y_length, bool swaps)
{
    static uint32_t matrix[LONGEST + 1][LONGEST + 1];

    for (uint32_t i = 0; i <= x_length; i++)
        for (uint32_t j = 0; j <= y_length; j++) {
            uint32_t best;

            if (i == 0 || j == 0) {
                matrix[i][j] = i + j;
                continue;
            }
            best = matrix[i - 1][j - 1] + (x[i - 1] != y[j - 1]);
            best = least(best, least(matrix[i - 1][j], matrix[i][j - 1]) + 1);
            if (swaps && i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1])
                best = least(best, matrix[i - 2][j - 2] + 1);
            matrix[i][j] = best;
        }
    return matrix[x_length][y_length];
}

static uint32_t
naive_distance(bool swaps)
{
    return naive_distance_of(a.points, a.length, b.points, b.length, swaps);
}

uint32_t
naive_lcs_of(const uint32_t *x, uint32_t x_length, const uint32_t *y, uint32_t y_length)
{
    static uint32_t matrix[2 * LONGEST + 3][2 * LONGEST + 3];

    for (uint32_t i = 0; i <= x_length; i++)
        for (uint32_t j = 0; j <= y_length; j++) {
            if (i == 0 || j == 0)
                matrix[i][j] = 0;
            else if (x[i - 1] == y[j - 1])
                matrix[i][j] = matrix[i - 1][j - 1] + 1;
            else
                matrix[i][j] = matrix[i - 1][j] > matrix[i][j - 1] ? matrix[i - 1][j] : matrix[i][j - 1];
        }
    return matrix[x_length][y_length];
}

static uint32_t
naive_lcs(void)
{
    return naive_lcs_of(a.points, a.length, b.points, b.length);
}

static double
naive_jaro_of_both(void)
{
    return naive_jaro(a.points, a.length, b.points, b.length);
}

double
naive_jaro_winkler_of(const uint32_t *x, uint32_t x_length, const uint32_t *y, uint32_t y_length)
{
    double value = naive_jaro(x, x_length, y, y_length);
    uint32_t prefix = 0;

    while (prefix < 4 && prefix < x_length && prefix < y_length && x[prefix] == y[prefix])
        prefix++;
    return value > 0.7 ? value + 0.1 * prefix * (1.0 - value) : value;
}

static double
naive_jaro_winkler(void)
{
    return naive_jaro_winkler_of(a.points, a.length, b.points, b.length);
}

static bool
same_gram(const fuzz_text *x, uint32_t i, const fuzz_text *y, uint32_t j, uint32_t length_x,
          uint32_t length_y)
{
    return length_x == length_y && memcmp(x->points + i, y->points + j, length_x * sizeof(uint32_t)) == 0;
}

static double
naive_qgrams(uint32_t q, set_measure measure)
{
    static bool used[LONGEST];
    uint32_t length_a = least(q, a.length), length_b = least(q, b.length);
    uint32_t count_a = a.length == 0 ? 0 : a.length - length_a + 1,
             count_b = b.length == 0 ? 0 : b.length - length_b + 1, common = 0;

    if (count_a == 0 || count_b == 0)
        return count_a == count_b ? 1.0 : 0.0;
    memset(used, 0, sizeof used);
    for (uint32_t i = 0; i < count_a; i++)
        for (uint32_t j = 0; j < count_b; j++)
            if (!used[j] && same_gram(&a, i, &b, j, length_a, length_b)) {
                used[j] = true;
                common++;
                break;
            }
    return set_measure_value(measure, common, count_a, count_b);
}

/* ---- kernels ---- */

double
measured(measure_function function)
{
    double value = -1, other = -1, itself = -1;

    if (function(a.view, b.view, &workspace, &value) != KERNEL_OK ||
        function(b.view, a.view, &workspace, &other) != KERNEL_OK ||
        function(a.view, a.view, &workspace, &itself) != KERNEL_OK)
        abort();
    if (value != other)
        complain("the other way round", value, other);
    if (itself != 1.0)
        complain("with itself", 1.0, itself);
    if (!(value >= 0.0 && value <= 1.0))
        complain("within [0, 1]", 0.5, value);
    return value;
}

static void
fuzz_jaro(void)
{
    expect("jaro", naive_jaro_of_both(), measured(jaro_similarity));
    expect("jaro_winkler", naive_jaro_winkler(), measured(jaro_winkler_similarity));
}

static void
fuzz_levenshtein(void)
{
    uint32_t distance, longest = a.length > b.length ? a.length : b.length;

    if (levenshtein_distance(a.view, b.view, &workspace, &distance) != KERNEL_OK)
        abort();
    expect("levenshtein", naive_distance(false), distance);
    expect("levenshtein similarity", longest == 0 ? 1.0 : 1.0 - (double)distance / longest,
           measured(levenshtein_similarity));
}

static void
fuzz_damerau(void)
{
    uint32_t distance, longest = a.length > b.length ? a.length : b.length;

    if (damerau_distance(a.view, b.view, &workspace, &distance) != KERNEL_OK)
        abort();
    expect("damerau", naive_distance(true), distance);
    expect("damerau similarity", longest == 0 ? 1.0 : 1.0 - (double)distance / longest,
           measured(damerau_similarity));
}

static void
fuzz_lcs(void)
{
    uint32_t sum = a.length + b.length;

    expect("lcs", sum == 0 ? 1.0 : 2.0 * naive_lcs() / sum, measured(lcs_similarity));
}

static void
fuzz_qgram(void)
{
    for (uint32_t q = 1; q <= 8; q += q < 4 ? 1 : 4)
        for (set_measure measure = MEASURE_DICE; measure <= MEASURE_OVERLAP; measure++) {
            double value;

            if (qgram_similarity(a.view, b.view, q, measure, &workspace, &value) != KERNEL_OK)
                abort();
            expect("qgram", naive_qgrams(q, measure), value);
        }
}

/* A profile never claims more than the distance, the matches and the common subsequence bear out. */
static void
fuzz_profile(void)
{
    text_profile x = text_profile_of(a.view), y = text_profile_of(b.view);
    uint32_t surplus_a, surplus_b, edits = naive_distance(true), common = naive_lcs(), prefix = 0;

    text_profile_surplus(&x, &y, &surplus_a, &surplus_b);
    if (surplus_a > edits || surplus_b > edits)
        complain("surplus within edits", edits, surplus_a > surplus_b ? surplus_a : surplus_b);
    if (common > a.length - surplus_a || common > b.length - surplus_b)
        complain("surplus beside the common subsequence", common, surplus_a);
    while (prefix < 4 && prefix < a.length && prefix < b.length && a.points[prefix] == b.points[prefix])
        prefix++;
    if (text_profile_common_start(&x, &y) < prefix)
        complain("common start", prefix, text_profile_common_start(&x, &y));
}

#define FUZZ_PAIRS 5 /* of one batch, all the same: enough for lanes */

/* A whole comparison with profiles and in a batch: the level of the measure. */
static void
fuzz_level(void)
{
    static const comparison_method methods[] = {METHOD_JARO, METHOD_JARO_WINKLER, METHOD_LEVENSHTEIN_DISTANCE,
                                                METHOD_DAMERAU, METHOD_LCS};
    static const uint32_t row_a[4] = {1}, row_b[4] = {2};
    text_view texts[3] = {{NULL, 0, 1}, a.view, b.view};
    text_profile profiles[3] = {{0}, text_profile_of(a.view), text_profile_of(b.view)};
    lane_planes planes[3];

    if (a.length == 0 || b.length == 0)
        return;
    profiles[1].in_planes = lane_planes_of(a.view, &planes[1]);
    profiles[2].in_planes = lane_planes_of(b.view, &planes[2]);
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        static scorer scorer;
        comparison_thread thread = {0};
        const uint32_t *rows_a[FUZZ_PAIRS], *rows_b[FUZZ_PAIRS];
        row_mask masks[FUZZ_PAIRS];
        uint16_t chosen[SCORER_BATCH];
        int64_t weights[SCORER_BATCH];
        uint64_t patterns[SCORER_BATCH];
        uint32_t count;
        double measure = 0;
        int level = 4;

        memset(&scorer, 0, sizeof scorer);
        scorer.comparison_count = 1;
        scorer.comparisons[0].method = methods[m];
        scorer.comparisons[0].level_count = 4;
        scorer.comparisons[0].thresholds[0] = methods[m] == METHOD_LEVENSHTEIN_DISTANCE ? 1 : 0.92;
        scorer.comparisons[0].thresholds[1] = methods[m] == METHOD_LEVENSHTEIN_DISTANCE ? 3 : 0.7;
        scorer.comparisons[0].values = (value_table){.texts = texts, .profiles = profiles, .planes = planes};
        if (!scorer_prepare(&scorer))
            abort();
        for (int i = 0; i < FUZZ_PAIRS; i++) {
            rows_a[i] = row_a;
            rows_b[i] = row_b;
            masks[i] = scorer_row_mask(&scorer, row_a, row_b);
        }
        if (scorer_score_batch(&scorer, rows_a, rows_b, masks, FUZZ_PAIRS, INT64_MIN, &thread, chosen, &count,
                               weights, patterns) != KERNEL_OK)
            abort();
        if (comparison_measure(&scorer.comparisons[0], 1, 2, &workspace, &measure) != KERNEL_OK)
            abort();
        for (int t = 1; t >= 0; t--)
            if (methods[m] == METHOD_LEVENSHTEIN_DISTANCE ? measure <= scorer.comparisons[0].thresholds[t]
                                                          : measure >= scorer.comparisons[0].thresholds[t])
                level = t + 2;
        if (count != FUZZ_PAIRS)
            complain("pairs", FUZZ_PAIRS, count);
        for (int i = 0; i < FUZZ_PAIRS; i++)
            if (pattern_level(&scorer.comparisons[0], patterns[i]) != level)
                complain("level", level, pattern_level(&scorer.comparisons[0], patterns[i]));
        kernel_workspace_free(&thread.workspace);
    }
}

/*
 * In lanes, beside pairs of parts of the two texts, so that lanes of one vector have different lengths: with
 * every kind of vectors the naive measure of the whole texts, and of all pairs what one at a time gives.
 */
#define FUZZ_LANES 24

static double
single_measure(lane_measure measure, text_view x, text_view y)
{
    uint32_t distance = 0;
    double value = -1;
    kernel_status status = KERNEL_OK;

    switch (measure) {
    case LANES_JARO:
        status = jaro_similarity(x, y, &workspace, &value);
        break;
    case LANES_JARO_WINKLER:
        status = jaro_winkler_similarity(x, y, &workspace, &value);
        break;
    case LANES_LEVENSHTEIN:
        status = levenshtein_similarity(x, y, &workspace, &value);
        break;
    case LANES_DAMERAU:
        status = damerau_similarity(x, y, &workspace, &value);
        break;
    case LANES_LEVENSHTEIN_DISTANCE:
        status = levenshtein_distance(x, y, &workspace, &distance);
        value = distance;
        break;
    case LANES_DAMERAU_DISTANCE:
        status = damerau_distance(x, y, &workspace, &distance);
        value = distance;
        break;
    }
    if (status != KERNEL_OK)
        abort();
    return value;
}

static double
naive_measure(lane_measure measure)
{
    uint32_t longest = a.length > b.length ? a.length : b.length;

    switch (measure) {
    case LANES_JARO:
        return naive_jaro_of_both();
    case LANES_JARO_WINKLER:
        return naive_jaro_winkler();
    case LANES_LEVENSHTEIN:
    case LANES_DAMERAU:
        return longest == 0 ? 1.0 : 1.0 - (double)naive_distance(measure == LANES_DAMERAU) / longest;
    case LANES_LEVENSHTEIN_DISTANCE:
    case LANES_DAMERAU_DISTANCE:
        return naive_distance(measure == LANES_DAMERAU_DISTANCE);
    }
    return -1;
}

/* Pair i: the whole texts, then beginnings and ends of them, at most 40 characters. */
static text_view
part_of(text_view text, uint32_t i)
{
    uint32_t length = text.length, most = i % 3 == 0 ? 8 : i % 3 == 1 ? 16 : 40;

    if (i == 0)
        return text;
    length = length > i % 5 ? length - i % 5 : 0;
    length = length > most ? most : length;
    if (i & 8)
        text.chars = (const char *)text.chars + (size_t)(text.length - length) * text.width;
    text.length = length;
    return text;
}

static void
fuzz_lanes(void)
{
    text_view x[FUZZ_LANES], y[FUZZ_LANES];
    double results[FUZZ_LANES], values[FUZZ_LANES];
    lane_planes planes[2 * FUZZ_LANES];
    static uint32_t of_x[FUZZ_LANES], of_y[FUZZ_LANES], place[FUZZ_LANES];
    static uint8_t lengths_x[FUZZ_LANES], lengths_y[FUZZ_LANES];
    uint32_t ready = 0;

    for (uint32_t i = 0; i < FUZZ_LANES; i++) {
        x[i] = part_of(a.view, i);
        y[i] = part_of(b.view, i * 7);
        if (!lane_planes_of(x[i], &planes[i]) || !lane_planes_of(y[i], &planes[FUZZ_LANES + i]))
            continue;
        of_x[ready] = i;
        of_y[ready] = FUZZ_LANES + i;
        lengths_x[ready] = (uint8_t)x[i].length;
        lengths_y[ready] = (uint8_t)y[i].length;
        place[ready++] = i;
    }
    for (lane_target target = LANES_SINGLE; target <= LANES_AVX2; target++)
        for (lane_measure measure = LANES_JARO; measure <= LANES_DAMERAU; measure++) {
            if (lanes_use(target) != target)
                continue;
            if (lanes_pairs(measure, x, y, FUZZ_LANES, &workspace, results) != KERNEL_OK)
                abort();
            expect("lanes", naive_measure(measure), results[0]);
            for (uint32_t i = 0; i < FUZZ_LANES && target != LANES_SINGLE; i++)
                if (results[i] != single_measure(measure, x[i], y[i]))
                    complain("lanes, beside one at a time", single_measure(measure, x[i], y[i]), results[i]);
            if (lanes_values(measure, planes, of_x, of_y, lengths_x, lengths_y, ready, &workspace, values) !=
                KERNEL_OK)
                abort();
            for (uint32_t r = 0; r < ready; r++)
                if (values[r] != results[place[r]])
                    complain("lanes, values that are ready", results[place[r]], values[r]);
        }
}

/* Keys of anything: no overrun, an end, and the same twice. */
static void
fuzz_phonetic(void)
{
    char key[2 * LONGEST + 2], again[2 * LONGEST + 2], primary[DOUBLE_METAPHONE_MAX + 1],
        alternate[DOUBLE_METAPHONE_MAX + 1];
    char keys[DAITCH_MOKOTOFF_KEYS][DAITCH_MOKOTOFF_LENGTH + 1];
    uint32_t count;

    if (soundex_key(a.view, key) > SOUNDEX_KEY_LENGTH || strlen(key) > SOUNDEX_KEY_LENGTH)
        abort();
    if (nysiis_key(a.view, key, sizeof key) != strlen(key) || strlen(key) > a.length + 1)
        abort();
    if (nysiis_key(a.view, again, sizeof again) != strlen(key) || strcmp(key, again) != 0)
        abort();
    if (cologne_key(a.view, key, sizeof key) != strlen(key) || strspn(key, "0123456789") != strlen(key))
        abort();
    count = daitch_mokotoff_keys(a.view, keys);
    if (count > DAITCH_MOKOTOFF_KEYS)
        abort();
    for (uint32_t i = 0; i < count; i++)
        if (strlen(keys[i]) != DAITCH_MOKOTOFF_LENGTH)
            abort();
    double_metaphone_keys(a.view, DOUBLE_METAPHONE_MAX, primary, alternate);
    if (strlen(primary) > DOUBLE_METAPHONE_MAX || strlen(alternate) > DOUBLE_METAPHONE_MAX)
        abort();
}

#define LETTERS "aaeeiinrstlo bc-'"
#define AMOUNTS "0011223456789..,,:: -/kgmlinfthrs$%\"'"

static const struct {
    const char *name;
    void (*fuzz)(void);
    const char *characters; /* of which texts are mostly made */
} kernels[] = {
    {"jaro", fuzz_jaro, LETTERS},
    {"levenshtein", fuzz_levenshtein, LETTERS},
    {"damerau", fuzz_damerau, LETTERS},
    {"lcs", fuzz_lcs, LETTERS},
    {"qgram", fuzz_qgram, LETTERS},
    {"token", fuzz_token, LETTERS},
    {"names", fuzz_names, "aabdehiijlnorstv23y  "},
    {"terms", fuzz_terms, "aabeinst1   "},
    {"minhash", fuzz_minhash, LETTERS},
    {"level", fuzz_level, LETTERS},
    {"profile", fuzz_profile, LETTERS},
    {"phonetic", fuzz_phonetic, LETTERS},
    {"lanes", fuzz_lanes, LETTERS},
    {"sort", fuzz_sort, LETTERS},
    {"components", fuzz_components, LETTERS},
    {"bytes", fuzz_bytes, LETTERS},
    {"quantity", fuzz_quantity, AMOUNTS},
    {"forms", fuzz_forms, "0123astrevnuol cdp   "},
    {"short", fuzz_short, "abzABZ0189  -._'"},
    {"dates", fuzz_dates, LETTERS},
    {"digests", fuzz_digests, LETTERS},
};

static size_t
chosen_kernel(void)
{
    const char *name = getenv("FUZZ_KERNEL");

    for (size_t i = 0; name != NULL && i < sizeof kernels / sizeof *kernels; i++)
        if (strcmp(kernels[i].name, name) == 0)
            return i;
    fprintf(stderr, "FUZZ_KERNEL must name one of:");
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        fprintf(stderr, " %s", kernels[i].name);
    fprintf(stderr, "\n");
    exit(2);
}

/* ---- inputs ---- */

/* Few characters that are near each other and some that are not; width 4 has at least one beyond 255. */
static uint32_t
character(uint8_t byte, const char *characters, bool wide)
{
    if (wide && byte >= 224)
        return 0x3B0 + (byte & 15);
    if (byte < 160)
        return (uint8_t)characters[byte % strlen(characters)];
    return byte;
}

static void
make_text(fuzz_text *text, const uint8_t *bytes, size_t count, const char *characters, bool wide)
{
    uint8_t width = 1;
    void *chars;

    text->length = count > LONGEST ? LONGEST : (uint32_t)count;
    for (uint32_t i = 0; i < text->length; i++) {
        text->points[i] = character(bytes[i], characters, wide);
        if (text->points[i] > 255)
            width = 4;
    }
    chars = malloc(text->length == 0 ? 1 : (size_t)text->length * width);
    if (chars == NULL)
        abort();
    for (uint32_t i = 0; i < text->length; i++) {
        if (width == 1)
            ((uint8_t *)chars)[i] = (uint8_t)text->points[i];
        else
            ((uint32_t *)chars)[i] = text->points[i];
    }
    text->view = (text_view){chars, text->length, width};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static size_t kernel = SIZE_MAX;
    size_t first;

    if (kernel == SIZE_MAX) {
        kernel = chosen_kernel();
        nicknames_prepare();
    }
    if (size < 2)
        return 0;
    first = (size - 2) * data[1] / 255;
    make_text(&a, data + 2, first, kernels[kernel].characters, data[0] & 1);
    make_text(&b, data + 2 + first, size - 2 - first, kernels[kernel].characters, data[0] & 2);
    kernels[kernel].fuzz();
    free((void *)a.view.chars);
    free((void *)b.view.chars);
    return 0;
}

#ifdef FUZZ_ALONE
static uint64_t state;

static uint32_t
below(uint32_t bound)
{
    uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((z ^ z >> 31) % bound);
}

/* Two texts, half of the time the second being the first with some errors; a few are long. */
static size_t
make_input(uint8_t *data)
{
    uint32_t longest = below(50) == 0 ? 400 : below(5) == 0 ? 100 : 24, first = below(longest + 1), second;

    data[0] = (uint8_t)below(4);
    for (uint32_t i = 0; i < first; i++)
        data[2 + i] = (uint8_t)below(below(3) == 0 ? 256 : 160);
    if (below(2) == 0) {
        second = first;
        memcpy(data + 2 + first, data + 2, first);
        for (uint32_t errors = first == 0 ? 0 : below(5); errors > 0; errors--)
            data[2 + first + below(second)] = (uint8_t)below(256);
    } else {
        second = below(longest + 1);
        for (uint32_t i = 0; i < second; i++)
            data[2 + first + i] = (uint8_t)below(below(3) == 0 ? 256 : 160);
    }
    data[1] = first + second == 0 ? 0 : (uint8_t)((first * 255 + first + second - 1) / (first + second));
    return 2 + first + second;
}

int
main(int count, char **arguments)
{
    static uint8_t data[2 * LONGEST + 2];
    long inputs = count > 1 ? atol(arguments[1]) : 1000000;

    state = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    for (long i = 0; i < inputs; i++)
        LLVMFuzzerTestOneInput(data, make_input(data));
    printf("%s: %ld inputs, no difference\n", getenv("FUZZ_KERNEL"), inputs);
    return 0;
}
#endif
