/*
 * fuzz_words.c: what takes texts for words or q-grams, against lists that are searched from end to end.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/naive_jaro.h"
#include "../unit/naive_slice.h"
#include "fuzz.h"
#include "kernel/fixed_point.h"
#include "kernel/minhash.h"
#include "kernel/nicknames.h"
#include "kernel/similarity.h"
#include "kernel/soft_tfidf.h"
#include "kernel/term_vectors.h"

typedef struct slice_list {
    slice items[LONGEST];
    uint32_t count;
} slice_list;

/* White_Space of Unicode. */
static bool
naive_space(uint32_t c)
{
    static const uint32_t spaces[] = {0x9,    0xA,    0xB,    0xC,    0xD,    0x20,   0x85,   0xA0,   0x1680,
                                      0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008,
                                      0x2009, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};

    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (c == spaces[i])
            return true;
    return false;
}

static void
naive_words(const fuzz_text *text, slice_list *words)
{
    uint32_t from = 0;

    words->count = 0;
    for (uint32_t i = 0; i <= text->length; i++) {
        if (i < text->length && !naive_space(text->points[i]))
            continue;
        if (i > from)
            words->items[words->count++] = (slice){text->points + from, i - from, from};
        from = i + 1;
    }
}

static bool
has_slice(const slice_list *list, slice wanted)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (same_slice(list->items[i], wanted))
            return true;
    return false;
}

static void
sort_slices(slice_list *list)
{
    for (uint32_t i = 1; i < list->count; i++)
        for (uint32_t j = i; j > 0 && slice_order(list->items[j - 1], list->items[j]) > 0; j--) {
            slice swap = list->items[j];

            list->items[j] = list->items[j - 1];
            list->items[j - 1] = swap;
        }
}

static void
distinct_slices(const slice_list *from, slice_list *to)
{
    to->count = 0;
    for (uint32_t i = 0; i < from->count; i++)
        if (!has_slice(to, from->items[i]))
            to->items[to->count++] = from->items[i];
}

/* Adds the words to what is written, apart by one space. */
static void
append_words(const slice_list *list, uint32_t *target, uint32_t *length)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (*length > 0)
            target[(*length)++] = ' ';
        memcpy(target + *length, list->items[i].points, list->items[i].length * sizeof(uint32_t));
        *length += list->items[i].length;
    }
}

static slice_list words_a, words_b, set_a, set_b, both, rest_a, rest_b;

static double
lcs_share(const uint32_t *x, uint32_t x_length, const uint32_t *y, uint32_t y_length)
{
    return x_length + y_length == 0 ? 0.0
                                    : 2.0 * naive_lcs_of(x, x_length, y, y_length) / (x_length + y_length);
}

static double
naive_token_sort(void)
{
    static uint32_t x[LONGEST + 1], y[LONGEST + 1];
    uint32_t x_length = 0, y_length = 0;
    slice_list sorted_a = words_a, sorted_b = words_b;

    sort_slices(&sorted_a);
    sort_slices(&sorted_b);
    append_words(&sorted_a, x, &x_length);
    append_words(&sorted_b, y, &y_length);
    return lcs_share(x, x_length, y, y_length);
}

/* The best of three texts with each other: the common words, they and the rest of a, they and the rest of b.
 */
static double
naive_token_set(void)
{
    static uint32_t texts[3][2 * LONGEST + 2];
    uint32_t lengths[3] = {0, 0, 0};
    double best = 0;

    both.count = rest_a.count = rest_b.count = 0;
    for (uint32_t i = 0; i < set_a.count; i++) {
        slice_list *to = has_slice(&set_b, set_a.items[i]) ? &both : &rest_a;

        to->items[to->count++] = set_a.items[i];
    }
    for (uint32_t i = 0; i < set_b.count; i++)
        if (!has_slice(&set_a, set_b.items[i]))
            rest_b.items[rest_b.count++] = set_b.items[i];
    sort_slices(&both);
    sort_slices(&rest_a);
    sort_slices(&rest_b);
    for (int t = 0; t < 3; t++) {
        append_words(&both, texts[t], &lengths[t]);
        if (t > 0)
            append_words(t == 1 ? &rest_a : &rest_b, texts[t], &lengths[t]);
    }
    for (int s = 0; s < 3; s++)
        for (int t = s + 1; t < 3; t++) {
            double share = lengths[s] == 0 || lengths[t] == 0
                               ? 0
                               : lcs_share(texts[s], lengths[s], texts[t], lengths[t]);

            best = share > best ? share : best;
        }
    return best;
}

