/*
 * names.c: how alike two names of persons are: nicknames, initials, any order of words, a missing middle
 * name.
 */
#include <string.h>

#include "kernel/nicknames.h"
#include "kernel/pattern_masks.h"
#include "kernel/similarity.h"

#define MOST_WORDS 8       /* of a name; what follows is left out */
#define NICKNAME_LIKE 0.93 /* of two words of one group of nicknames */
#define INITIAL_LIKE 0.85  /* of a word and its first letter */
#define LEAST_LIKE 0.8     /* of two words that pair off */
#define OTHER_NAME 0.75    /* of a name that begins another one and is no nickname of it */
#define LEAST_WHOLE 4      /* letters of such a name */
#define MOST_SLIPS 2       /* characters that slips of the pen change in a word */
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

/* The generation that a word says, as a number: Jr., II, III; 0: none. A single I or V may be an initial. */
static int
generation(text_view word)
{
    static const struct {
        const char *word;
        int generation;
    } words[] = {{"sr", 1},  {"senior", 1}, {"jr", 2},  {"junior", 2}, {"ii", 2},
                 {"iii", 3}, {"iv", 4},     {"2nd", 2}, {"3rd", 3},    {"4th", 4}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        uint32_t length = (uint32_t)strlen(words[i].word), same = 0;

        while (same < length && same < word.length &&
               text_view_at(word, same) == (unsigned char)words[i].word[same])
            same++;
        if (same == length && same == word.length)
            return words[i].generation;
    }
    return 0;
}

static bool
begins(text_view start, text_view word)
{
    uint32_t same = 0;

    while (same < start.length && same < word.length && text_view_at(start, same) == text_view_at(word, same))
        same++;
    return same == start.length;
}

/* Whether a word is a name that is not made shorter: Anna, and not Kat. */
static bool
is_whole_name(text_view word)
{
    return word.length >= LEAST_WHOLE && nickname_known(word);
}

/*
 * Two words of names. That they begin alike says more where slips are all that they differ by (Winkler 1990),
 * or where one is cut short (Raj of Rajkumar). Darla and Darlene are two names that begin alike, Anna and
 * Annabelle two of which one begins the other, and the second and the third of one name are two persons.
 */
static kernel_status
words_alike(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    kernel_status status;
    uint32_t slips;
    int of_a = generation(a), of_b = generation(b);

    if (of_a != 0 || of_b != 0) {
        *result = of_a == of_b ? 1.0 : 0.0;
        return KERNEL_OK;
    }
    if ((a.length == 1 || b.length == 1) && text_view_at(a, 0) == text_view_at(b, 0)) {
        *result = a.length == b.length ? 1.0 : INITIAL_LIKE;
        return KERNEL_OK;
    }
    status = jaro_winkler_similarity(a, b, workspace, result);
    if (status != KERNEL_OK || *result >= NICKNAME_LIKE)
        return status;
    if (nicknames_agree(a, b)) {
        *result = NICKNAME_LIKE;
        return status;
    }
    if (*result >= LEAST_LIKE)
        status = damerau_distance(a, b, workspace, &slips);
    if (status != KERNEL_OK || *result < LEAST_LIKE || slips <= MOST_SLIPS)
        return status;
    if (!begins(a, b) && !begins(b, a))
        return jaro_similarity(a, b, workspace, result);
    if (is_whole_name(a.length < b.length ? a : b))
        *result = OTHER_NAME;
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

    return list_words(text, words) == 1 && words[0].length == text.length && generation(words[0]) == 0
               ? nickname_bits(words[0], 11)
               : NAMES_SEVERAL;
}

bool
names_abbreviates(text_view name, text_view fuller)
{
    text_view words[MOST_WORDS], others[MOST_WORDS];
    uint32_t count = list_words(name, words), other_count, letters = 0, taken = 0;
    bool fuller_than_letter = false;

    for (uint32_t i = 0; i < count; i++)
        letters += words[i].length == 1;
    if (letters == 0)
        return false;
    other_count = list_words(fuller, others);
    /* Whole words first, so that a letter does not take the place of one. */
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < count; i++) {
            bool letter = words[i].length == 1;
            uint32_t j = 0;

            if (letter != (turn == 1))
                continue;
            while (j < other_count && ((taken >> j & 1) || !begins(words[i], others[j]) ||
                                       (!letter && words[i].length != others[j].length)))
                j++;
            if (j == other_count)
                return false;
            taken |= UINT32_C(1) << j;
            fuller_than_letter |= letter && others[j].length > 1;
        }
    }
    return fuller_than_letter;
}
