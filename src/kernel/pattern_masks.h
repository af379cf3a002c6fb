/*
 * pattern_masks.h: for one strip of up to 64 characters of a text (the pattern), which of its positions
 * hold a given character, as a 64-bit mask. It is what the bit-parallel comparators run on.
 *
 * One text is the pattern and is cut into strips of 64; the other gives the columns. A longer pattern is
 * done strip by strip, the differences that leave a strip at its last row being kept a column, so that
 * memory grows with the columns alone and never with the number of distinct characters.
 *
 * Nothing is cleared that no column asks for: comparing two names costs less than clearing the table. On
 * x86-64, where SSE2 can be counted on, a name of up to 32 bytes or 16 wide characters has no table at all:
 * it stays in registers, and a column compares all of it at once.
 */
#ifndef MASTERING_KERNEL_PATTERN_MASKS_H
#define MASTERING_KERNEL_PATTERN_MASKS_H

#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "kernel/text_view.h"

#if defined(__GNUC__)
#define KERNEL_INLINE static inline __attribute__((always_inline))
#else
#define KERNEL_INLINE static inline
#endif

#define STRIP_LENGTH 64

/* Columns done between two looks at the stop flag: about a quarter of a millisecond. */
#define STOP_COLUMNS 65536

/* What is known at compile time about the widths of the two texts, so that each pair gets its own loop. */
typedef enum mask_kind {
    MASKS_BYTE_COLUMNS, /* columns of width 1; pattern of either width */
    MASKS_BYTE_PATTERN, /* columns of width 4, pattern of width 1 */
    MASKS_WIDE,         /* both of width 4 */
    MASKS_BYTES_16,     /* both of width 1, pattern of at most 16 characters; in registers */
    MASKS_BYTES_32,     /* both of width 1, pattern of 17 to 32 characters; in registers */
    MASKS_WIDE_16,      /* both of width 4, pattern of at most 16 characters; in registers */
} mask_kind;

#define WIDE_REGISTER_LENGTH 16

typedef union pattern_masks {
    uint64_t direct[256];
    struct {
        uint64_t mask[STRIP_LENGTH];
        uint32_t character[STRIP_LENGTH];
        uint8_t slot[2 * STRIP_LENGTH]; /* 1 + index of the character, 0: free */
    } hashed;
#if defined(__SSE2__)
    struct {
        __m128i part[4];
        uint32_t shift; /* MASKS_BYTES_32: where the second part begins, for it ends with the pattern */
    } registers;
#endif
} pattern_masks;

KERNEL_INLINE mask_kind
pattern_masks_kind(text_view pattern, text_view columns)
{
    if (columns.width == 1)
        return MASKS_BYTE_COLUMNS;
    return pattern.width == 1 ? MASKS_BYTE_PATTERN : MASKS_WIDE;
}

/* The kind for a pattern of one strip: pattern_masks_open and pattern_masks_get understand it. */
KERNEL_INLINE mask_kind
pattern_masks_kind_short(text_view pattern, text_view columns)
{
#if defined(__SSE2__)
    if (pattern.width == 1 && columns.width == 1) {
        if (pattern.length <= 16)
            return MASKS_BYTES_16;
        if (pattern.length <= 32)
            return MASKS_BYTES_32;
    } else if (pattern.width == columns.width && pattern.length <= WIDE_REGISTER_LENGTH) {
        return MASKS_WIDE_16;
    }
#endif
    return pattern_masks_kind(pattern, columns);
}

KERNEL_INLINE uint32_t
pattern_masks_hash(uint32_t character)
{
    return (character * UINT32_C(0x9E3779B1)) >> 25;
}

/* For a pattern of one strip: clears the masks that the columns will ask for, and no others. */
KERNEL_INLINE void
pattern_masks_clear_for(pattern_masks *masks, mask_kind kind, text_view columns)
{
    if (kind == MASKS_BYTE_COLUMNS) {
        const uint8_t *c = columns.chars;

        if (columns.length >= 256) {
            memset(masks->direct, 0, sizeof masks->direct);
            return;
        }
        for (uint32_t j = 0; j < columns.length; j++)
            masks->direct[c[j]] = 0;
    } else if (kind == MASKS_BYTE_PATTERN) {
        memset(masks->direct, 0, sizeof masks->direct);
    } else {
        memset(masks->hashed.slot, 0, sizeof masks->hashed.slot);
    }
}

/* For a pattern of many strips: clears everything, once; pattern_masks_unset then clears after each strip. */
KERNEL_INLINE void
pattern_masks_clear_all(pattern_masks *masks, mask_kind kind)
{
    if (kind == MASKS_WIDE)
        memset(masks->hashed.slot, 0, sizeof masks->hashed.slot);
    else
        memset(masks->direct, 0, sizeof masks->direct);
}

