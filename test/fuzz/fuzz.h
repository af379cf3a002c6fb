/*
 * fuzz.h: what the oracles share: the two texts of an input, and how a difference is reported.
 */
#ifndef MASTERING_FUZZ_H
#define MASTERING_FUZZ_H

#include "kernel/text_view.h"

#define LONGEST 1024

typedef struct fuzz_text {
    uint32_t points[LONGEST];
    uint32_t length;
    text_view view; /* allocated to size, so that the sanitizer sees every overrun */
} fuzz_text;

extern fuzz_text a, b;
extern kernel_workspace workspace;

/* Prints both texts and ends the program. */
extern void complain(const char *what, double expected, double got) __attribute__((noreturn));

/* The same, unless they are equal but for rounding. */
extern void expect(const char *what, double expected, double got);

/* Of any two runs of characters, in the plainest way. */
extern double naive_jaro_winkler_of(const uint32_t *x, uint32_t x_length, const uint32_t *y,
                                    uint32_t y_length);
extern uint32_t naive_distance_of(const uint32_t *x, uint32_t x_length, const uint32_t *y, uint32_t y_length,
                                  bool swaps);
extern uint32_t naive_lcs_of(const uint32_t *x, uint32_t x_length, const uint32_t *y, uint32_t y_length);

/* A measure of both texts: within [0, 1], the same the other way round, 1 with itself. */
typedef kernel_status (*measure_function)(text_view, text_view, kernel_workspace *, double *);
extern double measured(measure_function function);

/* fuzz_words.c: texts as words. */
extern void fuzz_token(void);
extern void fuzz_names(void);
extern void fuzz_terms(void);
extern void fuzz_minhash(void);

/* fuzz_data.c: what is no measure of two texts. */
extern void fuzz_sort(void);
extern void fuzz_components(void);
extern void fuzz_bytes(void);
extern void fuzz_quantity(void);
extern void fuzz_forms(void);

/* fuzz_values.c: what single values are made of. */
extern void fuzz_short(void);
extern void fuzz_dates(void);
extern void fuzz_digests(void);

#endif