static double
naive_monge_elkan_to(const slice_list *from, const slice_list *to)
{
    double sum = 0;

    for (uint32_t i = 0; i < from->count; i++) {
        double best = 0;

        for (uint32_t j = 0; j < to->count; j++) {
            double like = naive_jaro_winkler_of(from->items[i].points, from->items[i].length,
                                                to->items[j].points, to->items[j].length);

            best = like > best ? like : best;
        }
        sum += best;
    }
    return sum / from->count;
}

static double
naive_initials(void)
{
    static uint32_t matrix[LONGEST + 1][LONGEST + 1];

    for (uint32_t i = 0; i <= words_a.count; i++)
        for (uint32_t j = 0; j <= words_b.count; j++) {
            matrix[i][j] = 0;
            if (i > 0 && j > 0) {
                slice x = words_a.items[i - 1], y = words_b.items[j - 1];
                bool agree =
                    same_slice(x, y) || ((x.length == 1 || y.length == 1) && x.points[0] == y.points[0]);

                matrix[i][j] = matrix[i - 1][j] > matrix[i][j - 1] ? matrix[i - 1][j] : matrix[i][j - 1];
                if (agree && matrix[i - 1][j - 1] + 1 > matrix[i][j])
                    matrix[i][j] = matrix[i - 1][j - 1] + 1;
            }
        }
    return (double)matrix[words_a.count][words_b.count] /
           (words_a.count > words_b.count ? words_a.count : words_b.count);
}

void
fuzz_token(void)
{
    bool settled;
    double nothing, value;
    uint32_t common = 0;

    naive_words(&a, &words_a);
    naive_words(&b, &words_b);
    distinct_slices(&words_a, &set_a);
    distinct_slices(&words_b, &set_b);
    settled = words_a.count == 0 || words_b.count == 0;
    nothing = words_a.count == words_b.count ? 1.0 : 0.0;
    for (uint32_t i = 0; i < set_a.count; i++)
        common += has_slice(&set_b, set_a.items[i]);
    for (set_measure measure = MEASURE_DICE; measure <= MEASURE_OVERLAP; measure++) {
        if (token_similarity(a.view, b.view, measure, &workspace, &value) != KERNEL_OK)
            abort();
        expect("token", settled ? nothing : set_measure_value(measure, common, set_a.count, set_b.count),
               value);
    }
    expect("token_sort", settled ? nothing : naive_token_sort(), measured(token_sort_similarity));
    expect("token_set", settled ? nothing : naive_token_set(), measured(token_set_similarity));
    expect("monge_elkan",
           settled
               ? nothing
               : (naive_monge_elkan_to(&words_a, &words_b) + naive_monge_elkan_to(&words_b, &words_a)) / 2,
           measured(monge_elkan_similarity));
    expect("initials", settled ? nothing : naive_initials(), measured(initials_similarity));
}

/* ---- names ---- */

#define NAME_WORDS 8

static text_view
slice_view(const fuzz_text *text, slice word)
{
    return (text_view){(const char *)text->view.chars + (size_t)word.first * text->view.width, word.length,
                       text->view.width};
}

static bool
naive_is(slice x, const char *word)
{
    uint32_t length = (uint32_t)strlen(word), same = 0;

    while (same < length && same < x.length && x.points[same] == (unsigned char)word[same])
        same++;
    return same == length && same == x.length;
}

static int
naive_generation(slice x)
{
    return naive_is(x, "sr") || naive_is(x, "senior")                                              ? 1
           : naive_is(x, "jr") || naive_is(x, "junior") || naive_is(x, "ii") || naive_is(x, "2nd") ? 2
           : naive_is(x, "iii") || naive_is(x, "3rd")                                              ? 3
           : naive_is(x, "iv") || naive_is(x, "4th")                                               ? 4
                                                                                                   : 0;
}

