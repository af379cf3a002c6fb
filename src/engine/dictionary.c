/*
 * dictionary.c: see dictionary.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/dictionary.h"
#include "kernel/hash.h"
#include "kernel/short_text.h"
#include "utils/memutils.h"

#define SLICE_SIZE (256 * 1024)
#define LARGE_SLICE_SIZE (32 * 1024 * 1024) /* of a column with many values */
#define FIRST_CODES 256
#define CODES_AHEAD 24 /* whose places are fetched before they are needed */

StaticAssertDecl(sizeof(dictionary_value) == 8, "characters follow a value's head in whole words");
StaticAssertDecl(COMPARED_CHARACTERS < PG_UINT32_MAX / 8, "a length and a width fit into one word");

static void *
allocate(MemoryContext context, Size size)
{
    return big_alloc(context, size);
}

dictionary *
dictionary_create(MemoryContext context)
{
    dictionary *made = MemoryContextAllocZero(context, sizeof(dictionary));

    made->context = context;
    made->count = 1;
    made->seen = 1;
    made->allocated = FIRST_CODES;
    made->texts = allocate(context, FIRST_CODES * sizeof(text_view));
    made->hashes = allocate(context, FIRST_CODES * sizeof(uint64));
    made->records = allocate(context, FIRST_CODES * sizeof(uint32));
    made->texts[0] = (text_view){NULL, 0, 1};
    made->hashes[0] = 0;
    made->records[0] = 0;
    made->table_mask = FIRST_CODES * 2 - 1;
    made->table = MemoryContextAllocZero(context, (Size)(FIRST_CODES * 2) * sizeof(uint64));
    return made;
}

static inline uint64
entry_of(const dictionary_value *value, uint64 hash)
{
    return (uint64)(uintptr_t)value >> 3 | (hash & ~PLACE_MASK);
}

/* A length and a width in one word, to be compared at once. */
static inline uint32
shape_of(text_view text)
{
    return Min(text.length, COMPARED_CHARACTERS) << 3 | text.width;
}

static void
set_allocated(dictionary *dictionary, Size codes)
{
    dictionary->texts = big_realloc(dictionary->texts, mul_size(codes, sizeof(text_view)));
    dictionary->hashes = big_realloc(dictionary->hashes, mul_size(codes, sizeof(uint64)));
    dictionary->records = big_realloc(dictionary->records, mul_size(codes, sizeof(uint32)));
    dictionary->allocated = (uint32)codes;
}

/* For so many codes at least. */
static void
grow(dictionary *dictionary, Size least)
{
    Size codes = dictionary->forecast > dictionary->allocated
                     ? Max(dictionary->forecast, (Size)dictionary->allocated / 4 * 5)
                     : mul_size(dictionary->allocated, 2);

    while (codes < least)
        codes = mul_size(codes, 2);
    if (codes > PG_UINT32_MAX / 4)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many distinct values in one column")));
    set_allocated(dictionary, codes);
}

void
dictionary_forecast(dictionary *dictionary, uint32 values)
{
    dictionary->forecast = values;
}

void
dictionary_trim(dictionary *dictionary)
{
    dictionary->forecast = 0;
    if (dictionary->allocated / 8 * 7 > Max(dictionary->count, FIRST_CODES))
        set_allocated(dictionary, Max(dictionary->count, FIRST_CODES));
}

void
dictionary_expect(dictionary *dictionary, uint32 values)
{
    Size places = (Size)dictionary->table_mask + 1;

    if (dictionary->count > 1 || values <= dictionary->allocated)
        return;
    dictionary->expected = values;
    while (places / 4 * 3 < values)
        places = mul_size(places, 2);
    pfree(dictionary->table);
    dictionary->table = big_alloc(dictionary->context, mul_size(places, sizeof(uint64)));
    dictionary->table_mask = (uint32)(places - 1);
    dictionary->unsettled = true;
}

