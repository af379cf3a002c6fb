/*
 * test_hash.c: hashes name things across runs and machines, so some are pinned; and they must spread.
 */
#include "kernel/hash.h"
#include "unit.h"

#define MANY 1000000

static int
compare_words(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Equal neighbours after sorting; a million 64-bit words have one by chance once in 37 million times. */
static uint32_t
duplicates(uint64_t *words, size_t count)
{
    uint32_t found = 0;

    qsort(words, count, sizeof *words, compare_words);
    for (size_t i = 1; i < count; i++)
        found += words[i] == words[i - 1];
    return found;
}

/*
 * 4096 buckets of some bits. Chi squared of chance is 4095 +- 90. A multiplication spreads numbers in order
 * more evenly than chance, and texts in order somewhat less; four times it costs a sort or a table nothing.
 */
static bool
spreads(const uint64_t *words, size_t count, int shift)
{
    static uint32_t buckets[4096];
    double expected = (double)count / 4096, chi = 0;

    memset(buckets, 0, sizeof buckets);
    for (size_t i = 0; i < count; i++)
        buckets[words[i] >> shift & 4095]++;
    for (int i = 0; i < 4096; i++)
        chi += (buckets[i] - expected) * (buckets[i] - expected) / expected;
    return chi < 4 * 4095;
}

static void
test_words(void)
{
    static uint64_t words[MANY];
    const char *names[] = {"numbers in order", "multiples of 2^32",         "pairs of small numbers",
                           "a stream",         "streams of seeds in order", "texts of digits"};

    for (int kind = 0; kind < 6; kind++) {
        char text[32], name[100];
        bool good = true;

        for (uint32_t i = 0; i < MANY; i++) {
            switch (kind) {
            case 0:
                words[i] = hash_word(i);
                break;
            case 1:
                words[i] = hash_word((uint64_t)i << 32);
                break;
            case 2:
                words[i] = hash_combine(hash_combine(0, hash_word(i / 1000)), hash_word(i % 1000));
                break;
            case 3:
                words[i] = hash_stream(20240917, i);
                break;
            case 4:
                words[i] = hash_stream((uint64_t)(i / 1000) << 32 | i % 1000, 1);
                break;
            default:
                words[i] = hash_bytes(text, (size_t)snprintf(text, sizeof text, "customer %u", i));
            }
        }
        for (int shift = 0; shift <= 52; shift += 13)
            good &= spreads(words, MANY, shift);
        good &= duplicates(words, MANY) == 0;
        snprintf(name, sizeof name, "%s: no two hashes alike, all their bits spread", names[kind]);
        unit_ok(good, name);
    }
}

/* Each bit of the input changes at least a quarter of the hash, and each bit of the hash is changed by some.
 */
static void
test_avalanche(void)
{
    uint64_t seed = 5, reached = 0;
    double least = 64;

    for (int bit = 0; bit < 64; bit++) {
        uint64_t changed = 0;

        for (int i = 0; i < 4000; i++) {
            uint64_t word = unit_random(&seed),
                     difference = hash_word(word) ^ hash_word(word ^ UINT64_C(1) << bit);

            changed += (uint64_t)__builtin_popcountll(difference);
            reached |= difference;
        }
        if (changed / 4000.0 < least)
            least = changed / 4000.0;
    }
    unit_ok(least >= 16 && reached == UINT64_MAX, "a changed bit changes a quarter of the hash or more");
}

static void
test_bytes(void)
{
    static uint64_t hashes[2 * 200 * 8];
    unsigned char bytes[256 + 16];
    uint64_t seed = 6;
    size_t count = 0;
    bool same = true, differs = true;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(unit_random(&seed) | 1);
    for (size_t length = 0; length < 200; length++) {
        uint64_t hash = hash_bytes(bytes, length);

        /* Nothing but the bytes counts: neither their place nor what follows them. */
        for (size_t offset = 1; offset < 16; offset++) {
            unsigned char *copy = malloc(length + offset);

            if (copy == NULL)
                abort();
            memcpy(copy + offset, bytes, length);
            same &= hash_bytes(copy + offset, length) == hash;
            free(copy);
        }
        hashes[count++] = hash;
        for (size_t at = 0; at < length; at++) {
            bytes[at] ^= 1;
            differs &= hash_bytes(bytes, length) != hash;
            bytes[at] ^= 1;
        }
    }
    unit_ok(same, "the hash of bytes depends on nothing but the bytes");
    unit_ok(differs, "every byte of every length counts");
    memset(bytes, 0, sizeof bytes);
    for (size_t length = 0; length < 200; length++)
        hashes[count++] = hash_bytes(bytes, length);
    unit_ok(duplicates(hashes, count) <= 1,
            "prefixes and runs of zeros differ by their length"); /* length 0 twice */
    unit_ok(hash_combine(hash_combine(0, 1), 2) != hash_combine(hash_combine(0, 2), 1),
            "the order of words counts");
}

/* A short text hashes as any does, whatever lies behind it, and shows the bits that it has. */
static void
test_short(void)
{
    unsigned char bytes[HASH_SHORT_READ];
    uint64_t seed = 7, together;
    bool same = true, shown = true, hidden = true;

    for (int round = 0; round < 2000; round++)
        for (size_t length = 0; length <= HASH_SHORT; length++) {
            size_t at = (size_t)(unit_random(&seed) % HASH_SHORT_READ);

            for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (unsigned char)(unit_random(&seed) & (i < length ? 0x7f : 0xff));
            same &= hash_short(bytes, length, &together) == hash_bytes(bytes, length);
            hidden &= (together & UINT64_C(0x8080808080808080)) == 0;
            bytes[at] |= 0x80;
            same &= hash_short(bytes, length, &together) == hash_bytes(bytes, length);
            shown &= ((together & UINT64_C(0x8080808080808080)) != 0) == (at < length);
        }
    unit_ok(same, "a short text has the hash of its bytes");
    unit_ok(shown && hidden, "its bits, and no others, are in its words");
}

/* A number hashes as its text does: those about each power of ten, and of any length. */
static void
test_decimal(void)
{
    uint64_t seed = 8, power = 1;
    bool same = true;
    char text[32];

    for (int digits = 1; digits <= 15; digits++, power *= 10)
        for (int i = 0; i < 20000; i++) {
            uint64_t number = i < 200 ? power - (power < 100 ? 0 : 100) + (uint64_t)i
                                      : power + unit_random(&seed) % (power * 9);

            if (number < HASH_DECIMAL_END)
                same &=
                    hash_decimal(number) ==
                    hash_bytes(text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)number));
        }
    for (uint64_t number = 0; number < 200000; number++)
        same &= hash_decimal(number) ==
                hash_bytes(text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)number));
    same &= hash_decimal(HASH_DECIMAL_END - 1) == hash_bytes("999999999999999", 15);
    unit_ok(same, "a number has the hash of its digits");
}

/* By a second implementation of the same definition, in Python's whole numbers. */
static void
test_pinned(void)
{
    unit_ok(hash_word(0) == UINT64_C(0x2c45fcca5b24b2a) && hash_word(1) == UINT64_C(0xea6ee23f2e853fe4) &&
                hash_word(UINT64_MAX) == UINT64_C(0x54f79fec462172ab),
            "hashes of words are what they were");
    unit_ok(hash_combine(7, 11) == UINT64_C(0xc9c1898e9567218c) &&
                hash_stream(7, 11) == UINT64_C(0xc63b36985d3d99d),
            "combinations and streams are what they were");
    unit_ok(hash_bytes("", 0) == UINT64_C(0x2c45fcca5b24b2a) &&
                hash_bytes("abc", 3) == UINT64_C(0xa19b81133765831c) &&
                hash_bytes("The quick brown fox jumps over the lazy dog", 43) == UINT64_C(0xcb274dfa5b922309),
            "hashes of bytes are what they were");
}

int
main(void)
{
    test_words();
    test_avalanche();
    test_bytes();
    test_short();
    test_decimal();
    test_pinned();
    return unit_done();
}
