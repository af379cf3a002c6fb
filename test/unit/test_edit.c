/*
 * test_edit.c: edit distance, optimal string alignment and longest common subsequence against the
 * textbook's quadratic tables.
 */
#include "kernel/similarity.h"
#include "unit.h"

#define PAIRS 200000
#define LONG_PAIRS 24

static unit_text a, b;
static uint32_t rows[3][UNIT_LONGEST + 1];

static uint32_t
least(uint32_t x, uint32_t y)
{
    return x < y ? x : y;
}

/* Wagner and Fischer (1974); with swaps, Damerau's restricted distance. */
static uint32_t
naive_distance(bool swaps)
{
    for (uint32_t j = 0; j <= b.length; j++)
        rows[0][j] = j;
    for (uint32_t i = 1; i <= a.length; i++) {
        uint32_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];

        now[0] = i;
        for (uint32_t j = 1; j <= b.length; j++) {
            uint32_t cost = a.points[i - 1] != b.points[j - 1];

            now[j] = least(least(now[j - 1], before[j]) + 1, before[j - 1] + cost);
            if (swaps && i > 1 && j > 1 && a.points[i - 1] == b.points[j - 2] &&
                a.points[i - 2] == b.points[j - 1])
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return rows[a.length % 3][b.length];
}

static uint32_t
naive_lcs(void)
{
    memset(rows, 0, sizeof rows);
    for (uint32_t i = 1; i <= a.length; i++) {
        uint32_t *now = rows[i % 2], *before = rows[(i + 1) % 2];

        for (uint32_t j = 1; j <= b.length; j++) {
            if (a.points[i - 1] == b.points[j - 1])
                now[j] = before[j - 1] + 1;
            else
                now[j] = now[j - 1] > before[j] ? now[j - 1] : before[j];
        }
    }
    return rows[a.length % 2][b.length];
}

static double
share(uint32_t distance)
{
    uint32_t longest = a.length > b.length ? a.length : b.length;

    return longest == 0 ? 1.0 : 1.0 - (double)distance / (double)longest;
}

typedef enum metric { LEVENSHTEIN, DAMERAU, LCS } metric;

/* The pair at hand by one metric, both ways round, distance and similarity. */
static bool
agrees(metric which, kernel_workspace *workspace)
{
    uint32_t there = 0, back = 0, expected;
    double similar = -1, similar_back = -2, value;

    switch (which) {
    case LEVENSHTEIN:
        expected = naive_distance(false);
        levenshtein_distance(a.view, b.view, workspace, &there);
        levenshtein_distance(b.view, a.view, workspace, &back);
        levenshtein_similarity(a.view, b.view, workspace, &similar);
        levenshtein_similarity(b.view, a.view, workspace, &similar_back);
        return there == expected && back == expected && similar == share(expected) && similar_back == similar;
    case DAMERAU:
        expected = naive_distance(true);
        damerau_distance(a.view, b.view, workspace, &there);
        damerau_distance(b.view, a.view, workspace, &back);
        damerau_similarity(a.view, b.view, workspace, &similar);
        damerau_similarity(b.view, a.view, workspace, &similar_back);
        return there == expected && back == expected && similar == share(expected) && similar_back == similar;
    default:
        value = a.length + b.length == 0 ? 1.0 : 2.0 * naive_lcs() / ((double)a.length + b.length);
        lcs_similarity(a.view, b.view, workspace, &similar);
        lcs_similarity(b.view, a.view, workspace, &similar_back);
        return similar == value && similar_back == value;
    }
}

static void
test_random(metric which, uint64_t seed, const char *name, const char *name_long)
{
    kernel_workspace workspace = {0};
    uint32_t wrong = 0;

    for (int i = 0; i < PAIRS; i++) {
        unit_random_pair(&seed, &a, &b, 0, 1);
        wrong += !agrees(which, &workspace);
    }
    unit_ok(wrong == 0, name);
    unit_ok(workspace.memory == NULL, "texts of up to 200 characters take no memory from the heap");

    wrong = 0;
    for (int i = 0; i < LONG_PAIRS; i++) {
        unit_random_pair(&seed, &a, &b, 500 + unit_below(&seed, 4000), 1);
        wrong += !agrees(which, &workspace);
    }
    unit_ok(wrong == 0, name_long);
    kernel_workspace_free(&workspace);
}

/* Every length about the strips' ends, one and two strips. */
static void
test_boundaries(void)
{
    static const uint32_t lengths[] = {1, 2, 62, 63, 64, 65, 66, 127, 128, 129, 191, 192, 193};
    const uint32_t n = sizeof lengths / sizeof lengths[0];
    kernel_workspace workspace = {0};
    uint64_t seed = 77;
    uint32_t wrong = 0;

    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            for (uint32_t round = 0; round < 24; round++) {
                a.length = lengths[i];
                b.length = lengths[j];
                for (uint32_t k = 0; k < a.length; k++)
                    a.points[k] = unit_random_point(&seed, 2 + round % 3, round & 4, 0);
                for (uint32_t k = 0; k < b.length; k++)
                    b.points[k] = unit_random_point(&seed, 2 + round % 3, round & 8, 0);
                unit_text_view(&a, round & 4 ? 4 : 1);
                unit_text_view(&b, round & 8 ? 4 : 1);
                for (int which = LEVENSHTEIN; which <= LCS; which++)
                    wrong += !agrees(which, &workspace);
            }
    unit_ok(wrong == 0, "lengths about the ends of strips");
    kernel_workspace_free(&workspace);
}

static uint32_t
levenshtein_of(const char *x, const char *y)
{
    kernel_workspace workspace = {0};
    uint32_t result = UINT32_MAX;

    levenshtein_distance(unit_view(x), unit_view(y), &workspace, &result);
    return result;
}

static uint32_t
damerau_of(const char *x, const char *y)
{
    kernel_workspace workspace = {0};
    uint32_t result = UINT32_MAX;

    damerau_distance(unit_view(x), unit_view(y), &workspace, &result);
    return result;
}

static void
test_known(void)
{
    unit_ok(levenshtein_of("kitten", "sitting") == 3, "kitten and sitting are 3 apart");
    unit_ok(levenshtein_of("SATURDAY", "SUNDAY") == 3, "SATURDAY and SUNDAY are 3 apart");
    unit_ok(levenshtein_of("", "abc") == 3 && levenshtein_of("abc", "") == 3, "from nothing to abc is 3");
    unit_ok(levenshtein_of("", "") == 0, "nothing to nothing is 0");
    unit_ok(levenshtein_of("ab", "ba") == 2 && damerau_of("ab", "ba") == 1,
            "a swap is one step of alignment");
    unit_ok(damerau_of("CA", "ABC") == 3, "no character is edited twice: CA and ABC are 3 apart");
    unit_ok(damerau_of("a cat", "an abct") == 4, "a cat and an abct are 4 apart");
}

/* Texts long enough to be stopped, and the same with the flag off. */
static void
test_stop(void)
{
    volatile sig_atomic_t stop = 1;
    kernel_workspace workspace = {NULL, 0, &stop};
    const uint32_t length = 200000;
    char *x = malloc(length), *y = malloc(length);
    text_view view_x = {x, length, 1}, view_y = {y, length, 1};
    uint32_t distance;
    double value;

    if (x == NULL || y == NULL)
        abort();
    memset(x, 'x', length);
    memset(y, 'y', length);
    unit_ok(levenshtein_distance(view_x, view_y, &workspace, &distance) == KERNEL_STOPPED &&
                damerau_distance(view_x, view_y, &workspace, &distance) == KERNEL_STOPPED &&
                lcs_similarity(view_x, view_y, &workspace, &value) == KERNEL_STOPPED,
            "the stop flag stops");
    view_y.length = 40;
    unit_ok(levenshtein_distance(view_x, view_y, &workspace, &distance) == KERNEL_STOPPED &&
                damerau_distance(view_x, view_y, &workspace, &distance) == KERNEL_STOPPED &&
                lcs_similarity(view_x, view_y, &workspace, &value) == KERNEL_STOPPED,
            "the stop flag stops within one strip");
    stop = 0;
    unit_ok(levenshtein_distance(view_x, view_y, &workspace, &distance) == KERNEL_OK && distance == length,
            "a stopped call can be repeated");
    kernel_workspace_free(&workspace);
    free(x);
    free(y);
}

int
main(void)
{
    test_known();
    test_boundaries();
    test_random(LEVENSHTEIN, 1, "levenshtein: 200,000 random pairs", "levenshtein: long random pairs");
    test_random(DAMERAU, 2, "damerau: 200,000 random pairs", "damerau: long random pairs");
    test_random(LCS, 3, "lcs: 200,000 random pairs", "lcs: long random pairs");
    test_stop();
    free((void *)a.view.chars);
    free((void *)b.view.chars);
    return unit_done();
}