static double
naive_words_alike(slice x, slice y)
{
    double value;

    if (naive_generation(x) != 0 || naive_generation(y) != 0)
        return naive_generation(x) == naive_generation(y) ? 1.0 : 0.0;
    if ((x.length == 1 || y.length == 1) && x.points[0] == y.points[0])
        return x.length == y.length ? 1.0 : 0.85;
    value = naive_jaro_winkler_of(x.points, x.length, y.points, y.length);
    if (value >= 0.93)
        return value;
    if (nicknames_agree(slice_view(&a, x), slice_view(&b, y)))
        return 0.93;
    if (value < 0.8 || naive_distance_of(x.points, x.length, y.points, y.length, true) <= 2)
        return value;
    if (memcmp(x.points, y.points, fmin(x.length, y.length) * sizeof(uint32_t)) != 0)
        return naive_jaro(x.points, x.length, y.points, y.length);
    return x.length < y.length ? (x.length >= 4 && nickname_known(slice_view(&a, x)) ? 0.75 : value)
                               : (y.length >= 4 && nickname_known(slice_view(&b, y)) ? 0.75 : value);
}

/* Pairs off, the most alike first; ties by the place in one text, then in the other. */
static double
naive_pairs(double alike[NAME_WORDS][NAME_WORDS], bool a_first)
{
    bool taken_a[NAME_WORDS] = {false}, taken_b[NAME_WORDS] = {false};
    double sum = 0;

    for (;;) {
        double best = -1;
        uint32_t best_i = 0, best_j = 0, outer = a_first ? words_a.count : words_b.count,
                 inner = a_first ? words_b.count : words_a.count;

        for (uint32_t s = 0; s < outer; s++)
            for (uint32_t t = 0; t < inner; t++) {
                uint32_t i = a_first ? s : t, j = a_first ? t : s;

                if (!taken_a[i] && !taken_b[j] && alike[i][j] > best) {
                    best = alike[i][j];
                    best_i = i;
                    best_j = j;
                }
            }
        if (best < 0.8)
            return sum;
        sum += best;
        taken_a[best_i] = taken_b[best_j] = true;
    }
}

static double
naive_names(void)
{
    double alike[NAME_WORDS][NAME_WORDS], sum, other, result, whole;
    uint32_t fewer, more;

    if (words_a.count > NAME_WORDS)
        words_a.count = NAME_WORDS;
    if (words_b.count > NAME_WORDS)
        words_b.count = NAME_WORDS;
    if (words_a.count == 0 || words_b.count == 0)
        return words_a.count == words_b.count ? 1.0 : 0.0;
    for (uint32_t i = 0; i < words_a.count; i++)
        for (uint32_t j = 0; j < words_b.count; j++)
            alike[i][j] = naive_words_alike(words_a.items[i], words_b.items[j]);
    if (words_a.count == 1 && words_b.count == 1)
        return alike[0][0];
    fewer = words_a.count < words_b.count ? words_a.count : words_b.count;
    more = words_a.count < words_b.count ? words_b.count : words_a.count;
    sum = naive_pairs(alike, true);
    other = naive_pairs(alike, false);
    result = (sum > other ? sum : other) / (fewer + 0.15 * (more - fewer));
    whole = naive_jaro_winkler_of(a.points, a.length, b.points, b.length);
    return fewer == 1 && whole > result ? whole : result;
}

static void
check_names(void)
{
    naive_words(&a, &words_a);
    naive_words(&b, &words_b);
    expect("names", naive_names(), measured(names_similarity));

    /* What a signature rules out is ruled out: one word each, and no group of nicknames in common. */
    if (words_a.count == 1 && words_b.count == 1 && words_a.items[0].length == a.length &&
        words_b.items[0].length == b.length && (names_signature(a.view) & names_signature(b.view)) == 0 &&
        nicknames_agree(a.view, b.view))
        complain("signature of nicknames", 1, 0);
}

