/*
 * test_lanes.c: many pairs at once, with every kind of vectors that the machine has and without any, against
 * the matrix and the search that define the measures, and to the last bit against the functions for one pair.
 */
#include "kernel/lanes.h"
#include "kernel/similarity.h"
#include "naive_jaro.h"
#include "unit.h"

#define LONGEST 80
#define BATCHES 1000
#define MOST_PAIRS 100

typedef struct short_text {
    uint32_t points[LONGEST];
    uint32_t length;
    text_view view; /* allocated to size: overruns show */
} short_text;

static short_text a[MOST_PAIRS], b[MOST_PAIRS];
static text_view views_a[MOST_PAIRS], views_b[MOST_PAIRS];

static const struct {
    const char *name;
    lane_target target;
} targets[] = {{"one at a time", LANES_SINGLE}, {"SSE2", LANES_SSE2}, {"AVX2", LANES_AVX2}};

static const lane_measure measures[] = {LANES_JARO,        LANES_JARO_WINKLER,     LANES_LEVENSHTEIN_DISTANCE,
                                        LANES_LEVENSHTEIN, LANES_DAMERAU_DISTANCE, LANES_DAMERAU};

/* ---- what defines the measures ---- */

static uint32_t
naive_distance(const short_text *x, const short_text *y, bool swaps)
{
    static uint32_t matrix[LONGEST + 1][LONGEST + 1];

    for (uint32_t i = 0; i <= x->length; i++)
        for (uint32_t j = 0; j <= y->length; j++) {
            uint32_t best, other;

            if (i == 0 || j == 0) {
                matrix[i][j] = i + j;
                continue;
            }
            best = matrix[i - 1][j - 1] + (x->points[i - 1] != y->points[j - 1]);
            other = 1 + (matrix[i - 1][j] < matrix[i][j - 1] ? matrix[i - 1][j] : matrix[i][j - 1]);
            best = other < best ? other : best;
            if (swaps && i > 1 && j > 1 && x->points[i - 1] == y->points[j - 2] &&
                x->points[i - 2] == y->points[j - 1] && matrix[i - 2][j - 2] + 1 < best)
                best = matrix[i - 2][j - 2] + 1;
            matrix[i][j] = best;
        }
    return matrix[x->length][y->length];
}

static double
naive(lane_measure measure, const short_text *x, const short_text *y)
{
    uint32_t longest = x->length > y->length ? x->length : y->length, prefix = 0;
    double value;

    switch (measure) {
    case LANES_JARO:
        return naive_jaro(x->points, x->length, y->points, y->length);
    case LANES_JARO_WINKLER:
        value = naive_jaro(x->points, x->length, y->points, y->length);
        while (prefix < 4 && prefix < x->length && prefix < y->length &&
               x->points[prefix] == y->points[prefix])
            prefix++;
        return value > 0.7 ? value + 0.1 * prefix * (1.0 - value) : value;
    case LANES_LEVENSHTEIN_DISTANCE:
        return naive_distance(x, y, false);
    case LANES_LEVENSHTEIN:
        return longest == 0 ? 1.0 : 1.0 - naive_distance(x, y, false) / (double)longest;
    case LANES_DAMERAU_DISTANCE:
        return naive_distance(x, y, true);
    case LANES_DAMERAU:
        return longest == 0 ? 1.0 : 1.0 - naive_distance(x, y, true) / (double)longest;
    }
    return -1;
}

static double
single(lane_measure measure, text_view x, text_view y, kernel_workspace *workspace)
{
    uint32_t distance = 0;
    double value = -1;

    switch (measure) {
    case LANES_JARO:
        jaro_similarity(x, y, workspace, &value);
        return value;
    case LANES_JARO_WINKLER:
        jaro_winkler_similarity(x, y, workspace, &value);
        return value;
    case LANES_LEVENSHTEIN_DISTANCE:
        levenshtein_distance(x, y, workspace, &distance);
        return distance;
    case LANES_LEVENSHTEIN:
        levenshtein_similarity(x, y, workspace, &value);
        return value;
    case LANES_DAMERAU_DISTANCE:
        damerau_distance(x, y, workspace, &distance);
        return distance;
    case LANES_DAMERAU:
        damerau_similarity(x, y, workspace, &value);
        return value;
    }
    return -1;
}

/* ---- texts ---- */

static uint32_t
random_point(uint64_t *seed, uint32_t kind)
{
    if (kind == 0)
        return 'a' + unit_below(seed, 3);
    if (kind == 1)
        return 'a' + unit_below(seed, 20);
    if (kind == 2)
        return unit_below(seed, 256); /* 0 and 255, too */
    return unit_below(seed, 8) == 0 ? 0x430 + unit_below(seed, 4) : 'a' + unit_below(seed, 4);
}

