/*
 * test_multiset_hash.c: the key stream against RFC 8439, the state against a count by hand in plain C, and
 * what makes it a hash of a multiset: no order, rows that go as they came, rows twice that count twice.
 */
#include "kernel/multiset_hash.h"
#include "kernel/sha256.h"
#include "unit.h"

#define ROWS 300

static uint32_t
turned(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void
quarter(uint32_t *x, int a, int b, int c, int d)
{
    x[a] += x[b], x[d] = turned(x[d] ^ x[a], 16);
    x[c] += x[d], x[b] = turned(x[b] ^ x[c], 12);
    x[a] += x[b], x[d] = turned(x[d] ^ x[a], 8);
    x[c] += x[d], x[b] = turned(x[b] ^ x[c], 7);
}

/* RFC 8439, 2.3: one block, as it is written there. */
static void
block(const uint8_t key[32], uint32_t counter, const uint8_t nonce[12], uint32_t out[16])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

    for (int i = 0; i < 8; i++)
        in[4 + i] = key[4 * i] | key[4 * i + 1] << 8 | key[4 * i + 2] << 16 | (uint32_t)key[4 * i + 3] << 24;
    in[12] = counter;
    for (int i = 0; i < 3; i++)
        in[13 + i] =
            nonce[4 * i] | nonce[4 * i + 1] << 8 | nonce[4 * i + 2] << 16 | (uint32_t)nonce[4 * i + 3] << 24;
    memcpy(out, in, sizeof in);
    for (int i = 0; i < 10; i++) {
        quarter(out, 0, 4, 8, 12), quarter(out, 1, 5, 9, 13), quarter(out, 2, 6, 10, 14),
            quarter(out, 3, 7, 11, 15);
        quarter(out, 0, 5, 10, 15), quarter(out, 1, 6, 11, 12), quarter(out, 2, 7, 8, 13),
            quarter(out, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++)
        out[i] += in[i];
}

static bool
rfc_vector(void)
{
    static const uint8_t nonce[12] = {0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0};
    static const uint32_t expected[16] = {
        0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3,
        0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9, 0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
    uint8_t key[32];
    uint32_t out[16];

    for (int i = 0; i < 32; i++)
        key[i] = (uint8_t)i;
    block(key, 1, nonce, out);
    return memcmp(out, expected, sizeof out) == 0;
}

/* The state of rows, summed lane by lane from the blocks above. */
static void
count_by_hand(uint8_t digests[][32], const int *times, multiset_hash *state)
{
    static const uint8_t nonce[12];
    uint16_t lanes[2 * MULTISET_HASH_WORDS] = {0};

    for (int row = 0; row < ROWS; row++)
        for (int n = 0; n < 32; n++) {
            uint32_t out[16];

            block(digests[row], (uint32_t)n, nonce, out);
            for (int w = 0; w < 16; w++) {
                int at = 128 * (n / 8) + 8 * w + n % 8;

                lanes[2 * at] = (uint16_t)(lanes[2 * at] + times[row] * (out[w] & 0xffff));
                lanes[2 * at + 1] = (uint16_t)(lanes[2 * at + 1] + times[row] * (out[w] >> 16));
            }
        }
    for (int i = 0; i < MULTISET_HASH_WORDS; i++)
        state->words[i] = lanes[2 * i] | (uint32_t)lanes[2 * i + 1] << 16;
}

static bool
same(const multiset_hash *a, const multiset_hash *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

int
main(void)
{
    static uint8_t digests[ROWS][32];
    static int times[ROWS];
    multiset_hash by_hand, state = {0}, backwards = {0}, half = {0}, other = {0}, empty = {0};
    uint8_t bytes[MULTISET_HASH_BYTES];
    uint64_t seed = 7;
    bool apart = true;

    for (int i = 0; i < ROWS; i++) {
        sha256_state hash;

        sha256_start(&hash);
        sha256_add(&hash, &i, sizeof i);
        sha256_finish(&hash, digests[i]);
        times[i] = (int)unit_below(&seed, 3);
    }
    unit_ok(rfc_vector(), "the oracle's block gives the vector of RFC 8439");
    count_by_hand(digests, times, &by_hand);
    for (int i = 0; i < ROWS; i++)
        for (int n = 0; n < times[i]; n++)
            multiset_hash_add(&state, digests[i]);
    unit_ok(same(&state, &by_hand), "rows, some twice, give what a count by hand gives");
    unit_ok(!same(&state, &empty), "rows are not none");
    for (int i = ROWS - 1; i >= 0; i--)
        for (int n = 0; n < times[i]; n++)
            multiset_hash_add(&backwards, digests[i]);
    unit_ok(same(&state, &backwards), "the order of rows does not matter");
    for (int i = 0; i < ROWS; i++)
        multiset_hash_add(&backwards, digests[i]);
    for (int i = 0; i < ROWS; i++)
        multiset_hash_remove(&backwards, digests[i]);
    unit_ok(same(&state, &backwards), "rows go as they came");
    for (int i = 0; i < ROWS; i++)
        for (int n = 0; n < times[i]; n++)
            multiset_hash_add(i % 2 ? &half : &other, digests[i]);
    multiset_hash_add_all(&half, &other);
    unit_ok(same(&state, &half), "the states of two parts add up to that of the whole");
    multiset_hash_remove_all(&half, &other);
    multiset_hash_add_all(&other, &half);
    unit_ok(same(&state, &other), "and are taken away again");
    multiset_hash_write(&state, bytes);
    multiset_hash_read(&half, bytes);
    unit_ok(same(&state, &half), "bytes and back");
    for (int i = 0; i < ROWS; i++) {
        multiset_hash_add(&half, digests[i]);
        apart = apart && !same(&state, &half);
        multiset_hash_remove(&half, digests[i]);
        multiset_hash_remove(&half, digests[i]);
        apart = apart && !same(&state, &half);
        multiset_hash_add(&half, digests[i]);
    }
    unit_ok(apart, "one row more or less is another state");
    return unit_done();
}
