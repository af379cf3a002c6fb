/*
 * jaro.c: Jaro (JASA 84, 1989) and Jaro-Winkler (Winkler 1990) similarity.
 *
 * Each character of one text takes the first free equal character of the other within the window. All
 * windows being equally wide, that is a largest possible assignment and the same one from either side, so
 * the measure is symmetric. Transpositions are half of the matched characters that stand in another
 * order, rounded down as in Winkler's own strcmp95.
 *
 * Up to 64 characters a step looks at the whole window in one mask. Longer texts go by one cursor a
 * distinct character, which makes them linear: no window is ever searched.
 */
#include "kernel/pattern_masks.h"
#include "kernel/similarity.h"

#define WINKLER_PREFIX 4
#define WINKLER_SCALE 0.1
#define WINKLER_THRESHOLD 0.7

/* Up to 2 x this many characters are compared on the stack. */
#define STACK_LENGTH 256

/* An absent position, and the end of a list. */
#define NOWHERE UINT32_MAX

/* How far apart two characters may stand. */
static inline uint32_t
match_window(uint32_t length_a, uint32_t length_b)
{
    uint32_t half = (length_a > length_b ? length_a : length_b) / 2;

    return half > 0 ? half - 1 : 0;
}

static inline double
jaro_value(uint32_t matches, uint32_t moved, uint32_t length_a, uint32_t length_b)
{
    double m = matches;

    if (matches == 0)
        return 0.0;
    return (m / (double)length_a + m / (double)length_b + (m - (double)(moved / 2)) / m) / 3.0;
}

/* Texts of at most 64 characters. *moved: the matched pairs that differ when each side is read in order. */
KERNEL_INLINE kernel_status
match_short_kind(mask_kind kind, text_view pattern, text_view columns, uint32_t window, uint32_t *matches,
                 uint32_t *moved)
{
    pattern_masks masks;
    uint64_t reach = ~UINT64_C(0) >> (STRIP_LENGTH - 1 - window);
    uint64_t rows = ~UINT64_C(0) >> (STRIP_LENGTH - pattern.length);
    uint64_t free_rows = rows, used, used_columns = 0, disorder = 0;
    uint32_t end = pattern.length + window < columns.length ? pattern.length + window : columns.length;
    uint32_t differ = 0;

    pattern_masks_open(&masks, kind, pattern, columns);
    for (uint32_t j = 0; j < end; j++) {
        uint64_t hit = pattern_masks_get(&masks, kind, columns.chars, j) & reach & free_rows;
        uint64_t first = hit & (0 - hit);

        disorder |= first - 1 < (rows ^ free_rows);
        free_rows ^= first;
        used_columns |= (uint64_t)(hit != 0) << j;
        reach = (reach << 1) | (j < window);
    }
    used = rows ^ free_rows;
    *matches = count_bits(used);

    /* Pairs that were found in order stay in order: nothing has moved. */
    if (disorder)
        for (; used != 0; used &= used - 1, used_columns &= used_columns - 1)
            differ +=
                text_view_at(pattern, lowest_bit(used)) != text_view_at(columns, lowest_bit(used_columns));
    *moved = differ;
    return KERNEL_OK;
}

static kernel_status
match_short(text_view pattern, text_view columns, uint32_t window, uint32_t *matches, uint32_t *moved)
{
    RETURN_FOR_SHORT_KIND(pattern_masks_kind_short(pattern, columns), match_short_kind, pattern, columns,
                          window, matches, moved)
}

/* One list of positions a character, of the shorter text, and the marks of what is matched in both. */
typedef struct match_lists {
    uint64_t *used;         /* bit a character of the listed text */
    uint64_t *used_columns; /* bit a character of the other text */
    uint32_t *next;         /* the next position with the same character */
    uint32_t *cursor;       /* first position not yet passed: a byte, or a slot of the table */
    uint32_t *character;    /* slot -> character; only where both texts are wide */
    uint32_t slots;         /* a power of two */
} match_lists;

