/*
 * mask.c: see mask.h.
 */
#include "kernel/mask.h"

#include <string.h>

#define ROUNDS 10
#define PLACES_A_LOOK 4096 /* between two looks at the stop flag; a power of two */

void
mask_key_set(mask_key *key, const void *bytes, size_t length)
{
    uint8_t block[64] = {0}, pad[64];

    key->stop = NULL;
    if (length > sizeof block) {
        sha256_start(&key->inner);
        sha256_add(&key->inner, bytes, length);
        sha256_finish(&key->inner, block);
    } else
        memcpy(block, bytes, length);
    for (size_t i = 0; i < sizeof block; i++)
        pad[i] = block[i] ^ 0x36;
    sha256_start(&key->inner);
    sha256_add(&key->inner, pad, sizeof pad);
    for (size_t i = 0; i < sizeof block; i++)
        pad[i] = block[i] ^ 0x5c;
    sha256_start(&key->outer);
    sha256_add(&key->outer, pad, sizeof pad);
}

static void
finish(const mask_key *key, sha256_state *inner, uint8_t digest[SHA256_BYTES])
{
    sha256_state outer = key->outer;

    sha256_finish(inner, digest);
    sha256_add(&outer, digest, SHA256_BYTES);
    sha256_finish(&outer, digest);
}

void
mask_digest(const mask_key *key, const void *bytes, size_t length, uint8_t digest[SHA256_BYTES])
{
    sha256_state inner = key->inner;

    sha256_add(&inner, "value", 5); /* so that no digest is one of a round */
    sha256_add(&inner, bytes, length);
    finish(key, &inner, digest);
}

static void
add_number(sha256_state *state, uint32_t number)
{
    const uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                              (uint8_t)number};

    sha256_add(state, bytes, sizeof bytes);
}

static inline bool
is_stopped(const mask_key *key, size_t i)
{
    return i % PLACES_A_LOOK == 0 && key->stop != NULL && *key->stop;
}

/* Adds a keyed hash of the one half to the other; unless it is stopped. */
static void
add_round(const mask_key *key, uint32_t round, uint32_t tweak, const mask_place *from, size_t from_count,
          mask_place *to, size_t to_count)
{
    sha256_state half = key->inner;
    uint8_t digest[SHA256_BYTES];

    sha256_add(&half, "round", 5);
    add_number(&half, round);
    add_number(&half, tweak);
    add_number(&half, (uint32_t)to_count);
    for (size_t i = 0; i < to_count && !is_stopped(key, i); i++)
        add_number(&half, to[i].fold);
    for (size_t i = 0; i < from_count && !is_stopped(key, i); i++) {
        add_number(&half, from[i].fold);
        add_number(&half, from[i].digit);
    }
    for (size_t i = 0; i < to_count && !is_stopped(key, i); i++) {
        size_t at = i % (SHA256_BYTES / 4) * 4;

        if (at == 0) {
            sha256_state block = half;

            add_number(&block, (uint32_t)(i / (SHA256_BYTES / 4)));
            finish(key, &block, digest);
        }
        to[i].digit = (uint32_t)((to[i].digit + ((uint64_t)digest[at] << 24 | (uint64_t)digest[at + 1] << 16 |
                                                 (uint64_t)digest[at + 2] << 8 | digest[at + 3])) %
                                 to[i].radix);
    }
}

static void
permute(const mask_key *key, uint32_t tweak, mask_place *places, size_t count)
{
    size_t half = count / 2;

    for (uint32_t round = 0; round < ROUNDS; round++)
        if (round % 2 == 0)
            add_round(key, round, tweak, places, half, places + half, count - half);
        else
            add_round(key, round, tweak, places + half, count - half, places, half);
}

