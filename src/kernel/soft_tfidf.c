/*
 * soft_tfidf.c: the cosine of two texts' words, weighed by how rare they are, where words that are alike
 * count as the same (Cohen, Ravikumar & Fienberg 2003; the inner similarity is that of Monge & Elkan 1996).
 *
 * Words pair off, each with one of the other text at most: equal ones first, then those that are most alike
 * by Jaro-Winkler, down to the threshold; so the measure is symmetric and at most 1. A pair counts for the
 * product of its words' weights, times its similarity. Words with digits are equal or they are not: two model
 * numbers that differ in a digit are alike to any comparison of characters, and are two models.
 *
 * Sums are of whole numbers, and ties go by the words' weights and order, so that nothing depends on the
 * order in which words or texts come.
 */
#include "kernel/soft_tfidf.h"

#include <stdlib.h>

#include "kernel/hash.h"

#define SIMILARITY_UNITS 1024

/* ---- the words ---- */

typedef struct hashed_word {
    uint64_t hash;
    text_view word;
} hashed_word;

static int
compare_hashes(const void *a, const void *b)
{
    uint64_t x = ((const hashed_word *)a)->hash, y = ((const hashed_word *)b)->hash;

    return x < y ? -1 : x > y;
}

/* A value's words; their number. Room for one in two characters. */
static uint32_t
value_words(text_view text, hashed_word *words)
{
    uint32_t length = text.length < MAX_TERM_CHARACTERS ? text.length : MAX_TERM_CHARACTERS, count = 0, i = 0;

    while (i < length) {
        uint32_t first;

        while (i < length && token_separator(text_view_at(text, i)))
            i++;
        first = i;
        while (i < length && !token_separator(text_view_at(text, i)))
            i++;
        if (i > first) {
            text_view word = {(const char *)text.chars + (size_t)first * text.width, i - first, text.width};

            words[count++] = (hashed_word){term_hash(word, 0), word};
        }
    }
    qsort(words, count, sizeof(hashed_word), compare_hashes);
    return count;
}

void
term_words_fill(const text_view *texts, const term_vectors *vectors, uint32_t first, uint32_t end,
                text_view *words)
{
    hashed_word found[MAX_TERM_CHARACTERS / 2 + 1];

    for (uint32_t value = first; value < end; value++) {
        uint32_t count = value_words(texts[value], found);
        uint64_t place = vectors->starts[value];

        /* Terms are numbered in the order of their hashes, so the value's list has its words in this order.
         */
        for (uint32_t i = 0; i < count && place < vectors->starts[value + 1]; i++)
            if (i == 0 || found[i].hash != found[i - 1].hash)
                words[vectors->terms[place++]] = found[i].word;
    }
}

/* ---- the measure ---- */

typedef struct rare_word {
    uint32_t term;
    uint16_t weight;
} rare_word;

typedef struct word_pair {
    uint32_t similarity; /* in units */
    uint32_t product;    /* of the weights */
    uint32_t low, high;  /* the terms, the lesser first */
    uint8_t i, j;        /* places among the rare words */
} word_pair;

/* Keeps the heaviest, ties by the lesser term. */
static void
keep_word(rare_word *words, uint32_t *count, uint32_t term, uint16_t weight)
{
    uint32_t place = *count;

    if (weight == 0)
        return;
    while (place > 0 && words[place - 1].weight < weight)
        place--;
    if (place == MAX_SOFT_WORDS)
        return;
    if (*count < MAX_SOFT_WORDS)
        (*count)++;
    for (uint32_t i = *count - 1; i > place; i--)
        words[i] = words[i - 1];
    words[place] = (rare_word){term, weight};
}

static bool
has_digit(text_view word)
{
    for (uint32_t i = 0; i < word.length; i++)
        if (text_view_at(word, i) >= '0' && text_view_at(word, i) <= '9')
            return true;
    return false;
}

/* The best Jaro-Winkler that words of such lengths can have. */
static double
best_for_lengths(double a, double b)
{
    double jaro = ((a < b ? a / b : b / a) + 2.0) / 3.0;

    return jaro + 0.4 * (1.0 - jaro);
}

