/*
 * hash.h: 64-bit hashes of content. They name values and keys across records, so they depend on the
 * bytes alone: never on addresses, processor or byte order of the run (little-endian loads are spelled
 * out). Not for adversaries: whoever can choose the data can only slow a run down, because equality is
 * always decided on the content itself or costs one more candidate pair.
 */
#ifndef MASTERING_KERNEL_HASH_H
#define MASTERING_KERNEL_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Folds the 128-bit product of two words: every input bit reaches every output bit. */
static inline uint64_t
hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* A well mixed word from a word (never used to hide anything). */
static inline uint64_t
hash_word(uint64_t word)
{
    return hash_fold(word ^ UINT64_C(0x8ebc6af09c88c6e3), UINT64_C(0x589965cc75374cc3));
}

/* The hash of a sequence so far, and one more word. Order matters. */
static inline uint64_t
hash_combine(uint64_t hash, uint64_t word)
{
    return hash_fold(hash ^ UINT64_C(0xa0761d6478bd642f), word ^ UINT64_C(0xe7037ed1a0b428db));
}

static inline uint64_t
hash_load(const unsigned char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline uint32_t
hash_load_half(const unsigned char *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    return word;
}

/* 1 to 7 bytes as the low ones of a word. Those that two loads have in common are the same in both. */
static inline uint64_t
hash_load_rest(const unsigned char *bytes, size_t count)
{
    if (count >= 4)
        return hash_load_half(bytes) | (uint64_t)hash_load_half(bytes + count - 4) << (8 * (count - 4));
    return bytes[0] | (uint64_t)bytes[count >> 1] << (8 * (count >> 1)) |
           (uint64_t)bytes[count - 1] << (8 * (count - 1));
}

static inline uint64_t
hash_bytes(const void *data, size_t length)
{
    const unsigned char *bytes = data;
    uint64_t hash = hash_word((uint64_t)length);

    for (; length >= 16; bytes += 16, length -= 16)
        hash = hash_fold(hash ^ hash_load(bytes), hash_load(bytes + 8) ^ UINT64_C(0x8bb84b93962eacc9));
    if (length >= 8) {
        hash = hash_combine(hash, hash_load(bytes));
        bytes += 8;
        length -= 8;
    }
    if (length > 0)
        hash = hash_combine(hash, hash_load_rest(bytes, length));
    return hash;
}

#define HASH_SHORT 31      /* bytes of a short text */
#define HASH_SHORT_READ 32 /* that are read wherever it ends */

/* a where the mask is all ones, b where it is none. */
static inline uint64_t
hash_select(uint64_t mask, uint64_t a, uint64_t b)
{
    return b ^ ((a ^ b) & mask);
}

/*
 * hash_bytes of at most HASH_SHORT bytes of HASH_SHORT_READ that may be read. The lengths of names cannot be
 * predicted, so none is asked for by a branch, but whether there are 16 bytes, which is much the same in a
 * column. "together": all the words of the text, one or the other.
 */
static inline uint64_t
hash_short(const void *data, size_t length, uint64_t *together)
{
    const unsigned char *bytes = data;
    uint64_t hash = hash_word((uint64_t)length), first, second, mask, rest;

    *together = 0;
    if (length >= 16) {
        first = hash_load(bytes);
        second = hash_load(bytes + 8);
        hash = hash_fold(hash ^ first, second ^ UINT64_C(0x8bb84b93962eacc9));
        *together = first | second;
        bytes += 16;
    }
    first = hash_load(bytes);
    second = hash_load(bytes + 8);
    mask = 0 - (uint64_t)(length >> 3 & 1);
    hash = hash_select(mask, hash_combine(hash, first), hash);
    *together |= first & mask;
    rest = hash_select(mask, second, first) & ((UINT64_C(1) << 8 * (length & 7)) - 1);
    *together |= rest;
    mask = 0 - (uint64_t)((length & 7) != 0);
    return hash_select(mask, hash_combine(hash, rest), hash);
}

/* Eight digits of a number below 10^8, as bytes from 0 to 9, the first one lowest: halves, and theirs again.
 */
static inline uint64_t
hash_digits(uint32_t number)
{
    uint64_t fours = number / 10000 | (uint64_t)(number % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & UINT64_C(0x0000007f0000007f); /* of four digits each: / 100 */
    uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = (twos * 103 >> 10) & UINT64_C(0x000f000f000f000f); /* of two digits each: / 10 */

    return tens | (twos - tens * 10) << 8;
}

#define HASH_DECIMAL_END UINT64_C(1000000000000000)

/*
 * hash_bytes of the text of a number below HASH_DECIMAL_END in digits, which is not written: most numbers
 * have at most eight, which is one word, and its zeros in front are shifted out of it.
 */
static inline uint64_t
hash_decimal(uint64_t number)
{
    const uint64_t zeros = UINT64_C(0x3030303030303030);
    uint64_t last = hash_digits((uint32_t)(number % 100000000)), first;
    int bits; /* of zeros in front */

    if (number < 100000000) {
        bits = __builtin_ctzll(last | UINT64_C(1) << 56) & ~7;
        return hash_combine(hash_word((uint64_t)(8 - bits / 8)), (last | zeros) >> bits);
    }
    first = hash_digits((uint32_t)(number / 100000000));
    bits = __builtin_ctzll(first) & ~7;
    return hash_combine(hash_combine(hash_word((uint64_t)(16 - bits / 8)),
                                     (first | zeros) >> bits | (last | zeros) << 1 << (63 - bits)),
                        (last | zeros) >> bits);
}

/*
 * A sequence of pseudo-random words from a seed: word i of a stream is a function of seed and i, so
 * threads can take any part of it.
 */
static inline uint64_t
hash_stream(uint64_t seed, uint64_t i)
{
    return hash_word(hash_combine(seed, i) + i);
}

#endif
