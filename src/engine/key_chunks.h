/*
 * key_chunks.h: how the blocking keys of a segment of records are stored: sorted, in chunks of at most
 * KEY_CHUNK_ENTRIES entries of 12 bytes: the key (64 bits, ordered as SQL orders bigint) and the number of
 * the row that has it, little-endian. Entries are in the order of key and row. A chunk is a row of a store
 * ("first" is its first key) and just short enough to lie in its page four at a time. Where several begin
 * with the same key they hold nothing else, so that a key lies in chunks that begin with it and in one, any
 * one, of those with the greatest beginning before it.
 */
#ifndef MASTERING_ENGINE_KEY_CHUNKS_H
#define MASTERING_ENGINE_KEY_CHUNKS_H

#include "compat.h"

#define KEY_ENTRY_BYTES 12
#define KEY_CHUNK_ENTRIES 163

static inline void
key_entry_write(uint8 *place, int64 key, int32 row)
{
    for (int i = 0; i < 8; i++)
        place[i] = (uint8)((uint64)key >> 8 * i);
    for (int i = 0; i < 4; i++)
        place[8 + i] = (uint8)((uint32)row >> 8 * i);
}

static inline int64
key_entry_key(const uint8 *place)
{
    uint64 key = 0;

    for (int i = 0; i < 8; i++)
        key |= (uint64)place[i] << 8 * i;
    return (int64)key;
}

static inline int32
key_entry_row(const uint8 *place)
{
    return (int32)((uint32)place[8] | (uint32)place[9] << 8 | (uint32)place[10] << 16 |
                   (uint32)place[11] << 24);
}

static inline int
key_chunk_count(const bytea *entries)
{
    if (VARSIZE_ANY_EXHDR(entries) % KEY_ENTRY_BYTES != 0)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a chunk of keys has an entry in part")));
    return (int)(VARSIZE_ANY_EXHDR(entries) / KEY_ENTRY_BYTES);
}

/* The place of the first entry whose key is not less; count when there is none. */
static inline int
key_chunk_find(const uint8 *entries, int count, int64 key)
{
    int low = 0, high = count;

    while (low < high) {
        int middle = (low + high) / 2;

        if (key_entry_key(entries + middle * KEY_ENTRY_BYTES) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#endif