static void
make_view(short_text *text)
{
    uint8_t width = 1;
    void *chars;

    for (uint32_t i = 0; i < text->length; i++)
        if (text->points[i] > 255)
            width = 4;
    chars = malloc(text->length == 0 ? 1 : (size_t)text->length * width);
    if (chars == NULL)
        abort();
    for (uint32_t i = 0; i < text->length; i++) {
        if (width == 1)
            ((uint8_t *)chars)[i] = (uint8_t)text->points[i];
        else
            ((uint32_t *)chars)[i] = text->points[i];
    }
    free((void *)text->view.chars);
    text->view = (text_view){chars, text->length, width};
}

static void
random_text(uint64_t *seed, short_text *text, uint32_t longest, uint32_t kind)
{
    text->length = unit_below(seed, longest + 1);
    for (uint32_t i = 0; i < text->length; i++)
        text->points[i] = random_point(seed, kind);
    make_view(text);
}

/* Some edits of another text. */
static void
similar_text(uint64_t *seed, const short_text *from, short_text *text, uint32_t longest, uint32_t kind)
{
    text->length = from->length;
    memcpy(text->points, from->points, sizeof text->points);
    for (uint32_t edits = unit_below(seed, 4); edits > 0 && text->length > 1; edits--) {
        uint32_t at = unit_below(seed, text->length - 1), swap = text->points[at];

        switch (unit_below(seed, 4)) {
        case 0:
            text->points[at] = random_point(seed, kind);
            break;
        case 1:
            text->points[at] = text->points[at + 1];
            text->points[at + 1] = swap;
            break;
        case 2:
            text->length--;
            memmove(&text->points[at], &text->points[at + 1], sizeof(uint32_t) * (text->length - at));
            break;
        default:
            if (text->length == longest)
                break;
            memmove(&text->points[at + 1], &text->points[at], sizeof(uint32_t) * (text->length - at));
            text->points[at] = random_point(seed, kind);
            text->length++;
        }
    }
    make_view(text);
}

static uint32_t
random_batch(uint64_t *seed)
{
    static const uint32_t longests[] = {8, 16, 16, 32, 33, 75};
    uint32_t longest = longests[unit_below(seed, 6)], kind = unit_below(seed, 4);
    uint32_t count = unit_below(seed, 8) == 0 ? unit_below(seed, 4) : unit_below(seed, MOST_PAIRS + 1);

    for (uint32_t i = 0; i < count; i++) {
        random_text(seed, &a[i], longest, kind);
        if (unit_below(seed, 3) == 0)
            random_text(seed, &b[i], longest, kind);
        else
            similar_text(seed, &a[i], &b[i], longest, kind);
        views_a[i] = a[i].view;
        views_b[i] = b[i].view;
    }
    return count;
}

/* ---- tests ---- */

static uint32_t wrong_naive, wrong_single;
static uint64_t compared, compared_values;

/* The same pairs as values of a table, where both have planes; the others' results stay. */
static kernel_status
compare_values(lane_measure measure, uint32_t count, kernel_workspace *workspace, double *results)
{
    static lane_planes planes[2 * MOST_PAIRS];
    static uint32_t of_a[MOST_PAIRS], of_b[MOST_PAIRS], place[MOST_PAIRS];
    static uint8_t lengths_a[MOST_PAIRS], lengths_b[MOST_PAIRS];
    uint32_t ready = 0;
    double values[MOST_PAIRS];
    kernel_status status;

    for (uint32_t i = 0; i < count; i++) {
        if (!lane_planes_of(views_a[i], &planes[i]) || !lane_planes_of(views_b[i], &planes[MOST_PAIRS + i]))
            continue;
        of_a[ready] = i;
        of_b[ready] = MOST_PAIRS + i;
        lengths_a[ready] = (uint8_t)views_a[i].length;
        lengths_b[ready] = (uint8_t)views_b[i].length;
        place[ready++] = i;
    }
    status = lanes_values(measure, planes, of_a, of_b, lengths_a, lengths_b, ready, workspace, values);
    for (uint32_t r = 0; r < ready; r++)
        results[place[r]] = values[r];
    compared_values += ready;
    return status;
}

static void
check_batch(uint32_t count, kernel_workspace *workspace)
{
    double results[MOST_PAIRS];

    for (size_t m = 0; m < sizeof measures / sizeof *measures; m++) {
        if (lanes_pairs(measures[m], views_a, views_b, count, workspace, results) != KERNEL_OK)
            abort();
        for (uint32_t i = 0; i < count; i++) {
            wrong_naive += !unit_near(results[i], naive(measures[m], &a[i], &b[i]), 1e-12);
            wrong_single += results[i] != single(measures[m], a[i].view, b[i].view, workspace);
            compared++;
        }
        if (compare_values(measures[m], count, workspace, results) != KERNEL_OK)
            abort();
        for (uint32_t i = 0; i < count; i++)
            wrong_single += results[i] != single(measures[m], a[i].view, b[i].view, workspace);
    }
}

