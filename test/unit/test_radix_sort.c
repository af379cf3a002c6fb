/*
 * test_radix_sort.c: both sorts against a merge sort, on keys that spread and on keys that do not.
 */
#include "kernel/hash.h"
#include "kernel/radix_sort.h"
#include "unit.h"

/* Bottom-up, stable, plain. */
static void
merge_sort(keyed_record *entries, keyed_record *scratch, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            size_t i = start, j = middle;

            for (size_t k = start; k < end; k++)
                scratch[k] = i < middle && (j >= end || entries[i].key <= entries[j].key) ? entries[i++]
                                                                                          : entries[j++];
        }
        memcpy(entries, scratch, count * sizeof *entries);
    }
}

typedef enum distribution {
    KEYS_RANDOM,
    KEYS_SMALL, /* many equal */
    KEYS_ALL_EQUAL,
    KEYS_LOW_BITS, /* alike in all leading bits, as no hash is */
    KEYS_HIGH_BITS,
    KEYS_DESCENDING,
    KEYS_FEW_PREFIXES, /* long runs that agree in their leading bits, of equal and of different keys */
    KEYS_EXTREMES,
    DISTRIBUTIONS
} distribution;

static uint64_t
random_key(uint64_t *seed, distribution distribution, size_t i)
{
    switch (distribution) {
    case KEYS_SMALL:
        return hash_word(unit_below(seed, 50));
    case KEYS_ALL_EQUAL:
        return 42;
    case KEYS_LOW_BITS:
        return unit_random(seed) & 0xffff;
    case KEYS_HIGH_BITS:
        return unit_random(seed) << 50;
    case KEYS_DESCENDING:
        return UINT64_MAX - i;
    case KEYS_FEW_PREFIXES:
        return hash_word(unit_below(seed, 3)) >> 32 << 32 |
               (unit_below(seed, 2) ? 0 : unit_below(seed, 1000));
    case KEYS_EXTREMES:
        return unit_below(seed, 2) ? UINT64_MAX : unit_below(seed, 2);
    default:
        return unit_random(seed);
    }
}

static uint32_t
sort_and_compare(uint64_t *seed, distribution distribution, size_t count)
{
    keyed_record *given = malloc((count + !count) * sizeof *given),
                 *expected = malloc((count + !count) * sizeof *given);
    keyed_record *hashed = malloc((count + !count) * sizeof *given),
                 *scratch = malloc((count + !count) * sizeof *given);
    uint32_t wrong = 0;

    if (given == NULL || expected == NULL || hashed == NULL || scratch == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        given[i] =
            (keyed_record){random_key(seed, distribution, i), (uint32_t)i, (uint32_t)unit_random(seed)};
    if (count > 0) {
        memcpy(expected, given, count * sizeof *given);
        memcpy(hashed, given, count * sizeof *given);
    }
    merge_sort(expected, scratch, count);
    radix_sort_hashed(hashed, scratch, count);
    radix_sort_keys(given, scratch, count);
    wrong += count > 0 && memcmp(given, expected, count * sizeof *given) != 0;
    wrong += count > 0 && memcmp(hashed, expected, count * sizeof *given) != 0;
    free(given);
    free(expected);
    free(hashed);
    free(scratch);
    return wrong;
}

static void
test_against_merge_sort(void)
{
    static const size_t sizes[] = {0, 1, 2, 3, 63, 64, 65, 127, 1000, 2048, 4097, 70000};
    static const char *names[DISTRIBUTIONS] = {
        "random keys",       "many equal keys", "all keys equal",          "keys that differ in low bits",
        "keys in high bits", "falling keys",    "few prefixes, long runs", "0, 1 and the largest key"};
    uint64_t seed = 8;

    for (int d = 0; d < DISTRIBUTIONS; d++) {
        uint32_t wrong = 0;

        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int round = 0; round < (sizes[s] < 200 ? 20 : 2); round++)
                wrong += sort_and_compare(&seed, (distribution)d, sizes[s]);
        wrong += sort_and_compare(&seed, (distribution)d, 1 + unit_below(&seed, 300000));
        unit_ok(wrong == 0, names[d]);
    }
    radix_sort_hashed(NULL, NULL, 0);
    radix_sort_keys(NULL, NULL, 0);
    unit_ok(true, "nothing to sort and no memory");
}

int
main(void)
{
    test_against_merge_sort();
    return unit_done();
}