/* At most three places of four are taken. */
static bool
table_has_room(const dictionary *dictionary, uint32 values)
{
    return (uint64)dictionary->count + values <= ((uint64)dictionary->table_mask + 1) / 4 * 3;
}

static void
grow_table(dictionary *dictionary)
{
    Size places = mul_size((Size)dictionary->table_mask + 1, 2);

    pfree(dictionary->table);
    dictionary->table = big_alloc(dictionary->context, mul_size(places, sizeof(uint64)));
    dictionary->table_mask = (uint32)(places - 1);
    dictionary->unsettled = true;
}

void
dictionary_settle(dictionary *dictionary)
{
    if (!dictionary->unsettled)
        return;
    memset(dictionary->table, 0, ((Size)dictionary->table_mask + 1) * sizeof(uint64));
    for (uint32 code = 1; code < dictionary->count; code++) {
        uint32 place = dictionary_first_place(dictionary, dictionary->hashes[code]);
        const dictionary_value *value = (const dictionary_value *)dictionary->texts[code].chars - 1;

        if (code + CODES_AHEAD < dictionary->count)
            __builtin_prefetch(
                &dictionary
                     ->table[dictionary_first_place(dictionary, dictionary->hashes[code + CODES_AHEAD])],
                1);
        while (dictionary->table[place] != 0)
            place = (place + 1) & dictionary->table_mask;
        dictionary->table[place] = entry_of(value, dictionary->hashes[code]);
    }
    dictionary->unsettled = false;
}

void
dictionary_make_room(dictionary *dictionary, uint32 values, Size bytes)
{
    dictionary_see(dictionary);
    if (dictionary->allocated - dictionary->count < values)
        grow(dictionary, (Size)dictionary->count + values);
    while (!table_has_room(dictionary, values))
        grow_table(dictionary);
    bytes = add_size(bytes, mul_size(values, MAXIMUM_ALIGNOF + sizeof(dictionary_value)));
    bytes = add_size(bytes, SHORT_TEXT_ROOM);
    if (dictionary->slice_left >= bytes || (dictionary->spare != NULL && dictionary->spare_size >= bytes))
        return;
    if (dictionary->spare != NULL)
        pfree(dictionary->spare);
    dictionary->spare_size = Max((Size)dictionary->count * 8, (Size)dictionary->expected * 16);
    dictionary->spare_size = Max(bytes, Min(Max(dictionary->spare_size, SLICE_SIZE), LARGE_SLICE_SIZE));
    dictionary->spare = allocate(dictionary->context, dictionary->spare_size);
}

void
dictionary_reserve(dictionary *dictionary, uint32 values, Size bytes)
{
    dictionary_make_room(dictionary, values, bytes);
    dictionary_settle(dictionary);
}

Size
dictionary_untouched(const dictionary *dictionary)
{
    return (Size)(dictionary->allocated - dictionary->seen) * DICTIONARY_CODE_BYTES;
}

void
dictionary_see(dictionary *dictionary)
{
    dictionary->seen = dictionary->count;
}

/* Room that was reserved; behind it SHORT_TEXT_ROOM bytes are left. */
static dictionary_value *
take_value(dictionary *dictionary, Size size)
{
    char *taken;

    size = MAXALIGN(size) + sizeof(dictionary_value);
    if (size + SHORT_TEXT_ROOM > dictionary->slice_left) {
        dictionary->slice = dictionary->spare;
        dictionary->slice_left = dictionary->spare_size;
        dictionary->spare = NULL;
    }
    taken = dictionary->slice;
    dictionary->slice += size;
    dictionary->slice_left -= size;
    return (dictionary_value *)(void *)taken;
}

