/*
 * term_vectors.h: texts as vectors of their words or q-grams, each weighted by how rare it is (TF-IDF with
 * terms counted once; Salton & Buckley 1988), their cosine, and the nearest neighbours of a record by it.
 *
 * A term's weight is log2(records / records that have it), in whole units, so that sums have no order. How
 * many records have a term is the caller's to say: as counted, or as a model has it.
 * Terms are named by the order of their hashes: nothing depends on the order in which values came.
 *
 * Neighbours are found through lists of the records that have a term (an inverted index), the rarest terms
 * first, until a budget of list entries is spent: bounded cost a record, at the price of terms that say
 * little (the idea of Sparkly, Paulsen, Govind & Doan 2023, with cosine for BM25).
 */
#ifndef MASTERING_KERNEL_TERM_VECTORS_H
#define MASTERING_KERNEL_TERM_VECTORS_H

#include "kernel/radix_sort.h"
#include "kernel/text_view.h"

#define TERM_WEIGHT_UNITS 64 /* units a bit */
#define MAX_TERM_Q 8
#define MAX_TERM_CHARACTERS 1024 /* of a text that are looked at */

/* By value code v: terms[starts[v]] to terms[starts[v + 1] - 1], ascending; weights by term. */
typedef struct term_vectors {
    const uint64_t *starts; /* value count + 1 */
    const uint32_t *terms;
    const uint16_t *weights; /* by term */
    const double *norms;     /* by value: length of its vector, 0 when it has no term of any weight */
    const text_view *words;  /* by term, where words are compared (soft_tfidf.h); else NULL */
    uint32_t value_count;
    uint32_t term_count;
} term_vectors;

/* Terms of values 1 to count - 1, repeated ones too, as entries (hash, value); entries NULL: only counted. q
 * 0: words. */
uint64_t term_entries(const text_view *texts, uint32_t count, uint32_t q, keyed_record *entries);

/* Sorts the entries (scratch: as many) and drops the repeated ones; returns how many are left, and the
 * distinct terms. */
uint64_t term_entries_sort(keyed_record *entries, keyed_record *scratch, uint64_t count,
                           uint32_t *term_count);

/* How many records have each term (by term), from sorted entries; records: of each value, how many have it.
 */
void term_counts(const keyed_record *entries, uint64_t entry_count, const uint32_t *records,
                 uint64_t *counts);

/* The weight of a term that so many of all records have. */
uint16_t term_weight(double all, double having);

/* The hash by which a term is known, from its characters (a q-gram with its spaces, or a word). */
uint64_t term_hash(text_view term, uint32_t q);

/*
 * The characters of the term of a text that has this hash; false when there is none, or when it has more than
 * room characters.
 */
bool term_with_hash(text_view text, uint32_t q, uint64_t hash, uint32_t *characters, uint32_t room,
                    uint32_t *length);

/*
 * Fills vectors from sorted entries and the weights of the terms. starts, terms and norms have room for
 * value_count + 1, entry_count and value_count.
 */
void term_vectors_fill(const keyed_record *entries, uint64_t entry_count, const uint16_t *weights,
                       uint64_t *starts, uint32_t *terms, double *norms, term_vectors *vectors);

/* Cosine of two values, 0 when either has no term. */
double term_vectors_cosine(const term_vectors *vectors, uint32_t a, uint32_t b);

/* ---- neighbours ---- */

typedef struct neighbour_thread {
    uint32_t *scores;  /* by record, zeroed */
    uint32_t *touched; /* room for all records */
} neighbour_thread;

typedef struct neighbour_search {
    const term_vectors *vectors;
    const uint32_t *values;      /* by record */
    const uint32_t *sources;     /* by record; NULL: one source */
    const double *inverses;      /* by record: 1 / norm of its value, 0 when that is 0 */
    const uint64_t *list_starts; /* by term: records that have it, ascending */
    const uint32_t *list_records;
    uint32_t k; /* neighbours of a record in its own source, and as many in the others */
    uint64_t budget;
    uint32_t *found; /* by record: 2 * k places; own source first; UINT32_MAX: none */
    neighbour_thread *threads;
} neighbour_search;

/* The neighbours of records first to end - 1. */
void neighbours_find(const neighbour_search *search, uint32_t first, uint32_t end, int thread);

#endif