/* Enters the characters [from, from + count) of the pattern, count <= STRIP_LENGTH. */
KERNEL_INLINE void
pattern_masks_set(pattern_masks *masks, mask_kind kind, text_view pattern, uint32_t from, uint32_t count)
{
    if (kind != MASKS_WIDE && pattern.width == 1) {
        const uint8_t *p = (const uint8_t *)pattern.chars + from;

        for (uint32_t i = 0; i < count; i++)
            masks->direct[p[i]] |= UINT64_C(1) << i;
    } else if (kind != MASKS_WIDE) {
        const uint32_t *p = (const uint32_t *)pattern.chars + from;

        /* A character of 256 or more can equal no byte: it needs no mask. */
        for (uint32_t i = 0; i < count; i++)
            if (p[i] < 256)
                masks->direct[p[i]] |= UINT64_C(1) << i;
    } else {
        const uint32_t *p = (const uint32_t *)pattern.chars + from;
        uint8_t used = 0;

        for (uint32_t i = 0; i < count; i++) {
            uint32_t slot = pattern_masks_hash(p[i]);
            uint8_t entry;

            while ((entry = masks->hashed.slot[slot]) != 0 && masks->hashed.character[entry - 1] != p[i])
                slot = (slot + 1) & (2 * STRIP_LENGTH - 1);
            if (entry == 0) {
                masks->hashed.character[used] = p[i];
                masks->hashed.mask[used] = 0;
                entry = ++used;
                masks->hashed.slot[slot] = entry;
            }
            masks->hashed.mask[entry - 1] |= UINT64_C(1) << i;
        }
    }
}

#if defined(__SSE2__)
/* Up to 16 bytes, read without touching any other. */
KERNEL_INLINE __m128i
load_bytes(const uint8_t *bytes, uint32_t count)
{
    uint64_t low = 0, high = 0;

    if (count > 8) {
        memcpy(&low, bytes, 8);
        memcpy(&high, bytes + count - 8, 8);
        high >>= 8 * (16 - count);
    } else if (count >= 4) {
        uint32_t first, last;

        memcpy(&first, bytes, 4);
        memcpy(&last, bytes + count - 4, 4);
        low = first | (uint64_t)last << (8 * (count - 4));
    } else if (count > 0) {
        low = bytes[0] | (uint64_t)bytes[count / 2] << (8 * (count / 2)) |
              (uint64_t)bytes[count - 1] << (8 * (count - 1));
    }
    return _mm_set_epi64x((long long)high, (long long)low);
}
#endif

/* For a pattern of one strip: everything there is to do before the first column. */
KERNEL_INLINE void
pattern_masks_open(pattern_masks *masks, mask_kind kind, text_view pattern, text_view columns)
{
#if defined(__SSE2__)
    if (kind == MASKS_BYTES_16) {
        masks->registers.part[0] = load_bytes(pattern.chars, pattern.length);
        return;
    }
    if (kind == MASKS_BYTES_32) {
        const char *bytes = pattern.chars;

        masks->registers.shift = pattern.length - 16;
        masks->registers.part[0] = _mm_loadu_si128((const __m128i *)(const void *)bytes);
        masks->registers.part[1] =
            _mm_loadu_si128((const __m128i *)(const void *)(bytes + masks->registers.shift));
        return;
    }
    if (kind == MASKS_WIDE_16) {
        uint32_t padded[WIDE_REGISTER_LENGTH] = {0};

        for (uint32_t i = 0; i < pattern.length; i++)
            padded[i] = ((const uint32_t *)pattern.chars)[i];
        for (uint32_t i = 0; i < 4; i++)
            masks->registers.part[i] = _mm_loadu_si128((const __m128i *)(const void *)(padded + 4 * i));
        return;
    }
#endif
    pattern_masks_clear_for(masks, kind, columns);
    pattern_masks_set(masks, kind, pattern, 0, pattern.length);
}

/* Takes out what pattern_masks_set put in. */
KERNEL_INLINE void
pattern_masks_unset(pattern_masks *masks, mask_kind kind, text_view pattern, uint32_t from, uint32_t count)
{
    if (kind == MASKS_WIDE) {
        memset(masks->hashed.slot, 0, sizeof masks->hashed.slot);
        return;
    }
    for (uint32_t i = from; i < from + count; i++) {
        uint32_t character = text_view_at(pattern, i);

        if (character < 256)
            masks->direct[character] = 0;
    }
}

/*
 * The positions in the strip of the character in column j. Bits beyond the strip's length are undefined:
 * none of the recurrences lets a higher bit reach a lower one.
 */
KERNEL_INLINE uint64_t
pattern_masks_get(const pattern_masks *masks, mask_kind kind, const void *columns, uint32_t j)
{
    uint32_t character, slot;
    uint8_t entry;

#if defined(__SSE2__)
    if (kind == MASKS_BYTES_16 || kind == MASKS_BYTES_32) {
        __m128i wanted = _mm_set1_epi8(((const char *)columns)[j]);
        uint64_t mask = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(wanted, masks->registers.part[0]));

        if (kind == MASKS_BYTES_32)
            mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(wanted, masks->registers.part[1]))
                    << masks->registers.shift;
        return mask;
    }
    if (kind == MASKS_WIDE_16) {
        __m128i wanted = _mm_set1_epi32(((const int32_t *)columns)[j]);
        __m128i low = _mm_packs_epi32(_mm_cmpeq_epi32(wanted, masks->registers.part[0]),
                                      _mm_cmpeq_epi32(wanted, masks->registers.part[1]));
        __m128i high = _mm_packs_epi32(_mm_cmpeq_epi32(wanted, masks->registers.part[2]),
                                       _mm_cmpeq_epi32(wanted, masks->registers.part[3]));

        return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
    }
