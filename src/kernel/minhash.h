/*
 * minhash.h: keys under which sets that overlap much are likely to fall together (Broder 1997; bands and
 * rows: Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets").
 *
 * Two sets of Jaccard similarity s share at least one of b keys, each made of r minima, with probability
 * 1 - (1 - s^r)^b. Elements come in any order and may repeat.
 */
#ifndef MASTERING_KERNEL_MINHASH_H
#define MASTERING_KERNEL_MINHASH_H

#include <stdint.h>

#define MINHASH_BANDS_MAX 256
#define MINHASH_ROWS_MAX 16

/* minima: bands * rows of them. */
void minhash_begin(uint64_t *minima, uint32_t count);
void minhash_add(uint64_t *minima, uint32_t count, const void *element, uint64_t length);

/* keys: one a band. A key names its band: equal minima in different bands give different keys. */
void minhash_keys(const uint64_t *minima, uint32_t bands, uint32_t rows, uint64_t *keys);

#endif
