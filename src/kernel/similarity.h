/*
 * similarity.h: how alike two texts are, on characters.
 *
 * Every function writes a similarity in [0, 1] to *result and returns a kernel_status. Two empty texts
 * are equal (1); an empty and a non-empty one share nothing (0). All are symmetric and have no length
 * limit. The result depends on the arguments alone, to the bit: integer counts, and at most a few IEEE
 * divisions in a fixed order.
 */
#ifndef MASTERING_KERNEL_SIMILARITY_H
#define MASTERING_KERNEL_SIMILARITY_H

#include "kernel/text_view.h"

/* Jaro (1989): matches within a window of max(|a|,|b|)/2 - 1, half transpositions. */
kernel_status jaro_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result);

/* Jaro-Winkler (Winkler 1990): Jaro plus 0.1 a common leading character, at most 4, where Jaro > 0.7. */
kernel_status jaro_winkler_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result);

/* Levenshtein distance in characters (Myers 1999, Hyyro 2003: bit-parallel, any length). */
kernel_status levenshtein_distance(text_view a, text_view b, kernel_workspace *workspace, uint32_t *result);

/* 1 - distance / max(|a|, |b|). */
kernel_status levenshtein_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result);

/* Optimal string alignment distance: Levenshtein plus swaps of neighbours (Hyyro 2003: bit-parallel). */
kernel_status damerau_distance(text_view a, text_view b, kernel_workspace *workspace, uint32_t *result);

/* 1 - distance / max(|a|, |b|). */
kernel_status damerau_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result);

/* Longest common subsequence, 2 * |lcs| / (|a| + |b|) (Hyyro 2004: bit-parallel). */
kernel_status lcs_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result);

typedef enum set_measure { MEASURE_DICE, MEASURE_JACCARD, MEASURE_COSINE, MEASURE_OVERLAP } set_measure;

/* A measure from the sizes of two multisets and of their intersection. */
double set_measure_value(set_measure measure, uint64_t common, uint64_t size_a, uint64_t size_b);

/*
 * Multisets of q-grams, 1 <= q <= 8, without padding; a text shorter than q is one gram by itself.
 */
kernel_status qgram_similarity(text_view a, text_view b, uint32_t q, set_measure measure,
                               kernel_workspace *workspace, double *result);

/* White space: what separates tokens. */
bool token_separator(uint32_t character);

/*
 * Token measures. A token is a maximal run of characters that are not white space (the callers
 * normalise first, so white space is ' ' there). token_similarity compares sets of tokens;
 * token_sort_similarity the lcs similarity of the sorted tokens joined by one space;
 * token_set_similarity the best lcs similarity among intersection and intersection plus either rest;
 * monge_elkan_similarity the mean over the tokens of one text of the best Jaro-Winkler in the other,
 * averaged over both directions (Monge & Elkan 1996, made symmetric).
 */
kernel_status token_similarity(text_view a, text_view b, set_measure measure, kernel_workspace *workspace,
                               double *result);
kernel_status token_sort_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result);
kernel_status token_set_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result);
kernel_status monge_elkan_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result);

/*
 * Initials: tokens pair off in order, where each pair is equal or one of the two is the first letter of
 * the other; the share of tokens that pair off, counted on the longer list.
 */
kernel_status initials_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result);

/*
 * Names of persons: words pair off in any order, the most alike first, at 1 where they are equal, 0.93 for
 * two of one group of nicknames, 0.85 for a word and its first letter, 0 for two generations (II and III),
 * else by Jaro-Winkler from 0.8, or by Jaro where more differs than slips of the pen change and neither is
 * the other cut short; their sum over the number of words of the shorter name, and 0.15 for each that the
 * longer one has beyond. At most 8 words of each.
 */
kernel_status names_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result);

/*
 * What tells that two names of one word are no nicknames of each other: 11 bits of the groups that have it,
 * and NAMES_SEVERAL for what is not one word. No common bit, and they are compared by Jaro-Winkler or as an
 * initial alone.
 */
#define NAMES_SEVERAL (1 << 11)
uint32_t names_signature(text_view text);

/* Whether each word of a name is one of the other's, or the first letter of one, which one of them is. */
bool names_abbreviates(text_view name, text_view fuller);

/* A scale: the lesser of two numbers as a share of the greater, by size; 0 where their signs differ. */
#define RELATIVE_SCALE 0.0

/* max(0, 1 - |a - b| / scale); scale > 0, or RELATIVE_SCALE. NaN compares like a missing value: 0, unless
 * both are NaN: 1. */
double numeric_similarity(double a, double b, double scale);

/*
 * Dates as (year, month, day): 1 equal; 0.95 day and month swapped; 0.9 one digit of the eight differs or
 * two neighbouring digits are swapped; 0.8 year and month equal, or year and day; 0.7 month and day equal
 * and the years at most 10 apart; else max(0, 0.5 * (1 - days / 3650)). A month or day of 0 is not known:
 * what is known of both is compared, 0.8 where year and month are equal, 0.7 where the years are, and all
 * else is at most 0.5.
 */
typedef struct calendar_date {
    int32_t year;
    uint8_t month;
    uint8_t day;
} calendar_date;
double date_similarity(calendar_date a, calendar_date b);

/* Days since 2000-01-01 in the proleptic Gregorian calendar. */
int64_t calendar_date_days(calendar_date date);

/* exp-free decay: max(0, 1 - haversine distance / scale_km). Degrees. */
double geo_similarity(double latitude_a, double longitude_a, double latitude_b, double longitude_b,
                      double scale_km);

#endif
