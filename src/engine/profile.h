/*
 * profile.h: what the columns of a query hold, and the specification that follows from it.
 */
#ifndef MASTERING_ENGINE_PROFILE_H
#define MASTERING_ENGINE_PROFILE_H

#include "compat.h"

#include "engine/record_store.h"
#include "utils/jsonb.h"

typedef enum column_kind {
    KIND_EMPTY, /* no value, or one value only: says nothing */
    KIND_EMAIL,
    KIND_PHONE,
    KIND_DATE,
    KIND_NUMBER,
    KIND_QUANTITY, /* numbers with units (quantities.h) */
    KIND_CODE,     /* postcodes, account and product numbers */
    KIND_NAME,     /* one to three words */
    KIND_CATEGORY, /* few values */
    KIND_TEXT,     /* titles, descriptions, addresses */
} column_kind;

typedef struct column_profile {
    const char *name;
    const char *expression; /* SQL; of a column its quoted name */
    bool is_group;          /* columns put together (column_groups.h) */
    bool in_form;           /* a function brings its values to one form (value_forms.h) */
    bool is_list;           /* an array: what is said of its values is said of its elements */
    column_kind kind;
    uint64 records;
    uint64 filled;
    uint64 distinct;
    double share;  /* of the query's records, that were looked at: what is counted here is counted of these */
    double of_all; /* distinct values of all records, by those */
    double mean_length; /* characters of a filled value, of a long one those that are compared */
    double mean_whole;  /* the same, of all characters */
    double mean_words;
    double mean_digits;
    double with_years;  /* share of filled values that are years, where others are dates */
    double with_digits; /* share of filled values that have letters and digits */
    double with_models; /* share of filled values that have a model number (kernel/quantity.h) */
    double given_names; /* share of filled values with a word that is a given name or a nickname */
    double equal_share; /* probability that two filled values are equal */
    double spread;      /* of numbers: from the lowest twentieth to the highest */
    const char *unit;   /* of quantities: the commonest, which plain numbers have */
    double usual;       /* in the unit, where plain numbers have several (kernel/quantity_value.h); else 0 */
    bool decimal_comma;
    bool is_money;
    bool wide;         /* they differ by a multiple */
    bool several_ways; /* they are written in several ways: 2000 and 2000.0 */
    uint32 *same;      /* by code: the first code with that amount; 0: none */
    uint64 longest;
    uint32 top_count; /* most frequent values, at most 5 */
    uint32 top_codes[5];
    uint32 top_records[5];
    int part_of;              /* 1 + the place of the group that has the column as a part; 0: of none */
    bool completes_names;     /* names records in which no column names a person (name_columns.h) */
    bool in_own_script;       /* the same, mostly in letters that are not Latin */
    bool by_local_part;       /* e-mail addresses, compared without their domains; set then, too */
    bool left_of_whole;       /* no part of the text of the whole record; set when one is suggested */
    bool repeats;             /* says again what other columns say; set when a specification is suggested */
    const dictionary *values; /* of an array its elements, which no row has codes of */
} column_profile;

/* How many of the filled values are different ones, among all records. */
static inline double
share_different(const column_profile *profile)
{
    return profile->of_all * profile->share / Max(profile->filled, 1);
}

/* What columns are compared by: a character of a word, ASCII in lower case; 0 for what parts words. */
static inline uint32
word_character(uint32 c)
{
    if (c >= 'A' && c <= 'Z')
        return c + ('a' - 'A');
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c > 127 ? c : 0;
}

#define WORDS_COMPARED 32 /* of one value */

/* The hashes of a value's words: letters and digits, ASCII in lower case. Returns their number. */
extern int value_words(text_view text, uint64 words[WORDS_COMPARED]);

/* Profiles every column of the query but id and source. */
extern column_profile *profile_query(MemoryContext context, const char *query, int *count,
                                     record_store **store);

/* The same, and expressions over the columns behind them. */
extern column_profile *profile_query_with(MemoryContext context, const char *query,
                                          const char *const *expressions, const char *const *names,
                                          int expression_count, int *count, record_store **store);

#define SOME_GIVEN_NAMES 0.15 /* share of its values with a given name, from which a column names persons */

#define MANY_GIVEN_NAMES 0.3 /* the same, with names of all countries: firms and songs have some, too */

/* Whether one of a value's words is a given name: of the table of nicknames, English ones most of all, or
 * another. */
typedef enum given_name_kind { GIVEN_NAME_NONE, GIVEN_NAME_OTHER, GIVEN_NAME_ENGLISH } given_name_kind;

extern given_name_kind value_given_name(text_view text);

/* How many of so many values, or records, count as having one: the others only where they are many. */
extern double share_of_given_names(double english, double others, double values);

extern bool value_is_date(text_view text);

extern const char *column_kind_name(column_kind kind);

/* A specification for the query: which columns to compare and how, and which keys to block on. */
extern Jsonb *suggest_spec(const char *query);

#endif
