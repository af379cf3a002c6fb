/*
 * test_minhash.c: keys do not depend on order or repetition, and sets share them as often as the theory says.
 */
#include "kernel/minhash.h"
#include "unit.h"

#define ELEMENTS 200
#define TRIALS 2000

static void
keys_of(const uint64_t *set, uint32_t count, uint32_t bands, uint32_t rows, uint64_t *keys)
{
    uint64_t minima[MINHASH_BANDS_MAX];

    minhash_begin(minima, bands * rows);
    for (uint32_t i = 0; i < count; i++)
        minhash_add(minima, bands * rows, &set[i], sizeof set[i]);
    minhash_keys(minima, bands, rows, keys);
}

/* How often two sets that share so many of their elements share a key. */
static double
found(uint32_t shared, uint32_t bands, uint32_t rows, uint64_t *seed)
{
    uint32_t hits = 0;

    for (int trial = 0; trial < TRIALS; trial++) {
        uint64_t a[ELEMENTS], b[ELEMENTS], keys_a[MINHASH_BANDS_MAX], keys_b[MINHASH_BANDS_MAX];
        bool hit = false;

        for (uint32_t i = 0; i < ELEMENTS; i++) {
            a[i] = unit_random(seed);
            b[i] = i < shared ? a[i] : unit_random(seed);
        }
        keys_of(a, ELEMENTS, bands, rows, keys_a);
        keys_of(b, ELEMENTS, bands, rows, keys_b);
        for (uint32_t band = 0; band < bands; band++)
            hit |= keys_a[band] == keys_b[band];
        hits += hit;
    }
    return (double)hits / TRIALS;
}

static double
expected(uint32_t shared, uint32_t bands, uint32_t rows)
{
    double s = (double)shared / (2.0 * ELEMENTS - shared);

    return 1 - pow(1 - pow(s, rows), bands);
}

int
main(void)
{
    uint64_t seed = 9, set[ELEMENTS], reversed[2 * ELEMENTS], keys[32], keys_reversed[32];
    double worst = 0;
    bool distinct = true;

    for (uint32_t i = 0; i < ELEMENTS; i++) {
        set[i] = unit_random(&seed);
        reversed[2 * ELEMENTS - 1 - i] = reversed[ELEMENTS - 1 - i] = set[i];
    }
    keys_of(set, ELEMENTS, 32, 4, keys);
    keys_of(reversed, 2 * ELEMENTS, 32, 4, keys_reversed);
    unit_ok(memcmp(keys, keys_reversed, sizeof keys) == 0, "order and repetition do not matter");
    for (uint32_t i = 0; i < 32; i++)
        for (uint32_t j = 0; j < i; j++)
            distinct &= keys[i] != keys[j];
    unit_ok(distinct, "bands have keys of their own");
    for (uint32_t shared = 20; shared < ELEMENTS; shared += 60) {
        worst = fmax(worst, fabs(found(shared, 16, 4, &seed) - expected(shared, 16, 4)));
        worst = fmax(worst, fabs(found(shared, 24, 2, &seed) - expected(shared, 24, 2)));
        worst = fmax(worst, fabs(found(shared, 8, 1, &seed) - expected(shared, 8, 1)));
    }
    unit_ok(worst < 0.045, "sets share a key as often as the theory says");
    return unit_done();
}
