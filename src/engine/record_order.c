/*
 * record_order.c: see record_order.h.
 *
 * What is sorted is half of a hash and the number of its record, in one word: half as much memory to clear
 * and to move as with whole hashes, and two in a billion pairs agree in that and are told apart by the rest.
 * Entries are dealt into parts by their first bits, each small enough for a processor's cache, and each part
 * is sorted by itself.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/hash_sort.h"
#include "engine/record_order.h"
#include "kernel/hash.h"
#include "kernel/parallel.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define RANGES_AT_ONCE 64 /* of SORT_RANGE records, between two looks at cancel requests */
#define PARTS_AT_ONCE 64
#define PART_ENTRIES 16384 /* about */
#define MOST_PART_BITS 11
#define DIGIT_BITS 11
#define FEW_ENTRIES 64 /* that insertion sorts */
#define RECORDS_AHEAD 16

typedef struct order_job {
    const record_store *store;
    int part_bits;
    uint32 *hashes;  /* the upper halves, by record */
    uint64 *entries; /* such a half, and below it the record */
    Size *places;    /* by range and part: first the number of entries, then where they go */
    Size *starts;    /* of the parts, and the end */
    uint64 *scratch; /* by thread */
    Size scratch_entries;
    bool *duplicates; /* by part: two of its entries have one id */
} order_job;

uint64
record_order_hash(int64 integer, const char *text)
{
    char buffer[HASH_SHORT_READ] = "";
    uint64 together;

    if (text != NULL)
        return hash_bytes(text, strlen(text));
    if ((uint64)integer < HASH_DECIMAL_END) /* and not below zero */
        return hash_decimal((uint64)integer);
    return hash_short(buffer, (Size)pg_lltoa(integer, buffer), &together);
}

static inline uint64
id_hash(const record_store *store, uint32 record)
{
    return store->integer_ids == NULL ? record_order_hash(0, store->text_ids[record])
                                      : record_order_hash(store->integer_ids[record], NULL);
}

static inline uint32
part_of(const order_job *job, uint32 hash)
{
    return (uint32)((uint64)hash >> (32 - job->part_bits));
}

static void
hash_some_ids(void *context, int64_t range, int thread)
{
    const order_job *job = context;
    uint32 first = (uint32)range * SORT_RANGE, end = Min(job->store->records.count, first + SORT_RANGE);
    Size *places = job->places + ((Size)range << job->part_bits);

    memset(places, 0, sizeof(Size) << job->part_bits);
    for (uint32 record = first; record < end; record++) {
        job->hashes[record] = (uint32)(id_hash(job->store, record) >> 32);
        places[part_of(job, job->hashes[record])]++;
    }
}

static void
deal_range(void *context, int64_t range, int thread)
{
    const order_job *job = context;
    uint32 first = (uint32)range * SORT_RANGE, end = Min(job->store->records.count, first + SORT_RANGE);
    Size *places = job->places + ((Size)range << job->part_bits);

    for (uint32 record = first; record < end; record++)
        job->entries[places[part_of(job, job->hashes[record])]++] =
            (uint64)job->hashes[record] << 32 | record;
}

/* By the whole hash, then by the id. */
static int
compare_entries(const void *a, const void *b, void *context)
{
    uint64 x = *(const uint64 *)a, y = *(const uint64 *)b, hash_x, hash_y;
    const order_job *job = context;

    if (x >> 32 != y >> 32)
        return x < y ? -1 : 1;
    hash_x = id_hash(job->store, (uint32)x);
    hash_y = id_hash(job->store, (uint32)y);
    if (hash_x != hash_y)
        return hash_x < hash_y ? -1 : 1;
    return record_store_compare_ids(job->store, (uint32)x, (uint32)y);
}

static void
sort_digit(const uint64 *from, uint64 *to, Size count, int shift)
{
    uint32 starts[1 << DIGIT_BITS] = {0}, sum = 0;

    for (Size i = 0; i < count; i++)
        starts[from[i] >> shift & ((1 << DIGIT_BITS) - 1)]++;
    for (int digit = 0; digit < 1 << DIGIT_BITS; digit++) {
        uint32 entries = starts[digit];

        starts[digit] = sum;
        sum += entries;
    }
    for (Size i = 0; i < count; i++)
        to[starts[from[i] >> shift & ((1 << DIGIT_BITS) - 1)]++] = from[i];
}

/* Entries that are in order but for some bits of the hash, which next to none have in common. */
static void
finish_order(const order_job *job, uint64 *entries, Size count, int bits)
{
    for (Size first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && entries[end] >> bits == entries[first] >> bits; end++)
            ;
        if (end - first > FEW_ENTRIES)
            qsort_arg(entries + first, end - first, sizeof(uint64), compare_entries, (void *)job);
        else
            for (Size i = first + 1; i < end; i++)
                for (Size j = i; j > first && compare_entries(&entries[j - 1], &entries[j], (void *)job) > 0;
                     j--) {
                    uint64 swap = entries[j];

                    entries[j] = entries[j - 1];
                    entries[j - 1] = swap;
                }
    }
}

static void
sort_part(void *context, int64_t part, int thread)
{
    const order_job *job = context;
    uint64 *entries = job->entries + job->starts[part];
    uint64 *scratch = job->scratch + (Size)thread * job->scratch_entries;
    Size count = job->starts[part + 1] - job->starts[part];
    int lowest = 64 - job->part_bits - 2 * DIGIT_BITS;

    sort_digit(entries, scratch, count, lowest);
    sort_digit(scratch, entries, count, lowest + DIGIT_BITS);
    finish_order(job, entries, count, lowest);
    for (Size i = 1; i < count && !job->duplicates[part]; i++)
        job->duplicates[part] = entries[i - 1] >> 32 == entries[i] >> 32 &&
                                compare_entries(&entries[i - 1], &entries[i], (void *)job) == 0;
}