#endif
    if (kind == MASKS_BYTE_COLUMNS)
        return masks->direct[((const uint8_t *)columns)[j]];
    character = ((const uint32_t *)columns)[j];
    if (kind == MASKS_BYTE_PATTERN)
        return character < 256 ? masks->direct[character] : 0;
    slot = pattern_masks_hash(character);
    while ((entry = masks->hashed.slot[slot]) != 0) {
        if (masks->hashed.character[entry - 1] == character)
            return masks->hashed.mask[entry - 1];
        slot = (slot + 1) & (2 * STRIP_LENGTH - 1);
    }
    return 0;
}

/*
 * Returns what a function gives whose first argument is the kind, the kind being a constant in each call,
 * so that the function is compiled once for each.
 */
#define RETURN_FOR_KIND(kind, function, ...)                                                                 \
    switch (kind) {                                                                                          \
    case MASKS_BYTE_COLUMNS:                                                                                 \
        return function(MASKS_BYTE_COLUMNS, __VA_ARGS__);                                                    \
    case MASKS_BYTE_PATTERN:                                                                                 \
        return function(MASKS_BYTE_PATTERN, __VA_ARGS__);                                                    \
    default:                                                                                                 \
        return function(MASKS_WIDE, __VA_ARGS__);                                                            \
    }

#if defined(__SSE2__)
#define RETURN_FOR_SHORT_KIND(kind, function, ...)                                                           \
    switch (kind) {                                                                                          \
    case MASKS_BYTES_16:                                                                                     \
        return function(MASKS_BYTES_16, __VA_ARGS__);                                                        \
    case MASKS_BYTES_32:                                                                                     \
        return function(MASKS_BYTES_32, __VA_ARGS__);                                                        \
    case MASKS_WIDE_16:                                                                                      \
        return function(MASKS_WIDE_16, __VA_ARGS__);                                                         \
    default:                                                                                                 \
        RETURN_FOR_KIND(kind, function, __VA_ARGS__)                                                         \
    }
#else
#define RETURN_FOR_SHORT_KIND(kind, function, ...) RETURN_FOR_KIND(kind, function, __VA_ARGS__)
#endif

KERNEL_INLINE uint32_t
count_bits(uint64_t bits)
{
    bits -= (bits >> 1) & UINT64_C(0x5555555555555555);
    bits = (bits & UINT64_C(0x3333333333333333)) + ((bits >> 2) & UINT64_C(0x3333333333333333));
    bits = (bits + (bits >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    return (uint32_t)((bits * UINT64_C(0x0101010101010101)) >> 56);
}

/* Index of the lowest bit; bits != 0. */
KERNEL_INLINE uint32_t
lowest_bit(uint64_t bits)
{
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctzll(bits);
#else
    return count_bits((bits & (0 - bits)) - 1);
#endif
}

/* The characters [from, from + length) of a text. */
KERNEL_INLINE text_view
text_view_slice(text_view text, uint32_t from, uint32_t length)
{
    text_view slice = {(const char *)text.chars + (size_t)from * text.width, length, text.width};

    return slice;
}

/* How many leading characters two texts share. */
uint32_t common_prefix(text_view a, text_view b);

/* Drops the common prefix and the common suffix from both; returns how many characters went from each. */
uint32_t strip_common_affixes(text_view *a, text_view *b);

/*
 * Decides which of two texts is the pattern: the one that gives less work, which among texts of one strip
 * is the longer.
 */
KERNEL_INLINE void
choose_pattern(text_view a, text_view b, text_view *pattern, text_view *columns)
{
    bool a_is_pattern = a.length >= b.length;

    if (a.length > STRIP_LENGTH || b.length > STRIP_LENGTH) {
        uint64_t strips_a = ((uint64_t)a.length + STRIP_LENGTH - 1) / STRIP_LENGTH;
        uint64_t strips_b = ((uint64_t)b.length + STRIP_LENGTH - 1) / STRIP_LENGTH;

        a_is_pattern = strips_a * b.length <= strips_b * a.length;
    }
    *pattern = a_is_pattern ? a : b;
    *columns = a_is_pattern ? b : a;
}

/* The length of a longest common subsequence; carry: max(|a|, |b|) bytes. */
kernel_status lcs_length(text_view a, text_view b, uint8_t *carry, const volatile sig_atomic_t *stop,
                         uint32_t *result);

/* Jaro-Winkler with the caller's scratch, of jaro_scratch_size bytes and 16-byte aligned. */
size_t jaro_scratch_size(uint32_t length_a, uint32_t length_b);
kernel_status jaro_winkler_in(text_view a, text_view b, void *scratch, const volatile sig_atomic_t *stop,
                              double *result);

#endif
