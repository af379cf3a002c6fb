/*
 * names.c: how alike two names of persons are: nicknames, initials, any order of words, a missing middle
 * name.
 */
#include "kernel/nicknames.h"
#include "kernel/pattern_masks.h"
#include "kernel/similarity.h"

#define MOST_WORDS 8       /* of a name; what follows is left out */
#define NICKNAME_LIKE 0.93 /* of two words of one group of nicknames */
#define INITIAL_LIKE 0.85  /* of a word and its first letter */
#define LEAST_LIKE 0.8     /* of two words that pair off */
#define UNPAIRED_COST 0.15 /* of a word of the longer name that has no partner, in words */

static uint32_t
list_words(text_view text, text_view *words)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < text.length && count < MOST_WORDS;) {
        uint32_t from;

        while (i < text.length && token_separator(text_view_at(text, i)))
            i++;
        from = i;
        while (i < text.length && !token_separator(text_view_at(text, i)))
            i++;
        if (i > from)
            words[count++] = text_view_slice(text, from, i - from);
    }
    return count;
}

/* Two words of names. */
static kernel_status
words_alike(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    kernel_status status;

    if ((a.length == 1 || b.length == 1) && text_view_at(a, 0) == text_view_at(b, 0)) {
        *result = a.length == b.length ? 1.0 : INITIAL_LIKE;
        return KERNEL_OK;
    }
    status = jaro_winkler_similarity(a, b, workspace, result);
    if (status == KERNEL_OK && *result < NICKNAME_LIKE && nicknames_agree(a, b))
        *result = NICKNAME_LIKE;
    return status;
}

/* Pairs the words off, the most alike first; ties by place. */
static double
pair_off(double alike[MOST_WORDS][MOST_WORDS], uint32_t count_a, uint32_t count_b)
{
    uint32_t taken_a = 0, taken_b = 0; /* a bit a word */
    double sum = 0;

    for (;;) {
        double best = 0;
        uint32_t best_i = 0, best_j = 0;

        for (uint32_t i = 0; i < count_a; i++)
            for (uint32_t j = 0; j < count_b && !(taken_a >> i & 1); j++)
                if (!(taken_b >> j & 1) && alike[i][j] > best) {
                    best = alike[i][j];
                    best_i = i;
                    best_j = j;
                }
        if (best < LEAST_LIKE)
            return sum;
        sum += best;
        taken_a |= UINT32_C(1) << best_i;
        taken_b |= UINT32_C(1) << best_j;
    }
}

kernel_status
names_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    text_view words_a[MOST_WORDS], words_b[MOST_WORDS];
    uint32_t count_a = list_words(a, words_a), count_b = list_words(b, words_b), fewer, more;
    double alike[MOST_WORDS][MOST_WORDS], back[MOST_WORDS][MOST_WORDS], sum, other;
    kernel_status status = KERNEL_OK;

    if (count_a == 0 || count_b == 0) {
        *result = count_a == count_b ? 1.0 : 0.0;
        return KERNEL_OK;
    }
    if (count_a == 1 && count_b == 1)
        return words_alike(words_a[0], words_b[0], workspace, result);
    for (uint32_t i = 0; i < count_a && status == KERNEL_OK; i++) {
        for (uint32_t j = 0; j < count_b && status == KERNEL_OK; j++) {
            status = words_alike(words_a[i], words_b[j], workspace, &alike[i][j]);
            back[j][i] = alike[i][j];
        }
    }
    if (status != KERNEL_OK)
        return status;
    fewer = count_a < count_b ? count_a : count_b;
    more = count_a < count_b ? count_b : count_a;
    sum = pair_off(alike, count_a, count_b);
    other = pair_off(back, count_b, count_a); /* ties may fall otherwise: the same for both orders */
    *result = (sum > other ? sum : other) / (fewer + UNPAIRED_COST * (more - fewer));

    /* "maryann" and "mary ann" */
    if (fewer == 1) {
        status = jaro_winkler_similarity(a, b, workspace, &other);
        *result = status == KERNEL_OK && other > *result ? other : *result;
    }
    return status;
}

uint32_t
names_signature(text_view text)
{
    text_view words[MOST_WORDS];

    return list_words(text, words) == 1 && words[0].length == text.length ? nickname_bits(words[0], 11)
                                                                          : NAMES_SEVERAL;
}
