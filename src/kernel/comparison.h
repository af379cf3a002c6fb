/*
 * comparison.h: how the values of one attribute are compared, and what a pair of records weighs.
 *
 * Records are rows of 32-bit codes: code 0 is a missing value, other codes number the distinct values of
 * their column, so equality of values is equality of codes. A comparison puts a pair into one ordered
 * level: 0 missing (either value), 1 exact, then one level a threshold of similarity, last "else". Each
 * level has a weight log2(m/u) (Fellegi & Sunter 1969); the weight of a missing value is 0. Where rare
 * values say more than common ones, the weight of an exact level has an adjustment for each value.
 *
 * A comparison of parts of the texts of another one (numbers in an address) would say again that the texts
 * are the same, or nothing alike: there it is missing.
 *
 * The levels of all comparisons of a pair make its pattern, packed into 64 bits.
 *
 * All of it is immutable while threads read it; what a thread writes is in its comparison_thread.
 */
#ifndef MASTERING_KERNEL_COMPARISON_H
#define MASTERING_KERNEL_COMPARISON_H

#include "kernel/lanes.h"
#include "kernel/row_mask.h"
#include "kernel/similarity.h"
#include "kernel/text_profile.h"
#include "kernel/text_view.h"

#define MAX_COMPARISONS 32
#define MAX_THRESHOLDS 12
#define LEVEL_MISSING 0
#define LEVEL_EXACT 1
#define MAX_LEVELS (MAX_THRESHOLDS + 3) /* missing, exact, thresholds, else */

typedef enum comparison_method {
    METHOD_EXACT,
    METHOD_JARO,
    METHOD_JARO_WINKLER,
    METHOD_LEVENSHTEIN,
    METHOD_LEVENSHTEIN_DISTANCE,
    METHOD_DAMERAU,
    METHOD_DAMERAU_DISTANCE,
    METHOD_LCS,
    METHOD_QGRAM,
    METHOD_TOKEN,
    METHOD_TOKEN_SORT,
    METHOD_TOKEN_SET,
    METHOD_MONGE_ELKAN,
    METHOD_INITIALS,
    METHOD_NUMERIC,
    METHOD_DATE,
    METHOD_TFIDF,
    METHOD_NAMES,
    METHOD_SOFT_TFIDF,
} comparison_method;

/* How values that are arrays are compared. */
typedef enum element_mode {
    ELEMENTS_NONE, /* they are no arrays */
    ELEMENTS_BEST, /* by their most alike elements */
    ELEMENTS_SET,  /* by how many elements they share */
} element_mode;

/* The distinct values of one column; element 0 is the missing value and never read. */
typedef struct value_table {
    const text_view *texts;
    const double *numbers;              /* METHOD_NUMERIC only */
    const calendar_date *dates;         /* METHOD_DATE only */
    const struct term_vectors *vectors; /* where method_weighs_terms only */
    const text_profile *profiles;       /* where method_has_bound, else and by default NULL */
    const lane_planes *planes;          /* where comparison_has_planes, by code; or NULL */
    struct element_table *elements;     /* of arrays (elements.h) only */
    struct element_table *words;        /* of names whose shared words are weighed, else NULL */
} value_table;

typedef struct comparison {
    comparison_method method;
    element_mode elements;
    uint32_t slot;   /* the code's place in a record's row */
    int part_of;     /* 1 + the comparison of the texts that these values are parts of; 0: of none */
    int level_count; /* levels but the missing one: exact, thresholds, else */
    double thresholds[MAX_THRESHOLDS]; /* of level 2, 3 ...; descending, for distances ascending */
    uint32_t q;                        /* METHOD_QGRAM; METHOD_TFIDF, where 0 is words */
    set_measure measure;               /* METHOD_QGRAM, METHOD_TOKEN */
    double scale;                      /* METHOD_NUMERIC; or RELATIVE_SCALE (similarity.h) */
    double inner;                      /* METHOD_SOFT_TFIDF: from which on words are alike */
    int pattern_shift;
    int pattern_bits;
    value_table values;
    int32_t weights[MAX_LEVELS];
    const int32_t *value_weights; /* by code, added at LEVEL_EXACT; NULL without term frequencies */
    int32_t best_inexact;         /* the largest weight of the levels 2 to level_count, and of what is rare */
} comparison;

/* What equality alone says of eight columns, by their bits in a row's masks. */
typedef struct mask_table {
    int64_t weights[256];  /* by the columns that are the same: the sum of the exact levels' weights */
    uint64_t levels[256];  /* the same: these levels' part of the pattern */
    int64_t bounds[256];   /* by the columns that differ: the best that measuring them can give */
    uint32_t pending[256]; /* the same: a bit for each place in the scorer's order that is to be measured */
} mask_table;

#define MASK_TABLES (MAX_COMPARISONS / 8)

