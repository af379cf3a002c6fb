/*
 * dictionary.h: the distinct values of a column, numbered from 1 in the order of their arrival. Code 0 is
 * the missing value. Equal values have equal codes, so the engine compares codes.
 *
 * Of a text longer than COMPARED_CHARACTERS only the beginning is kept, and how long it is; what tells it
 * from others is then a 128-bit hash of the whole. Memory is that of the context it was made in, allocated in
 * big slices.
 */
#ifndef MASTERING_ENGINE_DICTIONARY_H
#define MASTERING_ENGINE_DICTIONARY_H

#include "compat.h"

#include "kernel/hash.h"
#include "kernel/similarity.h"
#include "kernel/text_view.h"

#define COMPARED_CHARACTERS 4096

/* What is kept of a text beside its characters, in bytes: of a long one a hash and its length. */
#define KEPT_BESIDE(length) ((length) < COMPARED_CHARACTERS ? sizeof(uint64) : 2 * sizeof(uint64))

/* The head of a value; its characters follow. */
typedef struct dictionary_value {
    uint32 code;
    uint32 shape; /* length and width of what is kept of the text */
} dictionary_value;

typedef struct dictionary {
    MemoryContext context;
    uint32 count; /* codes in use, with code 0 */
    uint32 seen;  /* the same, when no thread was adding any */
    uint32 allocated;
    uint32 expected;  /* by somebody who knows; 0: nobody did */
    uint32 forecast;  /* codes to which to grow, if need be; 0: nobody knows */
    text_view *texts; /* by code */
    uint64 *hashes;   /* of the whole content */
    uint32 *records;  /* that have the value */
    double *numbers;  /* by code, when values are numbers; else NULL */
    calendar_date *dates;
    struct text_profile *profiles; /* by code, once something compares by them; else NULL */
    struct lane_planes *planes;    /* the same, where pairs are measured in lanes */
    uint64 *table;                 /* open addressing: where a value is, and bits of its hash; 0 is free */
    uint32 table_mask;
    bool unsettled; /* the table is new, and nothing is in it yet */
    char *slice;    /* where the next characters go */
    Size slice_left;
    char *spare; /* where they go when the slice is full; or NULL */
    Size spare_size;
    uint64 long_values; /* longer than COMPARED_CHARACTERS */
    char apart[64];     /* threads fill dictionaries side by side: none shares a cache line with another */
} dictionary;

extern dictionary *dictionary_create(MemoryContext context);

/* A table for about so many values in all, in a dictionary that is empty: growing costs as much as filling
 * it. DICTIONARY_EXPECTED_BYTES: that values then take, each of them, at most. */
#define DICTIONARY_EXPECTED_BYTES 66
extern void dictionary_expect(dictionary *dictionary, uint32 values);

/*
 * How many values there will be at most, as far as anybody can tell. When what is kept by code has to grow,
 * it grows to that, and is not copied again; what no value comes for takes no memory but that of its
 * addresses, DICTIONARY_CODE_BYTES each, which dictionary_trim gives back.
 */
#define DICTIONARY_CODE_BYTES (sizeof(text_view) + sizeof(uint64) + sizeof(uint32))
extern void dictionary_forecast(dictionary *dictionary, uint32 values);
extern void dictionary_trim(dictionary *dictionary);

/* The code of a value, new or known; counts one more record that has it. */
extern uint32 dictionary_add(dictionary *dictionary, text_view text);

/*
 * The same in steps, for callers that add many values at once: a look-up misses the cache twice in a row
 * (its place in the table, the value), and with the steps done for a batch of values those waits overlap.
 *
 * dictionary_reserve makes room for so many values of so many bytes in all; dictionary_add_reserved then
 * allocates nothing, so that a worker thread may call it, and counts no record.
 */
static inline uint64
dictionary_hash(text_view text)
{
    return hash_combine(hash_bytes(text.chars, (Size)text.length * text.width), text.width);
}

