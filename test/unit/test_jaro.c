/*
 * test_jaro.c: Jaro and Jaro-Winkler against the quadratic search that defines them, and against the
 * values that Winkler published.
 */
#include "kernel/similarity.h"
#include "naive_jaro.h"
#include "unit.h"

#define PAIRS 200000
#define LONG_PAIRS 100

static unit_text a, b;

static double
naive_winkler(double jaro)
{
    uint32_t prefix = 0;

    while (prefix < 4 && prefix < a.length && prefix < b.length && a.points[prefix] == b.points[prefix])
        prefix++;
    return jaro > 0.7 ? jaro + 0.1 * prefix * (1.0 - jaro) : jaro;
}

static bool
agrees(kernel_workspace *workspace)
{
    double expected = naive_jaro(a.points, a.length, b.points, b.length), winkler = naive_winkler(expected);
    double there = -1, back = -1, there_winkler = -1, back_winkler = -1;

    jaro_similarity(a.view, b.view, workspace, &there);
    jaro_similarity(b.view, a.view, workspace, &back);
    jaro_winkler_similarity(a.view, b.view, workspace, &there_winkler);
    jaro_winkler_similarity(b.view, a.view, workspace, &back_winkler);
    return unit_near(there, expected, 1e-12) && unit_near(there_winkler, winkler, 1e-12) && there == back &&
           there_winkler == back_winkler && there >= 0 && there_winkler <= 1;
}

static void
test_random(void)
{
    kernel_workspace workspace = {0};
    uint64_t seed = 4;
    uint32_t wrong = 0;

    for (int i = 0; i < PAIRS; i++) {
        unit_random_pair(&seed, &a, &b, 0, 1);
        wrong += !agrees(&workspace);
    }
    unit_ok(wrong == 0, "jaro and jaro-winkler: 200,000 random pairs");
    unit_ok(workspace.memory == NULL, "texts of up to 200 characters take no memory from the heap");
    wrong = 0;
    for (int i = 0; i < LONG_PAIRS; i++) {
        unit_random_pair(&seed, &a, &b, 250 + unit_below(&seed, 5000), 1);
        wrong += !agrees(&workspace);
    }
    unit_ok(wrong == 0, "long random pairs");
    kernel_workspace_free(&workspace);
}

static void
check_known(const char *x, const char *y, double jaro, double winkler)
{
    kernel_workspace workspace = {0};
    double value = -1, value_winkler = -1;
    char name[100];

    jaro_similarity(unit_view(x), unit_view(y), &workspace, &value);
    jaro_winkler_similarity(unit_view(x), unit_view(y), &workspace, &value_winkler);
    snprintf(name, sizeof name, "%s and %s: jaro %.3f, jaro-winkler %.3f", x, y, jaro, winkler);
    unit_ok(unit_near(value, jaro, 0.0005001) && unit_near(value_winkler, winkler, 0.0005001), name);
}

static void
test_stop(void)
{
    volatile sig_atomic_t stop = 1;
    kernel_workspace workspace = {NULL, 0, &stop};
    const uint32_t length = 300000;
    char *x = malloc(length), *y = malloc(length);
    text_view view_x = {x, length, 1}, view_y = {y, length, 1};
    double value;

    if (x == NULL || y == NULL)
        abort();
    memset(x, 'x', length);
    memset(y, 'y', length);
    unit_ok(jaro_similarity(view_x, view_y, &workspace, &value) == KERNEL_STOPPED &&
                jaro_winkler_similarity(view_x, view_y, &workspace, &value) == KERNEL_STOPPED,
            "the stop flag stops");
    stop = 0;
    unit_ok(jaro_similarity(view_x, view_y, &workspace, &value) == KERNEL_OK && value == 0.0,
            "a stopped call can be repeated");
    kernel_workspace_free(&workspace);
    free(x);
    free(y);
}

int
main(void)
{
    /* Winkler 1990 and 1994, the published table. */
    check_known("MARTHA", "MARHTA", 0.944, 0.961);
    check_known("DIXON", "DICKSONX", 0.767, 0.813);
    check_known("DWAYNE", "DUANE", 0.822, 0.840);
    check_known("SHACKLEFORD", "SHACKELFORD", 0.970, 0.982);
    check_known("DUNNINGHAM", "CUNNIGHAM", 0.896, 0.896);
    check_known("NICHLESON", "NICHULSON", 0.926, 0.956);
    check_known("JONES", "JOHNSON", 0.790, 0.832);
    check_known("MASSEY", "MASSIE", 0.889, 0.933);
    check_known("ABROMS", "ABRAMS", 0.889, 0.922);
    check_known("JERALDINE", "GERALDINE", 0.926, 0.926);
    check_known("MICHELLE", "MICHAEL", 0.869, 0.921);
    check_known("JULIES", "JULIUS", 0.889, 0.933);
    check_known("", "", 1, 1);
    check_known("", "A", 0, 0);
    check_known("A", "A", 1, 1);
    check_known("A", "B", 0, 0);
    test_random();
    test_stop();
    free((void *)a.view.chars);
    free((void *)b.view.chars);
    return unit_done();
}
