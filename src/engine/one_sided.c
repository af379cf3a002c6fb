/*
 * one_sided.c: see one_sided.h. Two shops call a thing by maker and name; one has the maker in a column, the
 * other within the name: that column is none of the shop's own.
 */
#include "compat.h"

#include "engine/one_sided.h"
#include "kernel/radix_sort.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define RECORDS_COMPARED 2000 /* of the source */
#define RECORDS_READ 100000   /* of all, for the words that there are */
#define MOSTLY 0.8            /* of the values, whose words others have */
#define WORDS_KEPT 2          /* of one hash: of any source there is then one that is of another */
#define WORDS_AT_FIRST 65536

/* Words of the texts of all records with their sources, ascending. */
typedef struct source_words {
    keyed_record *words; /* key: the hash; record: the source */
    size_t count;
} source_words;

/* By column the source that alone fills it; 0: there is none. */
static void
find_sources(const record_store *store, int count, uint32 *sources)
{
    bool *several = palloc0(Max(count, 1) * sizeof(bool));
    uint32 *first = palloc0(Max(count, 1) * sizeof(uint32)); /* the source, plus 1: 0 is a source, too */

    for (uint32 record = 0; record < store->records.count; record++) {
        const uint32 *row = record_row(&store->records, record);
        uint32 source = row[store->source_slot] + 1;

        for (int i = 0; i < count; i++) {
            if (row[i] == 0)
                continue;
            if (first[i] == 0)
                first[i] = source;
            several[i] |= first[i] != source;
        }
    }
    for (int i = 0; i < count; i++)
        sources[i] = several[i] ? 0 : first[i];
    pfree(first);
    pfree(several);
}

/* Of an array all elements: a profile has the values of each. */
static text_view
value_of(const record_store *store, int slot, uint32 code)
{
    return store->columns[slot].values->texts[code];
}

/* Sorts them and keeps of each word what tells of every source whether another has it; returns how many. */
static size_t
keep_words(keyed_record *words, size_t used)
{
    keyed_record *scratch =
        MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(used, 1), sizeof(keyed_record)));
    size_t count = 0;

    radix_sort_hashed(words, scratch, used);
    pfree(scratch);
    for (size_t i = 0, kept = 0; i < used; i++) { /* kept: of this hash */
        bool known = false;

        if (count > 0 && words[count - 1].key != words[i].key)
            kept = 0;
        for (size_t k = 0; k < kept; k++)
            known |= words[count - 1 - k].record == words[i].record;
        if (known || kept == WORDS_KEPT)
            continue;
        words[count++] = words[i];
        kept++;
    }
    return count;
}

static source_words
read_words(const record_store *store, int count, const bool *in_text)
{
    uint32 step = store->records.count / RECORDS_READ + 1;
    size_t allocated = WORDS_AT_FIRST;
    source_words read = {palloc(allocated * sizeof(keyed_record)), 0};

    for (uint32 record = 0; record < store->records.count; record += step) {
        const uint32 *row = record_row(&store->records, record);

        for (int i = 0; i < count; i++) {
            uint64 hashes[WORDS_COMPARED];
            int found = !in_text[i] || row[i] == 0 ? 0 : value_words(value_of(store, i, row[i]), hashes);

            if (read.count + WORDS_COMPARED > allocated) {
                read.count = keep_words(read.words, read.count);
                if (read.count > allocated / 2) {
                    allocated *= 2;
                    read.words = repalloc_huge(read.words, mul_size(allocated, sizeof(keyed_record)));
                }
            }
            for (int k = 0; k < found; k++)
                read.words[read.count++] = (keyed_record){hashes[k], row[store->source_slot] + 1, 0};
        }
        if ((record & 0xfff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    read.count = keep_words(read.words, read.count);
    return read;
}

/* Whether a source other than the given one has the word. */
static bool
others_have(const source_words *words, uint64 hash, uint32 source)
{
    size_t low = 0, high = words->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (words->words[middle].key < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < words->count && words->words[low].key == hash; low++)
        if (words->words[low].record != source)
            return true;
    return false;
}

/* Whether others say in their texts what most of the values say. */
static bool
others_say(const record_store *store, const column_profile *profile, int slot, const source_words *words,
           uint32 source)
{
    uint64 step = profile->filled / RECORDS_COMPARED + 1, filled = 0;
    uint32 looked_at = 0, said = 0;

    for (uint32 record = 0; record < store->records.count; record++) {
        uint64 hashes[WORDS_COMPARED];
        uint32 code = record_row(&store->records, record)[slot];
        int count, there = 0;

        if (code == 0 || filled++ % step != 0)
            continue;
        count = value_words(value_of(store, slot, code), hashes);
        for (int i = 0; i < count; i++)
            there += others_have(words, hashes[i], source);
        looked_at++;
        said += there == count;
    }
    return said >= MOSTLY * looked_at;
}

void
one_sided_find(const record_store *store, const column_profile *profiles, int count, const bool *in_text,
               bool *own)
{
    uint32 *sources = palloc0(Max(count, 1) * sizeof(uint32));
    source_words words = {0};

    memset(own, 0, count * sizeof(bool));
    if (store->source_slot < 0 || store->sources->count <= 2)
        return;
    find_sources(store, count, sources);
    for (int i = 0; i < count; i++) {
        if (in_text[i] && sources[i] != 0 && profiles[i].part_of == 0) {
            if (words.words == NULL)
                words = read_words(store, count, in_text);
            own[i] = !others_say(store, &profiles[i], i, &words, sources[i]);
        }
    }
    if (words.words != NULL)
        pfree(words.words);
    pfree(sources);
}