/* A name of up to four words that mean something, chosen by the first characters of a text. */
static void
choose_name(const fuzz_text *by, fuzz_text *name)
{
    static const char *const words[] = {"ii",      "iii",    "iv",        "jr",        "junior",   "sr",
                                        "2nd",     "3rd",    "anna",      "annabelle", "ann",      "darla",
                                        "darlene", "robert", "bob",       "raj",       "rajkumar", "mary",
                                        "maryann", "k",      "katherine", "kate"};
    char *chars;

    name->length = 0;
    for (uint32_t i = 0; i < by->length && i < 1 + by->length % 4; i++) {
        const char *word = words[by->points[i] % (sizeof words / sizeof *words)];

        if (i > 0)
            name->points[name->length++] = ' ';
        while (*word != '\0')
            name->points[name->length++] = (unsigned char)*word++;
    }
    chars = malloc(name->length == 0 ? 1 : name->length);
    if (chars == NULL)
        abort();
    for (uint32_t i = 0; i < name->length; i++)
        chars[i] = (char)name->points[i];
    name->view = (text_view){chars, name->length, 1};
}

/* The texts themselves, and names that they choose the words of. */
void
fuzz_names(void)
{
    static fuzz_text given_a, given_b;

    check_names();
    given_a = a;
    given_b = b;
    choose_name(&given_a, &a);
    choose_name(&given_b, &b);
    check_names();
    free((void *)a.view.chars);
    free((void *)b.view.chars);
    a = given_a;
    b = given_b;
}

/* ---- terms ---- */

#define TERM_RECORDS_A 2
#define TERM_RECORDS_B 3
#define TERM_RECORDS 7 /* two more have no text */

static uint32_t padded_a[LONGEST + 2], padded_b[LONGEST + 2];

static void
naive_terms(const fuzz_text *text, uint32_t q, uint32_t *padded, slice_list *terms)
{
    static slice_list grams;

    if (q == 0) {
        naive_words(text, &grams);
        distinct_slices(&grams, terms);
        return;
    }
    grams.count = 0;
    padded[0] = padded[text->length + 1] = ' ';
    memcpy(padded + 1, text->points, text->length * sizeof(uint32_t));
    for (uint32_t i = 0; text->length > 0 && (i == 0 || i + q <= text->length + 2); i++) {
        if (grams.count == LONGEST)
            abort(); /* an input has fewer characters */
        grams.items[grams.count++] = (slice){padded + i, text->length + 2 < q ? text->length + 2 : q, i};
    }
    distinct_slices(&grams, terms);
}

static double
naive_term_weight(slice term)
{
    uint32_t having =
        (has_slice(&set_a, term) ? TERM_RECORDS_A : 0) + (has_slice(&set_b, term) ? TERM_RECORDS_B : 0);

    return floor(portable_log2((double)TERM_RECORDS / having) * TERM_WEIGHT_UNITS + 0.5);
}

static double
naive_cosine(void)
{
    double dot = 0, square_a = 0, square_b = 0;

    for (uint32_t i = 0; i < set_a.count; i++) {
        double weight = naive_term_weight(set_a.items[i]);

        square_a += weight * weight;
        dot += has_slice(&set_b, set_a.items[i]) ? weight * weight : 0;
    }
    for (uint32_t j = 0; j < set_b.count; j++)
        square_b += naive_term_weight(set_b.items[j]) * naive_term_weight(set_b.items[j]);
    return square_a == 0 || square_b == 0 ? 0 : dot / (sqrt(square_a) * sqrt(square_b));
}

static bool
slice_has_digit(slice word)
{
    for (uint32_t i = 0; i < word.length; i++)
        if (word.points[i] >= '0' && word.points[i] <= '9')
            return true;
    return false;
}

/* What is at most gained by words that are alike: each of a by its best partner. */
static double
naive_soft_bound(double least)
{
    double dot = 0, square_a = 0, square_b = 0;

    for (uint32_t i = 0; i < set_a.count; i++) {
        slice x = set_a.items[i];
        double best = 0, weight = naive_term_weight(x);

        square_a += weight * weight;
        for (uint32_t j = 0; j < set_b.count; j++) {
            slice y = set_b.items[j];
            double like =
                same_slice(x, y) ? 1.0 : naive_jaro_winkler_of(x.points, x.length, y.points, y.length);

            if (!same_slice(x, y) && (slice_has_digit(x) || slice_has_digit(y)))
                continue;
            if (like >= least - 1e-9 && like * naive_term_weight(y) > best)
                best = like * naive_term_weight(y);
        }
        dot += weight * best;
    }
    for (uint32_t j = 0; j < set_b.count; j++)
        square_b += naive_term_weight(set_b.items[j]) * naive_term_weight(set_b.items[j]);
    return square_a == 0 || square_b == 0 ? 0 : dot / (sqrt(square_a) * sqrt(square_b));
}

