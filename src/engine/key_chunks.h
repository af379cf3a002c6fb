/*
 * key_chunks.h: how the blocking keys of a segment of records are stored: sorted, in chunks of at most
 * KEY_CHUNK_ENTRIES entries of 16 bytes: the key (64 bits, ordered as SQL orders bigint), the number of the
 * row that has it, and where the row lay in its segment when the chunk was made, all little-endian. Entries
 * are in the order of key and row. A chunk is a row of a store ("first" is its first key) and just short
 * enough to lie in its page four at a time. Where several begin with the same key they hold nothing else, so
 * that a key lies in chunks that begin with it and in one, any one, of those with the greatest beginning
 * before it.
 *
 * The place is a hint, for whoever wants the row and not only its number: with it the index on row numbers
 * need not be read, of which every row that is wanted has another page. A segment is never changed, so it is
 * right, but for a row of which a part was erased, and after a dump was restored or the table was rewritten.
 * So who goes there looks whether the row is the one, and else asks the index.
 */
#ifndef MASTERING_ENGINE_KEY_CHUNKS_H
#define MASTERING_ENGINE_KEY_CHUNKS_H

#include "compat.h"

#include "storage/itemptr.h"

#define KEY_ENTRY_BYTES 16
#define KEY_CHUNK_ENTRIES 122

/* A place: number of the page and, in these bits, of the line. What does not fit is NO_PLACE. */
#define PLACE_LINE_BITS 9
#define NO_PLACE 0

static inline uint32
row_place(BlockNumber block, OffsetNumber line)
{
    return line < 1 << PLACE_LINE_BITS && block < UINT32_C(1) << (32 - PLACE_LINE_BITS)
               ? block << PLACE_LINE_BITS | line
               : NO_PLACE;
}

static inline ItemPointerData
row_place_pointer(uint32 place)
{
    ItemPointerData pointer;

    ItemPointerSet(&pointer, place >> PLACE_LINE_BITS, place & ((1 << PLACE_LINE_BITS) - 1));
    return pointer;
}

static inline void
key_entry_write_place(uint8 *entry, uint32 place)
{
    for (int i = 0; i < 4; i++)
        entry[12 + i] = (uint8)(place >> 8 * i);
}

static inline void
key_entry_write(uint8 *entry, int64 key, int32 row, uint32 place)
{
    for (int i = 0; i < 8; i++)
        entry[i] = (uint8)((uint64)key >> 8 * i);
    for (int i = 0; i < 4; i++)
        entry[8 + i] = (uint8)((uint32)row >> 8 * i);
    key_entry_write_place(entry, place);
}

static inline int64
key_entry_key(const uint8 *entry)
{
    uint64 key = 0;

    for (int i = 0; i < 8; i++)
        key |= (uint64)entry[i] << 8 * i;
    return (int64)key;
}

static inline int32
key_entry_row(const uint8 *entry)
{
    return (int32)((uint32)entry[8] | (uint32)entry[9] << 8 | (uint32)entry[10] << 16 |
                   (uint32)entry[11] << 24);
}

static inline uint32
key_entry_place(const uint8 *entry)
{
    return (uint32)entry[12] | (uint32)entry[13] << 8 | (uint32)entry[14] << 16 | (uint32)entry[15] << 24;
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