static inline uint64
load_word(const char *bytes)
{
    uint64 word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

/*
 * Texts of up to 64 bytes by words, of which some may have bytes of others, so that no more than a branch or
 * two depend on the length, which cannot be predicted.
 */
static inline bool
same_bytes(const char *a, const char *b, Size size)
{
    uint64 differ = 0;

    if (size < sizeof(uint64))
        return size == 0 || hash_load_rest((const unsigned char *)a, size) ==
                                hash_load_rest((const unsigned char *)b, size);
    if (size > 64)
        return memcmp(a, b, size) == 0;
    if (size > 32) {
        for (Size i = 16; i + sizeof(uint64) < size - 16; i += sizeof(uint64))
            differ |= load_word(a + i) ^ load_word(b + i);
        differ |= load_word(a + size - 24) ^ load_word(b + size - 24);
    }
    if (size > 16) {
        differ |= load_word(a + 8) ^ load_word(b + 8);
        differ |= load_word(a + size - 16) ^ load_word(b + size - 16);
    }
    differ |= load_word(a) ^ load_word(b);
    differ |= load_word(a + size - sizeof(uint64)) ^ load_word(b + size - sizeof(uint64));
    return differ == 0;
}

/*
 * What is stored of a text: itself, or its beginning and the hash of the whole behind it. The second hash,
 * and then the length of the whole, are kept behind the view's end.
 */
static inline bool
same_text(const dictionary_value *value, text_view text, uint64 second_hash)
{
    const char *characters = (const char *)(value + 1);
    Size size = (Size)Min(text.length, COMPARED_CHARACTERS) * text.width;

    if (value->shape != shape_of(text) || !same_bytes(characters, text.chars, size))
        return false;
    return text.length < COMPARED_CHARACTERS || memcmp(characters + size, &second_hash, sizeof(uint64)) == 0;
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

/* From a place on: that of the value, or the one that it may take. */
static inline uint32
find_place(const dictionary *dictionary, text_view text, uint64 hash, uint64 second_hash, uint32 place)
{
    for (;; place = (place + 1) & dictionary->table_mask) {
        uint64 entry = dictionary->table[place];

        if (entry == 0 || (((entry ^ hash) & ~PLACE_MASK) == 0 &&
                           same_text(dictionary_entry_value(entry), text, second_hash) &&
                           (text.length < COMPARED_CHARACTERS ||
                            dictionary->hashes[dictionary_entry_value(entry)->code] == hash)))
            return place;
    }
}

/* The bytes that are kept of a text. */
static inline Size
kept_bytes(text_view text)
{
    return (Size)Min(text.length, COMPARED_CHARACTERS) * text.width +
           (text.length >= COMPARED_CHARACTERS ? KEPT_BESIDE(text.length) : 0);
}

uint32
dictionary_add(dictionary *dictionary, text_view text)
{
    uint32 code;

    dictionary_reserve(dictionary, 1, kept_bytes(text));
    code = dictionary_add_reserved(dictionary, text, dictionary_hash(text));
    dictionary->records[code]++;
    return code;
}

/* A new value, whose characters the caller writes. */
static inline dictionary_value *
add_value(dictionary *dictionary, text_view text, Size kept, uint64 hash, uint32 place)
{
    dictionary_value *value = take_value(dictionary, kept);

    *value = (dictionary_value){dictionary->count++, shape_of(text)};
    dictionary->texts[value->code] =
        (text_view){value + 1, Min(text.length, COMPARED_CHARACTERS), text.width};
    dictionary->hashes[value->code] = hash;
    dictionary->records[value->code] = 0;
    dictionary->table[place] = entry_of(value, hash);
    return value;
}

/* What is kept of a text becomes a value, unless it is one. */
static inline uint32
add_kept(dictionary *dictionary, text_view text, uint64 hash, uint64 second_hash, uint32 place)
{
    dictionary_value *value;
    char *characters;
    Size size;

    place = find_place(dictionary, text, hash, second_hash, place);
    if (dictionary->table[place] != 0)
        return dictionary_entry_value(dictionary->table[place])->code;

    size = (Size)Min(text.length, COMPARED_CHARACTERS) * text.width;
    value = add_value(dictionary, text, kept_bytes(text), hash, place);
    characters = (char *)(value + 1);
    memcpy(characters, text.chars, size);
    if (text.length >= COMPARED_CHARACTERS) {
        uint64 length = text.length;

        memcpy(characters + size, &second_hash, sizeof(uint64));
        memcpy(characters + size + sizeof(uint64), &length, sizeof(uint64));
    }
    if (text.length > COMPARED_CHARACTERS)
        dictionary->long_values++;
    return value->code;
}

uint32
dictionary_add_sought(dictionary *dictionary, text_view text, uint64 hash, uint32 place)
{
    return add_kept(dictionary, text, hash, second_hash_of(text), place);
}

uint32
dictionary_add_reserved(dictionary *dictionary, text_view text, uint64 hash)
{
    return dictionary_add_sought(dictionary, text, hash, dictionary_first_place(dictionary, hash));
}

/* Nothing but a second half depends on the length by a branch: that of names cannot be predicted. */
static inline bool
same_short(const dictionary_value *value, const char *bytes, uint32 length)
{
#ifdef __SSE2__
    const __m128i *a = (const __m128i *)(const void *)(value + 1), *b = (const __m128i *)(const void *)bytes;
    uint32 same = (uint32)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(a), _mm_loadu_si128(b)));

    if (length > 16)
        same |= (uint32)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(a + 1), _mm_loadu_si128(b + 1)))
                << 16;
    return ((value->shape ^ (length << 3 | 1)) | (~same & ((UINT32_C(1) << length) - 1))) == 0;
