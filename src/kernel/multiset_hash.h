/*
 * multiset_hash.h: the hash of a multiset of rows that follows when rows come and go: LtHash (Bellare &
 * Micciancio, A New Paradigm for Collision-free Hashing, 1997; Lewi, Kim, Maykov & Weis, Securing Update
 * Propagation with Homomorphic Hashing, 2019) with 1024 lanes of 16 bits.
 *
 * A row is known by its SHA-256, which is stretched to 2048 bytes by ChaCha20 (RFC 8439: the digest is the
 * key, the nonce is zero); the state is the sum of these, lane by lane modulo 2^16. So the order of rows does
 * not matter, a row is taken away as it was put in, and equal multisets have equal states by whatever way
 * they came about. To find two multisets with one state is a problem of short integer solutions (lattices),
 * also for somebody who chooses the rows; a plain sum of digests could be solved for. What is published is a
 * SHA-256 of the state.
 *
 * The lanes are the halves of 512 words, which lie in an order that suits vectors: word w of block 8 g + b of
 * the key stream is words[128 g + 8 w + b].
 */
#ifndef MASTERING_KERNEL_MULTISET_HASH_H
#define MASTERING_KERNEL_MULTISET_HASH_H

#include <stdint.h>

#define MULTISET_HASH_WORDS 512
#define MULTISET_HASH_BYTES 2048

/* All zero: no rows. Aligned by itself: it may lie in palloc'd memory. */
typedef struct multiset_hash {
    uint32_t words[MULTISET_HASH_WORDS];
} multiset_hash;

/* One row more, or less, that is known by its SHA-256. */
extern void multiset_hash_add(multiset_hash *state, const uint8_t digest[32]);
extern void multiset_hash_remove(multiset_hash *state, const uint8_t digest[32]);

/* All rows of another multiset more, or less. */
extern void multiset_hash_add_all(multiset_hash *state, const multiset_hash *other);
extern void multiset_hash_remove_all(multiset_hash *state, const multiset_hash *other);

/* The state in bytes, the same on every processor: words in little-endian order. */
extern void multiset_hash_write(const multiset_hash *state, uint8_t bytes[MULTISET_HASH_BYTES]);
extern void multiset_hash_read(multiset_hash *state, const uint8_t bytes[MULTISET_HASH_BYTES]);

#endif
