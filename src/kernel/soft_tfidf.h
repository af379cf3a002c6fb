/*
 * soft_tfidf.h: texts compared by their words, the rarer the more, with words that are alike for the same.
 */
#ifndef MASTERING_KERNEL_SOFT_TFIDF_H
#define MASTERING_KERNEL_SOFT_TFIDF_H

#include "kernel/similarity.h"
#include "kernel/term_vectors.h"

#define MAX_SOFT_WORDS 32 /* of either text, without an equal in the other, that are compared: the rarest */

/*
 * The words by term, of vectors of words (q = 0), from the texts of values first to end - 1; they point into
 * these.
 */
void term_words_fill(const text_view *texts, const term_vectors *vectors, uint32_t first, uint32_t end,
                     text_view *words);

/* The similarity of two values; words are alike from a Jaro-Winkler of least on. vectors has words. */
kernel_status soft_tfidf_similarity(const term_vectors *vectors, uint32_t a, uint32_t b, double least,
                                    kernel_workspace *workspace, double *result);

#endif
