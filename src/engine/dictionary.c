/*
 * dictionary.c: see dictionary.h.
 */
#include "compat.h"

#include "engine/dictionary.h"
#include "kernel/hash.h"
#include "utils/memutils.h"

#define SLICE_SIZE (256 * 1024)
#define FIRST_CODES 256

static void *
allocate(MemoryContext context, Size size)
{
    return MemoryContextAllocHuge(context, size);
}

dictionary *
dictionary_create(MemoryContext context)
{
    dictionary *made = MemoryContextAllocZero(context, sizeof(dictionary));

    made->context = context;
    made->count = 1;
    made->allocated = FIRST_CODES;
    made->texts = allocate(context, FIRST_CODES * sizeof(text_view));
    made->hashes = allocate(context, FIRST_CODES * sizeof(uint64));
    made->records = allocate(context, FIRST_CODES * sizeof(uint32));
    made->texts[0] = (text_view){NULL, 0, 1};
    made->hashes[0] = 0;
    made->records[0] = 0;
    made->table_mask = FIRST_CODES * 2 - 1;
    made->table = MemoryContextAllocZero(context, (Size)(FIRST_CODES * 2) * sizeof(uint32));
    return made;
}

static void
grow(dictionary *dictionary)
{
    Size codes = mul_size(dictionary->allocated, 2);
    Size places = mul_size(codes, 2);

    if (codes > PG_UINT32_MAX / 4)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many distinct values in one column")));
    dictionary->texts = repalloc_huge(dictionary->texts, mul_size(codes, sizeof(text_view)));
    dictionary->hashes = repalloc_huge(dictionary->hashes, mul_size(codes, sizeof(uint64)));
    dictionary->records = repalloc_huge(dictionary->records, mul_size(codes, sizeof(uint32)));
    dictionary->allocated = (uint32)codes;

    pfree(dictionary->table);
    dictionary->table = MemoryContextAllocExtended(dictionary->context, mul_size(places, sizeof(uint32)),
                                                   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
    dictionary->table_mask = (uint32)places - 1;
    for (uint32 code = 1; code < dictionary->count; code++) {
        uint32 place = (uint32)dictionary->hashes[code] & dictionary->table_mask;

        while (dictionary->table[place] != 0)
            place = (place + 1) & dictionary->table_mask;
        dictionary->table[place] = code;
    }
}

static char *
take_characters(dictionary *dictionary, Size size)
{
    char *taken;

    size = MAXALIGN(size);
    if (size > SLICE_SIZE / 4)
        return allocate(dictionary->context, size);
    if (size > dictionary->slice_left) {
        dictionary->slice = allocate(dictionary->context, SLICE_SIZE);
        dictionary->slice_left = SLICE_SIZE;
    }
    taken = dictionary->slice;
    dictionary->slice += size;
    dictionary->slice_left -= size;
    return taken;
}

/*
 * What is stored of a text: itself, or its beginning and the hash of the whole behind it. The second hash
 * is kept as characters behind the view's end.
 */
static inline bool
same_text(const dictionary *dictionary, uint32 code, text_view text, uint64 second_hash)
{
    const text_view *stored = &dictionary->texts[code];
    Size size = (Size)Min(text.length, COMPARED_CHARACTERS) * text.width;

    if (stored->length != Min(text.length, COMPARED_CHARACTERS) || stored->width != text.width ||
        memcmp(stored->chars, text.chars, size) != 0)
        return false;
    return text.length < COMPARED_CHARACTERS ||
           memcmp((const char *)stored->chars + size, &second_hash, sizeof(uint64)) == 0;
}

static inline uint64
second_hash_of(text_view text)
{
    uint64 hash = text.length;

    if (text.length < COMPARED_CHARACTERS)
        return 0;
    for (Size i = 0; i < text.length; i += COMPARED_CHARACTERS) {
        Size part = Min(COMPARED_CHARACTERS, text.length - i);

        hash = hash_combine(hash, hash_bytes((const char *)text.chars + i * text.width, part * text.width));
    }
    return hash;
}

static inline uint32
find_place(const dictionary *dictionary, text_view text, uint64 hash, uint64 second_hash)
{
    uint32 place = (uint32)hash & dictionary->table_mask;

    for (;; place = (place + 1) & dictionary->table_mask) {
        uint32 code = dictionary->table[place];

        if (code == 0 || (dictionary->hashes[code] == hash && same_text(dictionary, code, text, second_hash)))
            return place;
    }
}

uint64
dictionary_hash(text_view text)
{
    return hash_combine(hash_bytes(text.chars, (Size)text.length * text.width), text.width);
}

void
dictionary_prefetch_place(const dictionary *dictionary, uint64 hash)
{
    __builtin_prefetch(&dictionary->table[(uint32)hash & dictionary->table_mask]);
}

/* The code that the hash's first place holds: most often the one looked for. */
static inline uint32
first_code(const dictionary *dictionary, uint64 hash)
{
    return dictionary->table[(uint32)hash & dictionary->table_mask];
}

void
dictionary_prefetch_text(const dictionary *dictionary, uint64 hash)
{
    uint32 code = first_code(dictionary, hash);

    __builtin_prefetch(&dictionary->hashes[code]);
    __builtin_prefetch(&dictionary->texts[code]);
    __builtin_prefetch(&dictionary->records[code], 1);
}

void
dictionary_prefetch_characters(const dictionary *dictionary, uint64 hash)
{
    __builtin_prefetch(dictionary->texts[first_code(dictionary, hash)].chars);
}

uint32
dictionary_add(dictionary *dictionary, text_view text)
{
    return dictionary_add_hashed(dictionary, text, dictionary_hash(text));
}

uint32
dictionary_add_hashed(dictionary *dictionary, text_view text, uint64 hash)
{
    uint64 second_hash = second_hash_of(text);
    uint32 place = find_place(dictionary, text, hash, second_hash);
    uint32 code = dictionary->table[place];

    if (code == 0) {
        Size size = (Size)Min(text.length, COMPARED_CHARACTERS) * text.width;
        bool is_long = text.length >= COMPARED_CHARACTERS;
        char *characters;

        if (dictionary->count == dictionary->allocated) {
            grow(dictionary);
            place = find_place(dictionary, text, hash, second_hash);
        }
        characters = take_characters(dictionary, size + (is_long ? sizeof(uint64) : 0));
        memcpy(characters, text.chars, size);
        if (is_long)
            memcpy(characters + size, &second_hash, sizeof(uint64));
        if (text.length > COMPARED_CHARACTERS)
            dictionary->long_values++;
        code = dictionary->count++;
        dictionary->texts[code] = (text_view){characters, Min(text.length, COMPARED_CHARACTERS), text.width};
        dictionary->hashes[code] = hash;
        dictionary->records[code] = 0;
        dictionary->table[place] = code;
    }
    dictionary->records[code]++;
    return code;
}

uint32
dictionary_find(const dictionary *dictionary, text_view text)
{
    return dictionary->table[find_place(dictionary, text, dictionary_hash(text), second_hash_of(text))];
}