static void
test_target(const char *name, lane_target target)
{
    char text[100];
    kernel_workspace workspace = {0};
    uint64_t seed = 11;

    if (lanes_use(target) != target) {
        snprintf(text, sizeof text, "%s # SKIP this machine has no such vectors", name);
        unit_ok(true, text);
        return;
    }
    wrong_naive = wrong_single = 0;
    compared = compared_values = 0;
    for (int i = 0; i < BATCHES; i++)
        check_batch(random_batch(&seed), &workspace);
    snprintf(text, sizeof text, "%s: the measures' definitions", name);
    unit_ok(wrong_naive == 0 && compared > 150000, text);
    snprintf(text, sizeof text, "%s: the bits of one pair at a time", name);
    unit_ok(wrong_single == 0, text);
    snprintf(text, sizeof text, "%s: pairs of short values were among them", name);
    unit_ok(compared_values > 50000 || lanes_best_target() == LANES_SINGLE, text);
    kernel_workspace_free(&workspace);
}

/* All lengths of both texts beside each other, in full vectors. */
static void
test_lengths(const char *name, lane_target target)
{
    char text[100];
    kernel_workspace workspace = {0};
    double results[MOST_PAIRS];
    uint64_t seed = 5;
    uint32_t wrong = 0;

    if (lanes_use(target) != target)
        return;
    for (uint32_t length_a = 0; length_a <= 72; length_a++)
        for (uint32_t length_b = 0; length_b <= 72; length_b += length_b < 34 ? 1 : 7) {
            for (uint32_t i = 0; i < 33; i++) {
                a[i].length = length_a;
                b[i].length = length_b;
                for (uint32_t j = 0; j < LONGEST; j++) {
                    a[i].points[j] = random_point(&seed, 0);
                    b[i].points[j] = unit_below(&seed, 4) == 0 ? random_point(&seed, 0) : a[i].points[j];
                }
                make_view(&a[i]);
                make_view(&b[i]);
                views_a[i] = a[i].view;
                views_b[i] = b[i].view;
            }
            for (size_t m = 0; m < sizeof measures / sizeof *measures; m++) {
                if (lanes_pairs(measures[m], views_a, views_b, 33, &workspace, results) != KERNEL_OK)
                    abort();
                for (uint32_t i = 0; i < 33; i++)
                    wrong += results[i] != single(measures[m], views_a[i], views_b[i], &workspace);
                if (compare_values(measures[m], 33, &workspace, results) != KERNEL_OK)
                    abort();
                for (uint32_t i = 0; i < 33; i++)
                    wrong += results[i] != single(measures[m], views_a[i], views_b[i], &workspace);
            }
        }
    snprintf(text, sizeof text, "%s: all lengths", name);
    unit_ok(wrong == 0, text);
    kernel_workspace_free(&workspace);
}

/* Which texts have planes, and that any two bytes are equal in them just when they are. */
static void
test_planes(void)
{
    static const uint8_t text[LANE_PLANES_LONGEST + 1] = "sixteen letters a";
    static const uint32_t wide[1] = {0x416};
    lane_planes planes[256];
    uint32_t wrong = 0;

    if (lanes_best_target() == LANES_SINGLE) {
        unit_ok(!lane_planes_of((text_view){text, 3, 1}, planes), "no planes without vectors");
        return;
    }
    unit_ok(lane_planes_of((text_view){text, LANE_PLANES_LONGEST, 1}, planes) &&
                lane_planes_of((text_view){text, 1, 1}, planes) &&
                !lane_planes_of((text_view){text, LANE_PLANES_LONGEST + 1, 1}, planes) &&
                !lane_planes_of((text_view){text, 0, 1}, planes) &&
                !lane_planes_of((text_view){wide, 1, 4}, planes),
            "short texts of bytes have planes");
    for (uint32_t c = 0; c < 256; c++) {
        uint8_t character = (uint8_t)c;

        lane_planes_of((text_view){&character, 1, 1}, &planes[c]);
        for (uint32_t other = 0; other < c; other++)
            wrong += memcmp(&planes[c], &planes[other], sizeof planes[c]) == 0;
    }
    unit_ok(wrong == 0, "different characters differ in some plane");
}

/* A stop that is requested comes through. */
static void
test_stop(void)
{
    volatile sig_atomic_t stop = 1;
    kernel_workspace workspace = {.stop = &stop};
    double results[MOST_PAIRS];
    uint64_t seed = 3;

    lanes_use(LANES_AVX2);
    for (uint32_t i = 0; i < MOST_PAIRS; i++) {
        random_text(&seed, &a[i], 10, 1);
        views_a[i] = a[i].view;
    }
    if (lanes_best_target() == LANES_SINGLE)
        unit_ok(true, "a stop is seen # SKIP short pairs alone look for none");
    else
        unit_ok(lanes_pairs(LANES_JARO, views_a, views_a, MOST_PAIRS, &workspace, results) == KERNEL_STOPPED,
                "a stop is seen");
    kernel_workspace_free(&workspace);
}

int
main(void)
{
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        test_target(targets[t].name, targets[t].target);
        test_lengths(targets[t].name, targets[t].target);
    }
    test_planes();
    test_stop();
    for (int i = 0; i < MOST_PAIRS; i++) {
        free((void *)a[i].view.chars);
        free((void *)b[i].view.chars);
    }
    return unit_done();
}
