/*
 * test_token.c: q-grams and token measures against the plainest code that could compute them: lists that
 * are searched from end to end.
 */
#include "kernel/similarity.h"
#include "naive_slice.h"
#include "unit.h"

#define PAIRS 200000
#define TOKEN_PAIRS 200000
#define LONG_PAIRS 40

static unit_text a, b;

/* A piece of a text: a gram or a token. */
typedef struct piece {
    uint32_t points[UNIT_LONGEST];
    uint32_t length;
} piece;

static slice of_a[UNIT_LONGEST], of_b[UNIT_LONGEST];
static uint32_t count_a, count_b;

static uint32_t
naive_grams(const unit_text *text, uint32_t q, slice *grams)
{
    uint32_t count = 0;

    if (text->length > 0 && text->length < q)
        grams[count++] = (slice){text->points, text->length, 0};
    for (uint32_t i = 0; i + q <= text->length; i++)
        grams[count++] = (slice){text->points + i, q, 0};
    return count;
}

static uint32_t
naive_tokens(const unit_text *text, slice *tokens)
{
    uint32_t count = 0, from = 0;

    for (uint32_t i = 0; i <= text->length; i++)
        if (i == text->length || text->points[i] == ' ' || text->points[i] == 0x85 ||
            text->points[i] == 0xA0) {
            if (i > from)
                tokens[count++] = (slice){text->points + from, i - from, 0};
            from = i + 1;
        }
    return count;
}

static uint32_t
naive_common(void)
{
    static bool taken[UNIT_LONGEST];
    uint32_t common = 0;

    memset(taken, 0, sizeof taken);
    for (uint32_t i = 0; i < count_a; i++)
        for (uint32_t j = 0; j < count_b; j++)
            if (!taken[j] && same_slice(of_a[i], of_b[j])) {
                taken[j] = true;
                common++;
                break;
            }
    return common;
}

static double
naive_measure(set_measure measure, double common, double size_a, double size_b)
{
    if (size_a == 0 && size_b == 0)
        return 1;
    if (size_a == 0 || size_b == 0)
        return 0;
    switch (measure) {
    case MEASURE_DICE:
        return 2 * common / (size_a + size_b);
    case MEASURE_JACCARD:
        return common / (size_a + size_b - common);
    case MEASURE_COSINE:
        return common / sqrt(size_a * size_b);
    default:
        return common / (size_a < size_b ? size_a : size_b);
    }
}

static bool
qgrams_agree(uint32_t q, kernel_workspace *workspace)
{
    uint32_t common;

    count_a = naive_grams(&a, q, of_a);
    count_b = naive_grams(&b, q, of_b);
    common = naive_common();
    for (int measure = MEASURE_DICE; measure <= MEASURE_OVERLAP; measure++) {
        double expected = naive_measure((set_measure)measure, common, count_a, count_b);
        double there = -1, back = -1;

        qgram_similarity(a.view, b.view, q, (set_measure)measure, workspace, &there);
        qgram_similarity(b.view, a.view, q, (set_measure)measure, workspace, &back);
        if (!unit_near(there, expected, 1e-12) || there != back || there < 0 || there > 1)
            return false;
    }
    return true;
}

static void
test_qgrams(void)
{
    kernel_workspace workspace = {0};
    uint64_t seed = 5;
    uint32_t wrong = 0;

    for (int i = 0; i < PAIRS; i++) {
        unit_random_pair(&seed, &a, &b, 0, 1);
        wrong += !qgrams_agree(1 + unit_below(&seed, 8), &workspace);
    }
    unit_ok(wrong == 0, "q-grams: 200,000 random pairs, q from 1 to 8, all measures");
    unit_ok(workspace.memory == NULL, "texts of up to 200 characters take no memory from the heap");
    wrong = 0;
    for (int i = 0; i < LONG_PAIRS; i++) {
        unit_random_pair(&seed, &a, &b, 300 + unit_below(&seed, 4000), 1);
        wrong += !qgrams_agree(1 + unit_below(&seed, 8), &workspace);
    }
    unit_ok(wrong == 0, "q-grams: long random pairs");
    kernel_workspace_free(&workspace);
}

static void
sort_slices(slice *slices, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t j = i; j > 0 && slice_order(slices[j - 1], slices[j]) > 0; j--) {
            slice swap = slices[j];

            slices[j] = slices[j - 1];
            slices[j - 1] = swap;
        }
}

static uint32_t
drop_repeated(slice *slices, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || !same_slice(slices[kept - 1], slices[i]))
            slices[kept++] = slices[i];
    return kept;
}

