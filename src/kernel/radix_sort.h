/*
 * radix_sort.h: brings equal 64-bit keys together, in a stable order.
 */
#ifndef MASTERING_KERNEL_RADIX_SORT_H
#define MASTERING_KERNEL_RADIX_SORT_H

#include <stddef.h>
#include <stdint.h>

typedef struct keyed_record {
    uint64_t key;
    uint32_t record;
    uint32_t extra; /* the caller's */
} keyed_record;

/*
 * Sorts count entries by the whole key, stably; scratch has room for count entries. The result lies in
 * entries. Time is linear for keys that are hashes: only as many leading bits as the count needs are
 * sorted by digits (LSD), the few entries that agree in them by insertion.
 */
void radix_sort_hashed(keyed_record *entries, keyed_record *scratch, size_t count);

/* The same where entries are in the order of their first bits (1 to 63) already. */
void radix_sort_prefixed(keyed_record *entries, keyed_record *scratch, size_t count, int bits);

/* The same for keys of any distribution: all 64 bits by digits. */
void radix_sort_keys(keyed_record *entries, keyed_record *scratch, size_t count);

#endif