typedef struct scorer {
    int comparison_count;
    comparison comparisons[MAX_COMPARISONS];
    int order[MAX_COMPARISONS]; /* comparisons as they are best evaluated: what decides most at least cost
                                   first */
    int32_t prior_weight;

    /* Made by scorer_prepare. */
    uint32_t columns; /* of a row, that are looked at */
    int table_count;
    mask_table tables[MASK_TABLES];
    int frequency_count; /* comparisons with value_weights */
    int frequencies[MAX_COMPARISONS];
    int part_count; /* comparisons of parts, as places in the order */
    int parts[MAX_COMPARISONS];
} scorer;

/* Prepares pattern places, bounds and order, after levels and weights are set. False: more than 64 bits of
 * pattern. */
bool scorer_prepare(scorer *scorer);

typedef struct level_cache_entry {
    uint64_t codes;
    uint64_t level; /* 0: empty; in the upper half what a rare element or word adds */
} level_cache_entry;

#define LEVEL_CACHE_SIZE 4096 /* entries a comparison */

typedef struct comparison_thread {
    kernel_workspace workspace;
    level_cache_entry *cache; /* comparison_count * LEVEL_CACHE_SIZE, zeroed; NULL: nothing is remembered */

    /* Rows that blocking has copied, and what the rows of a batch carry behind their codes: by comparison,
     * how many words from the beginning of a row the profile of its value is; 0: they carry none. NULL: of no
     * comparison. */
    kernel_workspace copies;
    const uint32_t *carried;
} comparison_thread;

/* Whether a method asks how many records have a term. */
static inline bool
method_weighs_terms(comparison_method method)
{
    return method == METHOD_TFIDF || method == METHOD_SOFT_TFIDF;
}

/* Whether a method gives distances: the less the more alike. */
bool method_is_distance(comparison_method method);

/* Whether profiles can tell that two values are below every threshold. */
bool method_has_bound(comparison_method method);

/* Whether pairs of short values are measured by their bit planes, where these are there. */
bool comparison_has_planes(const comparison *comparison);

/* Whether the profiles of two different values tell so. */
bool comparison_ruled_out(const comparison *comparison, const text_profile *a, const text_profile *b);

/* The similarity (or distance) of two values of a comparison by its method; METHOD_EXACT: 1 or 0. */
kernel_status comparison_measure(const comparison *comparison, uint32_t a, uint32_t b,
                                 kernel_workspace *workspace, double *result);

/* The level of two codes. */
kernel_status comparison_level(const scorer *scorer, int c, uint32_t a, uint32_t b, comparison_thread *thread,
                               int *level);

/*
 * What is rare adds to the weight of that level: a value at LEVEL_EXACT, a shared element at the next, and of
 * names a shared word where the level speaks for a match. Of what is frequent it is less than nothing.
 */
int32_t comparison_rarity(const comparison *comparison, uint32_t a, uint32_t b, int level);

/*
 * Scores the pair of rows a and b. *qualifies tells whether the weight reaches least_weight; only then
 * are *weight and *pattern set. Comparisons that can no longer change that are skipped. With least_weight
 * INT64_MIN every pair qualifies.
 */
kernel_status scorer_score(const scorer *scorer, const uint32_t *a, const uint32_t *b, int64_t least_weight,
                           comparison_thread *thread, bool *qualifies, int64_t *weight, uint64_t *pattern);

/* The masks of two rows as far as a scorer asks. */
static inline row_mask
scorer_row_mask(const scorer *scorer, const uint32_t *a, const uint32_t *b)
{
    return row_mask_of(a, b, scorer->columns);
}

#define SCORER_BATCH 256 /* pairs that are scored together */

/*
 * The same for a batch of at most SCORER_BATCH pairs, comparison by comparison, so that the waits for memory
 * overlap; the rows should be in the cache. masks: of these rows, of at least scorer->columns columns. Writes
 * the qualifying pairs' places in the batch, ascending, to chosen, their number to *chosen_count, and their
 * weights and patterns to places 0, 1 ... of these arrays. A batch that is stopped has no result and can be
 * scored again.
 */
kernel_status scorer_score_batch(const scorer *scorer, const uint32_t *const *a, const uint32_t *const *b,
                                 const row_mask *masks, uint32_t count, int64_t least_weight,
                                 comparison_thread *thread, uint16_t *chosen, uint32_t *chosen_count,
                                 int64_t *weights, uint64_t *patterns);

/* Whether a text of that level says what its parts say. */
static inline bool
level_says_of_parts(const comparison *text, int level)
{
    return level == LEVEL_EXACT || level == text->level_count;
}

static inline int
pattern_level(const comparison *comparison, uint64_t pattern)
{
    return (int)(pattern >> comparison->pattern_shift & ((UINT64_C(1) << comparison->pattern_bits) - 1));
}

#endif