void
fuzz_terms(void)
{
    text_view texts[3] = {{"", 0, 1}, a.view, b.view};
    uint32_t records[3] = {0, TERM_RECORDS_A, TERM_RECORDS_B};

    for (uint32_t q = 0; q <= 3; q += 3) {
        static keyed_record entries[4 * LONGEST], scratch[4 * LONGEST];
        static uint64_t counts[4 * LONGEST], starts[4];
        static uint16_t weights[4 * LONGEST];
        static uint32_t terms[4 * LONGEST];
        static text_view words[4 * LONGEST];
        double norms[3], value, back, cosine;
        uint64_t count = term_entries(texts, 3, q, NULL);
        term_vectors vectors = {.value_count = 3};

        if (count > 4 * LONGEST || term_entries(texts, 3, q, entries) != count)
            abort();
        naive_terms(&a, q, padded_a, &set_a);
        naive_terms(&b, q, padded_b, &set_b);
        count = term_entries_sort(entries, scratch, count, &vectors.term_count);
        expect("entries", set_a.count + set_b.count, (double)count);
        term_counts(entries, count, records, counts);
        for (uint32_t t = 0; t < vectors.term_count; t++)
            weights[t] = term_weight(TERM_RECORDS, (double)counts[t]);
        term_vectors_fill(entries, count, weights, starts, terms, norms, &vectors);
        cosine = naive_cosine();
        expect("tfidf", cosine, term_vectors_cosine(&vectors, 1, 2));
        if (term_vectors_cosine(&vectors, 1, 2) != term_vectors_cosine(&vectors, 2, 1))
            complain("tfidf the other way round", term_vectors_cosine(&vectors, 1, 2),
                     term_vectors_cosine(&vectors, 2, 1));
        if (q > 0)
            continue;
        vectors.words = words;
        term_words_fill(texts, &vectors, 1, 3, words);
        if (soft_tfidf_similarity(&vectors, 1, 2, 1.0, &workspace, &value) != KERNEL_OK)
            abort();
        expect("soft_tfidf of equal words only", cosine, value);
        if (soft_tfidf_similarity(&vectors, 1, 2, 0.85, &workspace, &value) != KERNEL_OK ||
            soft_tfidf_similarity(&vectors, 2, 1, 0.85, &workspace, &back) != KERNEL_OK)
            abort();
        if (value != back)
            complain("soft_tfidf the other way round", value, back);
        if (value < cosine - 1e-12 || value > naive_soft_bound(0.85) + 1e-3)
            complain("soft_tfidf between the cosine and its bound", naive_soft_bound(0.85), value);
    }
}

/* ---- MinHash ---- */

/* Neither order nor repetition counts, and equal minima of different bands are different keys. */
void
fuzz_minhash(void)
{
    uint64_t there[24], back[24], keys[8], again[8];

    minhash_begin(there, 24);
    minhash_begin(back, 24);
    for (uint32_t i = 0; i + 2 < a.length; i++)
        minhash_add(there, 24, a.points + i, 3 * sizeof(uint32_t));
    for (uint32_t i = a.length > 2 ? a.length - 2 : 0; i-- > 0;) {
        minhash_add(back, 24, a.points + i, 3 * sizeof(uint32_t));
        minhash_add(back, 24, a.points + i, 3 * sizeof(uint32_t));
    }
    minhash_keys(there, 8, 3, keys);
    minhash_keys(back, 8, 3, again);
    for (int band = 0; band < 8; band++) {
        if (keys[band] != again[band])
            complain("minhash in another order", (double)keys[band], (double)again[band]);
        for (int other = 0; other < band; other++)
            if (keys[band] == keys[other])
                complain("minhash of two bands", (double)keys[band], (double)keys[other]);
    }
    /* A union has the lesser of the minima. */
    for (uint32_t i = 0; i + 2 < b.length; i++) {
        minhash_add(there, 24, b.points + i, 3 * sizeof(uint32_t));
        minhash_begin(keys, 8);
        minhash_add(keys, 8, b.points + i, 3 * sizeof(uint32_t));
        for (int m = 0; m < 8; m++)
            if (there[m] > keys[m])
                complain("minimum", (double)keys[m], (double)there[m]);
    }
}
