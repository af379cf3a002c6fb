/*
 * swapped.c: see swapped.h. Two columns are swapped in some records when records have the values of others
 * the other way round. That hardly happens by chance where both columns have many values.
 */
#include "compat.h"

#include "engine/hash_sort.h"
#include "engine/swapped.h"
#include "kernel/hash.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define RECORDS_LOOKED_AT 200000
#define LEAST_SWAPPED 3 /* records that another has the other way round */
#define LEAST_SWAPPED_SHARE                                                                                  \
    0.02                         /* the same, of all: with fewer, to know which name differs is worth more   \
                                  */
#define MOST_BY_CHANCE 0.3       /* of those, that would be there by chance */
#define MOST_EQUAL 0.05          /* of pairs of values of either column */
#define MOST_WORDS_OF_A_NAME 1.6 /* on average */

static bool
may_be_swapped(const column_profile *profile)
{
    return profile->kind == KIND_NAME && !profile->is_group && !profile->is_list && !profile->repeats &&
           profile->distinct > 20 && profile->equal_share < MOST_EQUAL &&
           profile->mean_words <= MOST_WORDS_OF_A_NAME && profile->filled * 2 > profile->records;
}

/* By code of the one column: the code of the same value in the other. */
static uint32 *
codes_in(const dictionary *from, const dictionary *to)
{
    uint32 *codes = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(from->count, sizeof(uint32)));

    codes[0] = 0;
    for (uint32 code = 1; code < from->count; code++)
        codes[code] = dictionary_find(to, from->texts[code]);
    return codes;
}

static bool
has_key(const uint64 *keys, uint32 count, uint64 key)
{
    return count > 0 && bsearch(&key, keys, count, sizeof(uint64), compare_uint64) != NULL;
}

static bool
are_swapped(const record_store *store, const column_profile *profiles, int i, int j)
{
    uint32 *there = codes_in(profiles[i].values, profiles[j].values);
    uint32 *back = codes_in(profiles[j].values, profiles[i].values);
    uint32 count = Min(store->records.count, RECORDS_LOOKED_AT), keys_count = 0, swapped = 0;
    uint64 *keys = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(count, 1), sizeof(uint64)));
    double may = 0, by_chance;

    for (uint32 record = 0; record < count; record++) {
        const uint32 *row = record_row(&store->records, record);

        if (there[row[i]] != 0 && back[row[j]] != 0 && there[row[i]] != row[j])
            keys[keys_count++] = (uint64)row[i] << 32 | row[j];
    }
    qsort(keys, keys_count, sizeof(uint64), compare_uint64);
    for (uint32 record = 0; record < count; record++) {
        const uint32 *row = record_row(&store->records, record);

        if (there[row[i]] == 0 || back[row[j]] == 0 || there[row[i]] == row[j])
            continue;
        may++;
        swapped += has_key(keys, keys_count, (uint64)back[row[j]] << 32 | there[row[i]]);
    }
    /* Each such record meets the others with the chance that both values are equal. */
    by_chance = may * may * profiles[i].equal_share * profiles[j].equal_share;
    pfree(there);
    pfree(back);
    pfree(keys);
    CHECK_FOR_INTERRUPTS();
    return swapped >= LEAST_SWAPPED && swapped >= LEAST_SWAPPED_SHARE * count &&
           by_chance <= MOST_BY_CHANCE * swapped;
}

int
swapped_columns_find(const record_store *store, const column_profile *profiles, int count,
                     int found[MOST_SWAPPED][2])
{
    int used = 0;

    for (int i = 0; i < count; i++) {
        for (int j = i + 1; j < count && used < MOST_SWAPPED; j++) {
            if (!may_be_swapped(&profiles[i]) || !may_be_swapped(&profiles[j]) ||
                !are_swapped(store, profiles, i, j))
                continue;
            found[used][0] = i;
            found[used][1] = j;
            used++;
        }
    }
    return used;
}
