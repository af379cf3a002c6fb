/*
 * radix_sort.c: least-significant-digit radix sort; see radix_sort.h.
 */
#include "kernel/radix_sort.h"

#include <string.h>

#define DIGIT_BITS 11
#define DIGITS (1 << DIGIT_BITS)

/* One stable pass over the digit at shift; false (and nothing done) when all entries share the digit. */
static int
sort_pass(const keyed_record *from, keyed_record *to, size_t count, int shift)
{
    size_t starts[DIGITS] = {0};
    size_t sum = 0;

    for (size_t i = 0; i < count; i++)
        starts[from[i].key >> shift & (DIGITS - 1)]++;
    if (starts[from[0].key >> shift & (DIGITS - 1)] == count)
        return 0;
    for (int d = 0; d < DIGITS; d++) {
        size_t n = starts[d];

        starts[d] = sum;
        sum += n;
    }
    for (size_t i = 0; i < count; i++)
        to[starts[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
    return 1;
}

/* Sorts by the bits from lowest upwards. */
static void
sort_digits(keyed_record *entries, keyed_record *scratch, size_t count, int lowest)
{
    keyed_record *from = entries, *to = scratch;

    if (count < 2)
        return;
    for (int shift = lowest; shift < 64; shift += DIGIT_BITS) {
        if (sort_pass(from, to, count, shift)) {
            keyed_record *swap = from;

            from = to;
            to = swap;
        }
    }
    if (from != entries)
        memcpy(entries, from, count * sizeof *entries);
}

static void
insertion_sort(keyed_record *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        keyed_record entry = entries[i];
        size_t j = i;

        for (; j > 0 && entries[j - 1].key > entry.key; j--)
            entries[j] = entries[j - 1];
        entries[j] = entry;
    }
}

void
radix_sort_keys(keyed_record *entries, keyed_record *scratch, size_t count)
{
    if (count < 64)
        insertion_sort(entries, count);
    else
        sort_digits(entries, scratch, count, 0);
}

/*
 * Equal keys cost one comparison each; runs of several different keys are short for hashes, and a long one is
 * sorted by digits.
 */
void
radix_sort_prefixed(keyed_record *entries, keyed_record *scratch, size_t count, int bits)
{
    for (size_t i = 0; i + 1 < count;) {
        uint64_t prefix = entries[i].key >> (64 - bits);
        size_t end = i + 1;
        int mixed = 0;

        while (end < count && entries[end].key >> (64 - bits) == prefix) {
            mixed |= entries[end].key != entries[i].key;
            end++;
        }
        if (mixed) {
            if (end - i < 64)
                insertion_sort(entries + i, end - i);
            else
                sort_digits(entries + i, scratch, end - i, 0);
        }
        i = end;
    }
}

void
radix_sort_hashed(keyed_record *entries, keyed_record *scratch, size_t count)
{
    int bits = 8, passes;

    if (count < 64) {
        insertion_sort(entries, count);
        return;
    }
    while (bits < 64 && (count >> (bits - 8)) != 0)
        bits++;
    passes = (bits + DIGIT_BITS - 1) / DIGIT_BITS;
    if (passes * DIGIT_BITS >= 64) {
        sort_digits(entries, scratch, count, 0);
        return;
    }
    sort_digits(entries, scratch, count, 64 - passes * DIGIT_BITS);
    radix_sort_prefixed(entries, scratch, count, passes * DIGIT_BITS);
}