static void
append(piece *target, slice more)
{
    if (target->length > 0)
        target->points[target->length++] = ' ';
    memcpy(&target->points[target->length], more.points, more.length * sizeof(uint32_t));
    target->length += more.length;
}

/* The kernel's own lcs, which test_edit.c checks, on texts that the naive code here has joined. */
static double
lcs_of(const piece *x, const piece *y)
{
    kernel_workspace workspace = {0};
    double value = -1;

    lcs_similarity((text_view){x->points, x->length, 4}, (text_view){y->points, y->length, 4}, &workspace,
                   &value);
    kernel_workspace_free(&workspace);
    return value;
}

static double
naive_token_sort(void)
{
    static piece x, y;

    x.length = y.length = 0;
    for (uint32_t i = 0; i < count_a; i++)
        append(&x, of_a[i]);
    for (uint32_t j = 0; j < count_b; j++)
        append(&y, of_b[j]);
    return lcs_of(&x, &y);
}

static bool
among(slice wanted, const slice *slices, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (same_slice(wanted, slices[i]))
            return true;
    return false;
}

static double
naive_token_set(void)
{
    static piece common, with_a, with_b;
    double best;

    common.length = with_a.length = with_b.length = 0;
    for (uint32_t i = 0; i < count_a; i++)
        if (among(of_a[i], of_b, count_b))
            append(&common, of_a[i]);
    with_a = with_b = common;
    for (uint32_t i = 0; i < count_a; i++)
        if (!among(of_a[i], of_b, count_b))
            append(&with_a, of_a[i]);
    for (uint32_t j = 0; j < count_b; j++)
        if (!among(of_b[j], of_a, count_a))
            append(&with_b, of_b[j]);
    best = lcs_of(&with_a, &with_b);
    best = fmax(best, lcs_of(&common, &with_a));
    return fmax(best, lcs_of(&common, &with_b));
}

static double
naive_monge_elkan(void)
{
    kernel_workspace workspace = {0};
    double total[2] = {0, 0};

    for (int side = 0; side < 2; side++) {
        const slice *x = side ? of_b : of_a, *y = side ? of_a : of_b;
        uint32_t count_x = side ? count_b : count_a, count_y = side ? count_a : count_b;

        for (uint32_t i = 0; i < count_x; i++) {
            double best = 0;

            for (uint32_t j = 0; j < count_y; j++) {
                double value = 0;

                jaro_winkler_similarity((text_view){x[i].points, x[i].length, 4},
                                        (text_view){y[j].points, y[j].length, 4}, &workspace, &value);
                best = fmax(best, value);
            }
            total[side] += best / count_x;
        }
    }
    kernel_workspace_free(&workspace);
    return (total[0] + total[1]) / 2;
}

static double
naive_initials(void)
{
    static uint32_t table[2][UNIT_LONGEST];

    memset(table, 0, sizeof table);
    for (uint32_t i = 1; i <= count_a; i++)
        for (uint32_t j = 1; j <= count_b; j++) {
            slice x = of_a[i - 1], y = of_b[j - 1];
            bool agree = same_slice(x, y) || ((x.length == 1 || y.length == 1) && x.points[0] == y.points[0]);
            uint32_t *now = table[i % 2], *before = table[(i + 1) % 2];

            now[j] = now[j - 1] > before[j] ? now[j - 1] : before[j];
            if (agree && before[j - 1] + 1 > now[j])
                now[j] = before[j - 1] + 1;
        }
    return (double)table[count_a % 2][count_b] / (count_a > count_b ? count_a : count_b);
}

typedef kernel_status (*similarity)(text_view, text_view, kernel_workspace *, double *);

static bool
both_ways(similarity measure, double expected, kernel_workspace *workspace)
{
    double there = -1, back = -1;

    measure(a.view, b.view, workspace, &there);
    measure(b.view, a.view, workspace, &back);
    return unit_near(there, expected, 1e-9) && there == back && there >= 0 && there <= 1;
}