static int
compare_pairs(const void *a, const void *b)
{
    const word_pair *x = a, *y = b;

    if (x->similarity != y->similarity)
        return x->similarity > y->similarity ? -1 : 1;
    if (x->product != y->product)
        return x->product > y->product ? -1 : 1;
    if (x->low != y->low)
        return x->low < y->low ? -1 : 1;
    return x->high < y->high ? -1 : x->high > y->high;
}

/* The sum over words that have no equal in the other text; adds to *sum. */
static kernel_status
pair_off(const term_vectors *vectors, const rare_word *a, uint32_t count_a, const rare_word *b,
         uint32_t count_b, double least, kernel_workspace *workspace, uint64_t *sum)
{
    word_pair pairs[MAX_SOFT_WORDS * MAX_SOFT_WORDS];
    uint64_t taken_a = 0, taken_b = 0;
    uint32_t count = 0;

    for (uint32_t i = 0; i < count_a; i++) {
        text_view word = vectors->words[a[i].term];

        if (has_digit(word))
            continue;
        for (uint32_t j = 0; j < count_b; j++) {
            text_view other = vectors->words[b[j].term];
            double similarity;
            kernel_status status;

            if (best_for_lengths(word.length, other.length) < least || has_digit(other))
                continue;
            status = jaro_winkler_similarity(word, other, workspace, &similarity);
            if (status != KERNEL_OK)
                return status;
            if (similarity >= least)
                pairs[count++] = (word_pair){(uint32_t)(similarity * SIMILARITY_UNITS + 0.5),
                                             (uint32_t)a[i].weight * b[j].weight,
                                             a[i].term < b[j].term ? a[i].term : b[j].term,
                                             a[i].term < b[j].term ? b[j].term : a[i].term,
                                             (uint8_t)i,
                                             (uint8_t)j};
        }
    }
    qsort(pairs, count, sizeof(word_pair), compare_pairs);
    for (uint32_t p = 0; p < count; p++) {
        if ((taken_a >> pairs[p].i & 1) != 0 || (taken_b >> pairs[p].j & 1) != 0)
            continue;
        taken_a |= UINT64_C(1) << pairs[p].i;
        taken_b |= UINT64_C(1) << pairs[p].j;
        *sum += (uint64_t)pairs[p].product * pairs[p].similarity;
    }
    return KERNEL_OK;
}

kernel_status
soft_tfidf_similarity(const term_vectors *vectors, uint32_t a, uint32_t b, double least,
                      kernel_workspace *workspace, double *result)
{
    uint64_t i = vectors->starts[a], end_i = vectors->starts[a + 1];
    uint64_t j = vectors->starts[b], end_j = vectors->starts[b + 1];
    rare_word words_a[MAX_SOFT_WORDS], words_b[MAX_SOFT_WORDS];
    uint32_t count_a = 0, count_b = 0;
    uint64_t sum = 0;

    *result = 0;
    if (vectors->norms[a] == 0 || vectors->norms[b] == 0)
        return KERNEL_OK;
    while (i < end_i || j < end_j) {
        uint32_t x = i < end_i ? vectors->terms[i] : UINT32_MAX,
                 y = j < end_j ? vectors->terms[j] : UINT32_MAX;

        if (x == y)
            sum += (uint64_t)vectors->weights[x] * vectors->weights[x] * SIMILARITY_UNITS;
        else if (x < y)
            keep_word(words_a, &count_a, x, vectors->weights[x]);
        else
            keep_word(words_b, &count_b, y, vectors->weights[y]);
        i += x <= y;
        j += y <= x;
    }
    if (count_a > 0 && count_b > 0) {
        kernel_status status = pair_off(vectors, words_a, count_a, words_b, count_b, least, workspace, &sum);

        if (status != KERNEL_OK)
            return status;
    }
    *result = (double)sum / SIMILARITY_UNITS / (vectors->norms[a] * vectors->norms[b]);
    /* A word is its own square root's worth of rounding away from more than 1. */
    if (*result > 1.0)
        *result = 1.0;
    return KERNEL_OK;
}