#else
    return value->shape == (length << 3 | 1) && same_bytes((const char *)(value + 1), bytes, length);
#endif
}

uint32
dictionary_add_short(dictionary *dictionary, const char *bytes, uint32 length, uint64 hash, uint32 place)
{
    text_view text = {bytes, length, 1};
    uint64 entry;

    for (; (entry = dictionary->table[place]) != 0; place = (place + 1) & dictionary->table_mask)
        if (((entry ^ hash) & ~PLACE_MASK) == 0 && same_short(dictionary_entry_value(entry), bytes, length))
            return dictionary_entry_value(entry)->code;
    memcpy(add_value(dictionary, text, length, hash, place) + 1, bytes, SHORT_TEXT_ROOM);
    return dictionary->count - 1;
}

uint64
dictionary_second_hash(const dictionary *dictionary, uint32 code)
{
    const text_view *text = &dictionary->texts[code];
    uint64 hash = 0;

    if (text->length == COMPARED_CHARACTERS)
        memcpy(&hash, (const char *)text->chars + (Size)text->length * text->width, sizeof(uint64));
    return hash;
}

uint64
dictionary_whole_length(const dictionary *dictionary, uint32 code)
{
    const text_view *text = &dictionary->texts[code];
    uint64 length = text->length;

    if (length == COMPARED_CHARACTERS)
        memcpy(&length, (const char *)text->chars + (Size)text->length * text->width + sizeof(uint64),
               sizeof(uint64));
    return length;
}

uint32
dictionary_add_kept(dictionary *dictionary, text_view text, uint64 hash, uint64 second_hash)
{
    dictionary_reserve(dictionary, 1, kept_bytes(text));
    return dictionary_add_kept_reserved(dictionary, text, hash, second_hash);
}

uint32
dictionary_add_kept_reserved(dictionary *dictionary, text_view text, uint64 hash, uint64 second_hash)
{
    uint32 code = add_kept(dictionary, text, hash, second_hash, dictionary_first_place(dictionary, hash));

    dictionary->records[code]++;
    return code;
}

uint32
dictionary_find(const dictionary *dictionary, text_view text)
{
    uint64 hash = dictionary_hash(text);
    uint64 entry = dictionary->table[find_place(dictionary, text, hash, second_hash_of(text),
                                                dictionary_first_place(dictionary, hash))];

    return entry == 0 ? 0 : dictionary_entry_value(entry)->code;
}