/* Where in the table the search for a value of this hash begins. */
static inline uint32
dictionary_first_place(const dictionary *dictionary, uint64 hash)
{
    return (uint32)hash & dictionary->table_mask;
}

static inline void
dictionary_prefetch_place(const dictionary *dictionary, uint64 hash)
{
    __builtin_prefetch(&dictionary->table[dictionary_first_place(dictionary, hash)]);
}

/*
 * An entry of the table: where the value is, in words of 8 bytes, and above that the leading bits of its
 * hash. What tells one value from another lies side by side: a look-up waits for the table and for the value,
 * and for nothing between them.
 */
#define PLACE_BITS 51
#define PLACE_MASK ((UINT64_C(1) << PLACE_BITS) - 1)

static inline const dictionary_value *
dictionary_entry_value(uint64 entry)
{
    return (const dictionary_value *)(uintptr_t)((entry & PLACE_MASK) << 3);
}

/*
 * The first place that may hold the value of a hash, or where it would go, and the value that it holds is
 * asked for: what look-ups need beside their places, when these have come. What is added meanwhile does not
 * change it, but for the table's growing.
 */
static inline uint32
dictionary_seek(const dictionary *dictionary, uint64 hash, Size size)
{
    uint32 place = dictionary_first_place(dictionary, hash);
    uint64 entry = dictionary->table[place];
    const dictionary_value *value;

    while (entry != 0 && ((entry ^ hash) & ~PLACE_MASK) != 0) {
        place = (place + 1) & dictionary->table_mask;
        entry = dictionary->table[place];
    }
    value = dictionary_entry_value(entry);
    __builtin_prefetch(value);
    __builtin_prefetch((const char *)(value + 1) + size - 1);
    return place;
}

static inline void
dictionary_prefetch_values(const dictionary *dictionary, const uint64 *hashes, uint32 count)
{
    for (uint32 i = 0; i < count; i++)
        (void)dictionary_seek(dictionary, hashes[i], 1);
}

extern void dictionary_reserve(dictionary *dictionary, uint32 values, Size bytes);

/*
 * Bytes of its arrays that no value had taken when it was last seen with no thread adding any: how far
 * threads have come meanwhile is nothing to decide by. Making room sees it, and so does dictionary_see.
 */
extern Size dictionary_untouched(const dictionary *dictionary);
extern void dictionary_see(dictionary *dictionary);

/* The two halves of dictionary_reserve: what allocates, and the rest, which a worker thread may do. */
extern void dictionary_make_room(dictionary *dictionary, uint32 values, Size bytes);
extern void dictionary_settle(dictionary *dictionary);

extern uint32 dictionary_add_reserved(dictionary *dictionary, text_view text, uint64 hash);

/* The same where its place was sought; and of at most SHORT_TEXT bytes, of which SHORT_TEXT_ROOM may be read.
 */
extern uint32 dictionary_add_sought(dictionary *dictionary, text_view text, uint64 hash, uint32 place);
extern uint32 dictionary_add_short(dictionary *dictionary, const char *bytes, uint32 length, uint64 hash,
                                   uint32 place);

/*
 * A value of one dictionary for another: what is kept of its text, its hash, and its second hash (0 where
 * the text is kept as a whole). dictionary_add_kept counts one more record that has it.
 */
extern uint64 dictionary_second_hash(const dictionary *dictionary, uint32 code);
extern uint32 dictionary_add_kept(dictionary *dictionary, text_view text, uint64 hash, uint64 second_hash);

/* The same where room was reserved for the value. */
extern uint32 dictionary_add_kept_reserved(dictionary *dictionary, text_view text, uint64 hash,
                                           uint64 second_hash);

/* The characters of a value, also those that are not kept; of one that was kept before, those that were. */
extern uint64 dictionary_whole_length(const dictionary *dictionary, uint32 code);

/* The code of a value, 0 when it is not there. */
extern uint32 dictionary_find(const dictionary *dictionary, text_view text);

#endif