/* Scripts whose letters lie together, in order. Capitals name their small letters. */
static const struct {
    uint32_t first;
    uint32_t last;
    uint32_t fold;
} alphabets[] = {
    {'0', '9', '0'},          {'A', 'Z', 'a'},          {'a', 'z', 'a'},          {0xc0, 0xd6, 0xe0},
    {0xd8, 0xde, 0xf8},       {0xe0, 0xf6, 0xe0},       {0xf8, 0xfe, 0xf8},       {0x100, 0x17f, 0x100},
    {0x391, 0x3a1, 0x3b1},    {0x3a3, 0x3a9, 0x3c3},    {0x3b1, 0x3c1, 0x3b1},    {0x3c3, 0x3c9, 0x3c3},
    {0x410, 0x42f, 0x430},    {0x430, 0x44f, 0x430},    {0x5d0, 0x5ea, 0x5d0},    {0x621, 0x63a, 0x621},
    {0x641, 0x64a, 0x641},    {0x905, 0x939, 0x905},    {0xe01, 0xe2e, 0xe01},    {0x3041, 0x3096, 0x3041},
    {0x30a1, 0x30fa, 0x30a1}, {0x4e00, 0x9fa5, 0x4e00}, {0xac00, 0xd7a3, 0xac00}, {0xff10, 0xff19, 0xff10},
    {0xff21, 0xff3a, 0xff41}, {0xff41, 0xff5a, 0xff41}};

/* Punctuation, marks and spaces beyond ASCII; the rest of what is in no alphabet counts as a letter. */
static bool
stays(uint32_t c)
{
    return c < 0x80 || (c >= 0x80 && c <= 0xbf && c != 0xaa && c != 0xb5 && c != 0xba) || c == 0xd7 ||
           c == 0xf7 || (c >= 0x300 && c <= 0x36f) || (c >= 0x2000 && c <= 0x206f) ||
           (c >= 0x3000 && c <= 0x3020);
}

static bool
is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0 || (c >= 0x2000 && c <= 0x200a) || c == 0x3000;
}

bool
mask_format(const mask_key *key, uint32_t *text, size_t length, bool letters, bool ascii, mask_place *places)
{
    size_t count = 0, start = 0, at = 0;
    bool has_letters = false;

    for (size_t i = 0; i < length; i++) {
        mask_place *place = &places[count];
        uint32_t c = text[i];
        size_t a = 0, known = letters ? (ascii ? 3 : sizeof alphabets / sizeof alphabets[0]) : 1;

        while (a < known && (c < alphabets[a].first || c > alphabets[a].last))
            a++;
        if (a < known)
            *place = (mask_place){(uint32_t)i, alphabets[a].first, alphabets[a].fold,
                                  alphabets[a].last - alphabets[a].first + 1, c - alphabets[a].first};
        else if (letters && !stays(c))
            *place = (mask_place){(uint32_t)i, 'a', 'a', 26, c % 26};
        else
            continue;
        has_letters |= place->base != '0';
        count++;
    }
    for (size_t i = 0; i <= length; i++) {
        if (i < length && !(has_letters && is_space(text[i])))
            continue;
        while (at < count && places[at].place < i)
            at++;
        if (at > start)
            permute(key, 0, places + start, at - start);
        start = at;
    }
    if (is_stopped(key, 0))
        return false;
    for (size_t i = 0; i < count; i++)
        text[places[i].place] = places[i].base + places[i].digit;
    return true;
}

uint64_t
mask_digits(const mask_key *key, uint64_t number)
{
    mask_place places[20];
    uint32_t count = 0;
    uint64_t rest;

    for (rest = number; rest > 0 || count == 0; rest /= 10)
        count++;
    rest = number;
    for (uint32_t i = count; i-- > 0; rest /= 10) {
        bool leads = i == 0 && count > 1; /* no number begins with 0 */

        places[i] =
            (mask_place){i, leads ? 1 : 0, 0, leads ? 9 : 10, (uint32_t)(rest % 10) - (leads ? 1 : 0)};
    }
    permute(key, 1, places, count);
    number = 0;
    for (uint32_t i = 0; i < count; i++)
        number = number * 10 + places[i].base + places[i].digit;
    return number;
}

uint64_t
mask_number(const mask_key *key, uint64_t number, uint64_t limit)
{
    /* Where it lands beyond the limit, it goes on from there until it does not: still a permutation. */
    do
        number = mask_digits(key, number);
    while (number > limit);
    return number;
}

uint32_t
mask_day(const mask_key *key, int32_t year, uint32_t day, uint32_t days)
{
    do {
        mask_place places[2] = {{0, 0, 0, 20, day / 20}, {1, 0, 0, 20, day % 20}};

        permute(key, (uint32_t)year ^ 0x80000000u, places, 2);
        day = places[0].digit * 20 + places[1].digit;
    } while (day >= days);
    return day;
}
