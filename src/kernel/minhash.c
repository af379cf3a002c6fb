/*
 * minhash.c: see minhash.h. The permutations of the elements are hashes of their hash, one a minimum.
 */
#include "kernel/minhash.h"
#include "kernel/hash.h"

/* Multiples of the golden ratio's fraction: one word a permutation. */
#define PERMUTATION UINT64_C(0x9E3779B97F4A7C15)

void
minhash_begin(uint64_t *minima, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        minima[i] = UINT64_MAX;
}

void
minhash_add(uint64_t *minima, uint32_t count, const void *element, uint64_t length)
{
    uint64_t hash = hash_bytes(element, length);

    for (uint32_t i = 0; i < count; i++) {
        uint64_t permuted = hash_word(hash ^ (i + 1) * PERMUTATION);

        minima[i] = permuted < minima[i] ? permuted : minima[i];
    }
}

void
minhash_keys(const uint64_t *minima, uint32_t bands, uint32_t rows, uint64_t *keys)
{
    for (uint32_t band = 0; band < bands; band++) {
        uint64_t key = hash_word(band);

        for (uint32_t row = 0; row < rows; row++)
            key = hash_combine(key, minima[band * rows + row]);
        keys[band] = key;
    }
}