static inline size_t
bitmap_words(uint32_t length)
{
    return ((size_t)length + 63) / 64;
}

/* Slots for the distinct characters of the listed text: at most half are taken. */
static uint32_t
table_slots(uint32_t listed)
{
    uint64_t slots = 256;

    /* Unicode has fewer than 2^21 characters; more slots than twice that are never needed. */
    while (slots < 2 * (uint64_t)listed && slots < UINT32_C(1) << 22)
        slots *= 2;
    return (uint32_t)slots;
}

size_t
jaro_scratch_size(uint32_t length_a, uint32_t length_b)
{
    uint32_t listed = length_a < length_b ? length_a : length_b;

    return sizeof(uint64_t) * (bitmap_words(length_a) + bitmap_words(length_b)) +
           sizeof(uint32_t) * (2 * (size_t)table_slots(listed) + listed);
}

/* The slot of a character, where it is or where it would go. */
static inline uint32_t
table_find(const match_lists *lists, uint32_t character)
{
    uint32_t slot = (character * UINT32_C(0x9E3779B1)) >> 8 & (lists->slots - 1);

    while (lists->character[slot] != character && lists->character[slot] != NOWHERE)
        slot = (slot + 1) & (lists->slots - 1);
    return slot;
}

/* The cursor of a character, or NULL where the listed text cannot have it. */
static inline uint32_t *
cursor_of(const match_lists *lists, uint32_t character)
{
    uint32_t slot;

    if (lists->character == NULL)
        return character < 256 ? &lists->cursor[character] : NULL;
    slot = table_find(lists, character);
    return lists->character[slot] == character ? &lists->cursor[slot] : NULL;
}

/* Lists the positions of each character of a text, in ascending order. */
static void
list_positions(match_lists *lists, text_view listed)
{
    memset(lists->cursor, 0xFF, sizeof(uint32_t) * lists->slots);
    if (lists->character != NULL)
        memset(lists->character, 0xFF, sizeof(uint32_t) * lists->slots);
    for (uint32_t i = listed.length; i-- > 0;) {
        uint32_t character = text_view_at(listed, i);
        uint32_t slot = character;

        if (lists->character != NULL) {
            slot = table_find(lists, character);
            lists->character[slot] = character;
        } else if (character >= 256) {
            continue;
        }
        lists->next[i] = lists->cursor[slot];
        lists->cursor[slot] = i;
    }
}

/* The matched pairs whose characters differ, when each side is read in its own order. */
static uint32_t
count_moved(const match_lists *lists, text_view listed, text_view columns)
{
    uint64_t bits = 0, bits_columns = 0;
    size_t word = 0, word_columns = 0;
    size_t words = bitmap_words(listed.length), words_columns = bitmap_words(columns.length);
    uint32_t moved = 0;

    for (;;) {
        uint32_t i, j;

        while (bits == 0 && word < words)
            bits = lists->used[word++];
        while (bits_columns == 0 && word_columns < words_columns)
            bits_columns = lists->used_columns[word_columns++];
        if (bits == 0 || bits_columns == 0)
            return moved;
        i = (uint32_t)(word - 1) * 64 + lowest_bit(bits);
        j = (uint32_t)(word_columns - 1) * 64 + lowest_bit(bits_columns);
        moved += text_view_at(listed, i) != text_view_at(columns, j);
        bits &= bits - 1;
        bits_columns &= bits_columns - 1;
    }
}

