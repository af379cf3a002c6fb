/*
 * name_words.c: see name_words.h.
 */
#include "compat.h"

#include <math.h>

#include "engine/name_words.h"
#include "engine/value_summary.h"
#include "kernel/pattern_masks.h"

#define WORDS_SCALE 0.5     /* of what rarity alone would say */
#define SEVERAL_WORDS 1.5   /* on average of the names */
#define MOST_CHARACTERS 512 /* of a name that are looked at */

static bool
is_separator(text_view name, uint32 i)
{
    return token_separator(text_view_at(name, i));
}

/* The next word from *place on, whether it is there before or not. */
static bool
next_word(text_view name, uint32 *place, text_view *word)
{
    uint32 end = Min(name.length, MOST_CHARACTERS), first;

    while (*place < end && is_separator(name, *place))
        ++*place;
    first = *place;
    while (*place < end && !is_separator(name, *place))
        ++*place;
    *word = text_view_slice(name, first, *place - first);
    return *place > first;
}

static bool
is_there_before(text_view name, uint32 before, text_view word)
{
    uint32 place = 0;
    text_view other;

    while (place < before && next_word(name, &place, &other) && place <= before)
        if (text_view_compare(other, word) == 0)
            return true;
    return false;
}

bool
next_name_word(text_view name, uint32 *place, text_view *word)
{
    while (next_word(name, place, word))
        if (!is_there_before(name, *place - word->length, *word))
            return true;
    return false;
}

/* Whether another comparison has the words of the same values weighed already. */
static bool
words_are_compared(const match_run *run, const match_spec *spec, int c)
{
    for (int other = 0; other < spec->comparison_count; other++)
        if (run->comparison_slots[other] == run->comparison_slots[c] &&
            method_weighs_terms(spec->comparisons[other].method))
            return true;
    return false;
}

/* The share of a word that n of the records have: of the others that a record with it meets. */
static double
share_of(double records, double filled)
{
    return Max(records - 1.0, 1.0) / filled;
}

void
name_words_learn(match_run *run, match_spec *spec, int c)
{
    comparison_spec *comparison = &spec->comparisons[c];
    int slot = run->comparison_slots[c];
    term_frequencies *words = &comparison->words;
    const value_summary *names, *summary;
    double pairs, others, filled;

    *words = (term_frequencies){0};
    if (comparison->method != METHOD_NAMES || comparison->elements != ELEMENTS_NONE ||
        !comparison->term_frequency || words_are_compared(run, spec, c))
        return;
    /* Of given names alone nothing is counted. */
    names = value_summary_of(run, slot);
    if (names->words->records * names->words->one_counted < (SEVERAL_WORDS - 1.0) * names->filled)
        return;
    summary = value_summary_of_parts(run, slot, next_name_word);
    filled = Max(summary->filled, 1.0);
    pairs = 2.0 * (double)summary->equal_pairs;
    others = summary->held - summary->values;
    if (summary->held < SEVERAL_WORDS * filled || others < 1)
        return;
    words->usual = pairs / others / filled;
    words->scale = WORDS_SCALE;
    value_summary_list(summary, 0, words);
    for (int i = 0; i < words->count; i++) {
        double records = rint(words->shares[i] * filled);

        words->shares[i] = share_of(records, filled);
        pairs -= records * (records - 1.0);
        others -= records - 1.0;
    }
    words->other = share_of(others < 1 ? 2.0 : pairs / others, filled);
}