/* Where the entries of each range and part go; the size of the largest part. */
static Size
lay_out(order_job *job, Size ranges)
{
    Size place = 0, largest = 0, parts = (Size)1 << job->part_bits;

    for (Size part = 0; part < parts; part++) {
        job->starts[part] = place;
        for (Size range = 0; range < ranges; range++) {
            Size *entries = &job->places[(range << job->part_bits) + part], count = *entries;

            *entries = place;
            place += count;
        }
        largest = Max(largest, place - job->starts[part]);
    }
    job->starts[parts] = place;
    return largest;
}

static void
raise_duplicate(const order_job *job, Size part)
{
    const uint64 *entries = job->entries;
    char buffer[24];

    for (Size i = job->starts[part] + 1; i < job->starts[part + 1]; i++)
        if (compare_entries(&entries[i - 1], &entries[i], (void *)job) == 0)
            record_store_duplicate_id(record_store_id(job->store, (uint32)entries[i], buffer));
}

/* The records in their order, each the lower half of an entry. */
static uint64 *
order_records(record_store *store, int threads)
{
    Size count = store->records.count, ranges = sort_ranges(count), parts;
    order_job job = {.store = store};

    while (job.part_bits < MOST_PART_BITS && count >> job.part_bits > PART_ENTRIES)
        job.part_bits++;
    parts = (Size)1 << job.part_bits;
    job.hashes = big_alloc(store->data, mul_size(Max(count, 1), sizeof(uint32)));
    job.entries = big_alloc(store->data, mul_size(Max(count, 1), sizeof(uint64)));
    job.places = big_alloc(store->data, mul_size(Max(ranges, 1), mul_size(parts, sizeof(Size))));
    job.starts = palloc((parts + 1) * sizeof(Size));
    job.duplicates = palloc0(parts * sizeof(bool));

    parallel_in_turns(threads, (int64)ranges, RANGES_AT_ONCE, hash_some_ids, &job);
    job.scratch_entries = lay_out(&job, ranges);
    parallel_in_turns(threads, (int64)ranges, RANGES_AT_ONCE, deal_range, &job);
    pfree(job.hashes);
    pfree(job.places);
    job.scratch = big_alloc(store->data,
                            mul_size(mul_size(Max(job.scratch_entries, 1), (Size)threads), sizeof(uint64)));
    parallel_in_turns(threads, (int64)parts, PARTS_AT_ONCE, sort_part, &job);
    for (Size part = 0; part < parts; part++)
        if (job.duplicates[part])
            raise_duplicate(&job, part);
    pfree(job.scratch);
    pfree(job.starts);
    pfree(job.duplicates);
    return job.entries;
}

/* Puts the probes before the others and keeps the order among each. */
static uint64 *
probes_first(record_store *store, uint64 *order)
{
    Size count = store->records.count, next[2] = {0, 0};
    uint64 *sorted = big_alloc(store->data, mul_size(Max(count, 1), sizeof(uint64)));

    for (Size i = 0; i < count; i++)
        store->probe_count += store->is_probe[i];
    next[0] = store->probe_count;
    for (Size i = 0; i < count; i++) {
        sorted[next[store->is_probe[(uint32)order[i]]]++] = order[i];
        if ((i & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    pfree(order);
    pfree(store->is_probe);
    store->is_probe = NULL;
    return sorted;
}

typedef struct renumbering {
    const uint64 *order;
    Size count, width; /* of what is moved, in words */
    const uint32 *from;
    uint32 *to;
} renumbering;

/* Records come from all over the old order: they are fetched while others are copied. */
static void
renumber_range(void *context, int64_t range, int thread)
{
    const renumbering *job = context;
    Size first = (Size)range * SORT_RANGE, end = Min(job->count, first + SORT_RANGE), width = job->width;

    for (Size i = first; i < end; i++) {
        if (i + RECORDS_AHEAD < end) {
            const uint32 *ahead = job->from + (uint32)job->order[i + RECORDS_AHEAD] * width;

            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + width - 1);
        }
        for (Size w = 0; w < width; w++) /* too few for memcpy */
            job->to[i * width + w] = job->from[(uint32)job->order[i] * width + w];
    }
}

/* An array by record, of "size" bytes each, in the new order; the old one is freed. */
static void *
renumber_array(record_store *store, int threads, const uint64 *order, void *array, Size size)
{
    renumbering job = {order, store->records.count, size / sizeof(uint32), array, NULL};

    job.to = big_alloc(store->data, mul_size(Max(job.count, 1), size));
    parallel_in_turns(threads, (int64)sort_ranges(job.count), RANGES_AT_ONCE, renumber_range, &job);
    pfree(array);
    return job.to;
}

void
record_store_renumber(record_store *store, int threads)
{
    uint64 *order = order_records(store, threads);

    if (store->is_probe != NULL)
        order = probes_first(store, order);
    store->records.rows = renumber_array(store, threads, order, (void *)store->records.rows,
                                         mul_size(store->records.stride, sizeof(uint32)));
    if (store->integer_ids != NULL)
        store->integer_ids = renumber_array(store, threads, order, store->integer_ids, sizeof(int64));
    else
        store->text_ids = renumber_array(store, threads, order, store->text_ids, sizeof(char *));
    pfree(order);
}
