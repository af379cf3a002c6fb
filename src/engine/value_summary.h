/*
 * value_summary.h: what training wants to know of all values of a column: how many pairs of records have the
 * same one, and which are the frequent ones. From the dictionary where the store has all values, otherwise by
 * passes over the spool, each for the values of a range of hashes.
 */
#ifndef MASTERING_ENGINE_VALUE_SUMMARY_H
#define MASTERING_ENGINE_VALUE_SUMMARY_H

#include "compat.h"

#include "engine/elements.h"
#include "engine/profile.h"
#include "engine/run.h"

#define LISTED_VALUES 5000 /* term frequencies kept of one attribute */

typedef struct value_frequency {
    text_view text;
    uint32 records;
    uint32 code; /* in the store's dictionary, where that has all values */
} value_frequency;

/*
 * First and last words of names, by places of their hashes: how many records have a name of two words or more
 * with it. Of one of so many values, as many records as there are.
 */
#define WORD_PLACES 65536

typedef struct word_places {
    uint64 one_counted;
    double records;       /* of names of two words or more */
    uint64 equal_of_word; /* pairs of records with the same name of one word */
    uint32 first[WORD_PLACES], last[WORD_PLACES];
} word_places;

typedef struct value_summary {
    double filled;        /* records that have a value */
    double held;          /* values that they have: more of elements */
    double values;        /* distinct ones */
    uint64 equal_pairs;   /* of records that have the same value: sums are exact, in whatever order */
    uint64 one_looked_at; /* of so many distinct values */
    double looked_at;     /* those that were, and of these, */
    double dates;         /* those that are dates, */
    double names[GIVEN_NAME_ENGLISH + 1]; /* and by what given names they have */
    bool wants_frequent;                  /* a comparison has term frequencies */
    word_places *words;                   /* of names; NULL: not counted */
    struct value_summary *parts;          /* of elements, or of words of names; NULL: not counted */
    uint32 frequent_count;
    value_frequency *frequent; /* values of more than two records, the most frequent first; of many of them
                                  LISTED_VALUES and one more */
} value_summary;

/* Of one slot of the run's store; kept for the next call. */
extern const value_summary *value_summary_of(match_run *run, int slot);

/* Those of all comparisons at once, on all threads, where the store has all values. */
extern void value_summaries_make(match_run *run);

/* The same of what the values of a slot consist of; filled is the number of records with a value. */
extern const value_summary *value_summary_of_parts(match_run *run, int slot, part_of_value next_part);

/* The frequent values, those of at least so many records, and their shares; of a frequency all or none. */
extern void value_summary_list(const value_summary *values, double least, term_frequencies *frequencies);

#endif
