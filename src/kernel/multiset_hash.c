/*
 * multiset_hash.c: see multiset_hash.h. Eight blocks of the key stream at a time, in the compiler's vectors:
 * with instructions for 256 bits a row takes about a microsecond.
 */
#include "kernel/multiset_hash.h"

#include <string.h>

/* One of them is picked when the library is loaded; both give the same. */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define WITH_WIDE_VECTORS __attribute__((target_clones("avx2", "default")))
#else
#define WITH_WIDE_VECTORS
#endif

#define BLOCKS 8 /* side by side */
#define GROUPS (MULTISET_HASH_WORDS / 16 / BLOCKS)

typedef uint32_t words8 __attribute__((vector_size(32)));
typedef uint16_t lanes16 __attribute__((vector_size(32)));

static inline uint32_t
load_word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define QUARTER(a, b, c, d)                                                                                  \
    do {                                                                                                     \
        a += b, d ^= a, d = ROTATE(d, 16);                                                                   \
        c += d, b ^= c, b = ROTATE(b, 12);                                                                   \
        a += b, d ^= a, d = ROTATE(d, 8);                                                                    \
        c += d, b ^= c, b = ROTATE(b, 7);                                                                    \
    } while (0)

/* Adds the stretched digest to the lanes, or subtracts it. */
WITH_WIDE_VECTORS static void
accumulate(uint32_t *words, const uint8_t *digest, int remove)
{
    static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    uint32_t first[16] = {0};

    memcpy(first, constants, sizeof constants);
    for (int i = 0; i < 8; i++)
        first[4 + i] = load_word(digest + 4 * i);
    for (uint32_t group = 0; group < GROUPS; group++) {
        const words8 numbers = {0, 1, 2, 3, 4, 5, 6, 7};
        const words8 counter = numbers + group * BLOCKS;
        words8 x[16];

        for (int i = 0; i < 16; i++)
            x[i] = first[i] - (words8){0};
        x[12] = counter;
        for (int round = 0; round < 10; round++) {
            QUARTER(x[0], x[4], x[8], x[12]);
            QUARTER(x[1], x[5], x[9], x[13]);
            QUARTER(x[2], x[6], x[10], x[14]);
            QUARTER(x[3], x[7], x[11], x[15]);
            QUARTER(x[0], x[5], x[10], x[15]);
            QUARTER(x[1], x[6], x[11], x[12]);
            QUARTER(x[2], x[7], x[8], x[13]);
            QUARTER(x[3], x[4], x[9], x[14]);
        }
        for (int i = 0; i < 16; i++) {
            uint32_t *place = words + group * 16 * BLOCKS + i * BLOCKS;
            lanes16 sum;

            memcpy(&sum, place, sizeof sum);
            x[i] += i == 12 ? counter : first[i] - (words8){0};
            sum = remove ? sum - (lanes16)x[i] : sum + (lanes16)x[i];
            memcpy(place, &sum, sizeof sum);
        }
    }
}

void
multiset_hash_add(multiset_hash *state, const uint8_t digest[32])
{
    accumulate(state->words, digest, 0);
}

void
multiset_hash_remove(multiset_hash *state, const uint8_t digest[32])
{
    accumulate(state->words, digest, 1);
}

/* Both halves of a word, without a carry from one into the other. */
static inline uint32_t
add_lanes(uint32_t a, uint32_t b)
{
    return ((a + (b & 0xffff0000u)) & 0xffff0000u) | ((a + b) & 0xffffu);
}

static inline uint32_t
subtract_lanes(uint32_t a, uint32_t b)
{
    return (((a & 0xffff0000u) - (b & 0xffff0000u)) & 0xffff0000u) | ((a - b) & 0xffffu);
}

void
multiset_hash_add_all(multiset_hash *state, const multiset_hash *other)
{
    for (int i = 0; i < MULTISET_HASH_WORDS; i++)
        state->words[i] = add_lanes(state->words[i], other->words[i]);
}

void
multiset_hash_remove_all(multiset_hash *state, const multiset_hash *other)
{
    for (int i = 0; i < MULTISET_HASH_WORDS; i++)
        state->words[i] = subtract_lanes(state->words[i], other->words[i]);
}

void
multiset_hash_write(const multiset_hash *state, uint8_t bytes[MULTISET_HASH_BYTES])
{
    for (int i = 0; i < MULTISET_HASH_WORDS; i++)
        for (int j = 0; j < 4; j++)
            bytes[4 * i + j] = (uint8_t)(state->words[i] >> 8 * j);
}

void
multiset_hash_read(multiset_hash *state, const uint8_t bytes[MULTISET_HASH_BYTES])
{
    for (int i = 0; i < MULTISET_HASH_WORDS; i++)
        state->words[i] = load_word(bytes + 4 * i);
}