/* Texts of any length; scratch as jaro_scratch_size says. */
static kernel_status
match_long(text_view listed, text_view columns, uint32_t window, void *scratch,
           const volatile sig_atomic_t *stop, uint32_t *matches, uint32_t *moved)
{
    match_lists lists;
    bool both_wide = listed.width == 4 && columns.width == 4;

    lists.slots = both_wide ? table_slots(listed.length) : 256;
    lists.used = scratch;
    lists.used_columns = lists.used + bitmap_words(listed.length);
    lists.next = (uint32_t *)(lists.used_columns + bitmap_words(columns.length));
    lists.cursor = lists.next + listed.length;
    lists.character = both_wide ? lists.cursor + lists.slots : NULL;
    memset(lists.used, 0, sizeof(uint64_t) * (bitmap_words(listed.length) + bitmap_words(columns.length)));
    list_positions(&lists, listed);

    for (uint32_t j = 0; j < columns.length; j++) {
        uint32_t *cursor = cursor_of(&lists, text_view_at(columns, j));
        uint32_t i;

        if (j % STOP_COLUMNS == STOP_COLUMNS - 1 && stop != NULL && *stop)
            return KERNEL_STOPPED;
        if (cursor == NULL)
            continue;
        i = *cursor;

        /* What lies before this window lies before every later one. */
        while (i != NOWHERE && (uint64_t)i + window < j)
            i = lists.next[i];
        if (i != NOWHERE && i <= (uint64_t)j + window) {
            lists.used[i / 64] |= UINT64_C(1) << (i % 64);
            lists.used_columns[j / 64] |= UINT64_C(1) << (j % 64);
            ++*matches;
            i = lists.next[i];
        }
        *cursor = i;
    }
    *moved = count_moved(&lists, listed, columns);
    return KERNEL_OK;
}

/* scratch may be NULL for texts of at most 64 characters. */
static inline kernel_status
jaro(text_view a, text_view b, void *scratch, const volatile sig_atomic_t *stop, double *result)
{
    uint32_t window = match_window(a.length, b.length);
    uint32_t matches = 0, moved = 0;
    kernel_status status = KERNEL_OK;

    if (a.length == 0 || b.length == 0) {
        *result = a.length == b.length ? 1.0 : 0.0;
        return KERNEL_OK;
    }
    if (a.length < b.length) {
        text_view swap = a;

        a = b;
        b = swap;
    }
    if (a.length <= STRIP_LENGTH)
        status = match_short(a, b, window, &matches, &moved);
    else
        status = match_long(b, a, window, scratch, stop, &matches, &moved);
    *result = jaro_value(matches, moved, a.length, b.length);
    return status;
}

/* Jaro becomes Jaro-Winkler. */
static inline double
winkler(text_view a, text_view b, double value)
{
    uint32_t most = a.length < b.length ? a.length : b.length;
    uint32_t prefix = 0;

    if (value <= WINKLER_THRESHOLD)
        return value;
    most = most < WINKLER_PREFIX ? most : WINKLER_PREFIX;
    while (prefix < most && text_view_at(a, prefix) == text_view_at(b, prefix))
        prefix++;
    return value + WINKLER_SCALE * (double)prefix * (1.0 - value);
}

kernel_status
jaro_winkler_in(text_view a, text_view b, void *scratch, const volatile sig_atomic_t *stop, double *result)
{
    kernel_status status = jaro(a, b, scratch, stop, result);

    *result = winkler(a, b, *result);
    return status;
}

/* Compares texts of which one is longer than 64 characters. */
static kernel_status
jaro_long(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    void *scratch;

    if (a.length <= STACK_LENGTH && b.length <= STACK_LENGTH) {
        uint64_t on_stack[2 * STACK_LENGTH / 64 + (2 * 2 * STACK_LENGTH + STACK_LENGTH) / 2];

        return jaro(a, b, on_stack, workspace->stop, result);
    }
    scratch = kernel_workspace_reserve(workspace, jaro_scratch_size(a.length, b.length));
    if (scratch == NULL)
        return KERNEL_NO_MEMORY;
    return jaro(a, b, scratch, workspace->stop, result);
}

kernel_status
jaro_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    if (a.length > STRIP_LENGTH || b.length > STRIP_LENGTH)
        return jaro_long(a, b, workspace, result);
    return jaro(a, b, NULL, NULL, result);
}

kernel_status
jaro_winkler_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    kernel_status status = jaro_similarity(a, b, workspace, result);

    if (status == KERNEL_OK)
        *result = winkler(a, b, *result);
    return status;
}