static bool
tokens_agree(kernel_workspace *workspace)
{
    bool empty, ok;
    double alike;

    count_a = naive_tokens(&a, of_a);
    count_b = naive_tokens(&b, of_b);
    empty = count_a == 0 || count_b == 0;
    alike = count_a == count_b;
    ok = both_ways(monge_elkan_similarity, empty ? alike : naive_monge_elkan(), workspace);
    ok &= both_ways(initials_similarity, empty ? alike : naive_initials(), workspace);
    sort_slices(of_a, count_a);
    sort_slices(of_b, count_b);
    ok &= both_ways(token_sort_similarity, empty ? alike : naive_token_sort(), workspace);
    count_a = drop_repeated(of_a, count_a);
    count_b = drop_repeated(of_b, count_b);
    ok &= both_ways(token_set_similarity, empty ? alike : naive_token_set(), workspace);
    for (int measure = MEASURE_DICE; measure <= MEASURE_OVERLAP; measure++) {
        double expected = naive_measure((set_measure)measure, naive_common(), count_a, count_b);
        double there = -1, back = -1;

        token_similarity(a.view, b.view, (set_measure)measure, workspace, &there);
        token_similarity(b.view, a.view, (set_measure)measure, workspace, &back);
        ok &= unit_near(there, expected, 1e-12) && there == back;
    }
    return ok;
}

static void
test_tokens(void)
{
    kernel_workspace workspace = {0};
    uint64_t seed = 6;
    uint32_t wrong = 0;

    for (int i = 0; i < TOKEN_PAIRS; i++) {
        unit_random_pair(&seed, &a, &b, 0, 1 + unit_below(&seed, 8));
        wrong += !tokens_agree(&workspace);
    }
    unit_ok(wrong == 0, "tokens: 200,000 random pairs");
    wrong = 0;
    for (int i = 0; i < LONG_PAIRS / 4; i++) {
        unit_random_pair(&seed, &a, &b, 300 + unit_below(&seed, 2000), i % 5);
        wrong += !tokens_agree(&workspace);
    }
    unit_ok(wrong == 0, "tokens: long random pairs");
    kernel_workspace_free(&workspace);
}

static double
value_of(similarity measure, const char *x, const char *y)
{
    kernel_workspace workspace = {0};
    double value = -1;

    measure(unit_view(x), unit_view(y), &workspace, &value);
    kernel_workspace_free(&workspace);
    return value;
}

static void
test_known(void)
{
    kernel_workspace workspace = {0};
    double value = -1;

    qgram_similarity(unit_view("night"), unit_view("nacht"), 2, MEASURE_DICE, &workspace, &value);
    unit_ok(value == 0.25, "night and nacht share one bigram of four");
    unit_ok(value_of(token_sort_similarity, "smith john", "john smith") == 1,
            "the order of tokens is nothing");
    unit_ok(value_of(token_set_similarity, "john smith", "john smith esq") == 1,
            "more tokens are nothing to a set");
    unit_ok(value_of(token_sort_similarity, " \t\n", "") == 1, "white space alone is empty");
    unit_ok(value_of(monge_elkan_similarity, "a", " ") == 0, "a token and none share nothing");
    unit_ok(value_of(initials_similarity, "j r r tolkien", "john ronald reuel tolkien") == 1,
            "j r r tolkien");
    unit_ok(value_of(initials_similarity, "john tolkien", "j r r tolkien") == 0.5,
            "two of four tokens pair off");
    unit_ok(value_of(initials_similarity, "john tolkien", "jane tolkien") == 0.5,
            "names are not their initials");
}

static void
test_stop(void)
{
    volatile sig_atomic_t stop = 1;
    kernel_workspace workspace = {NULL, 0, &stop};
    const uint32_t length = 400000;
    char *x = malloc(length), *y = malloc(length);
    text_view view_x = {x, length, 1}, view_y = {y, length, 1};
    double value;

    if (x == NULL || y == NULL)
        abort();
    for (uint32_t i = 0; i < length; i++) {
        x[i] = i % 3 ? 'a' + (char)(i % 7) : ' ';
        y[i] = i % 2 ? 'a' + (char)(i % 11) : ' ';
    }
    unit_ok(qgram_similarity(view_x, view_y, 3, MEASURE_DICE, &workspace, &value) == KERNEL_STOPPED &&
                token_similarity(view_x, view_y, MEASURE_DICE, &workspace, &value) == KERNEL_STOPPED &&
                token_sort_similarity(view_x, view_y, &workspace, &value) == KERNEL_STOPPED &&
                token_set_similarity(view_x, view_y, &workspace, &value) == KERNEL_STOPPED &&
                monge_elkan_similarity(view_x, view_y, &workspace, &value) == KERNEL_STOPPED &&
                initials_similarity(view_x, view_y, &workspace, &value) == KERNEL_STOPPED,
            "the stop flag stops");
    kernel_workspace_free(&workspace);
    free(x);
    free(y);
}

int
main(void)
{
    test_known();
    test_qgrams();
    test_tokens();
    test_stop();
    free((void *)a.view.chars);
    free((void *)b.view.chars);
    return unit_done();
}
