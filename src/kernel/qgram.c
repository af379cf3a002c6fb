/*
 * qgram.c: how many of their q-grams two texts share, counted as multisets.
 *
 * The grams of the shorter text go into a table that counts them; the grams of the longer one then take
 * from the counts. Linear in both lengths. Grams are compared themselves, never by their hash alone.
 */
#include <math.h>

#include "kernel/pattern_masks.h"
#include "kernel/similarity.h"

/* Texts of bytes whose shorter has at most this many grams are counted on the stack, a gram in a word. */
#define SHORT_GRAMS 64
#define SHORT_SLOTS (2 * SHORT_GRAMS)

/* With at most this many slots the table of longer or wider texts is on the stack too. */
#define STACK_SLOTS 512

typedef struct gram_count {
    uint32_t position; /* 1 + where the gram first stands; 0: free */
    uint32_t count;
} gram_count;

double
set_measure_value(set_measure measure, uint64_t common, uint64_t size_a, uint64_t size_b)
{
    double shared = (double)common;
    uint64_t smaller = size_a < size_b ? size_a : size_b;

    if (smaller == 0)
        return size_a == size_b ? 1.0 : 0.0;
    switch (measure) {
    case MEASURE_DICE:
        return 2.0 * shared / ((double)size_a + (double)size_b);
    case MEASURE_JACCARD:
        return shared / (double)(size_a + size_b - common);
    case MEASURE_COSINE:
        /* Equal sizes need no root, and must give 1 for equal sets. */
        return size_a == size_b ? shared / (double)size_a : shared / sqrt((double)size_a * (double)size_b);
    case MEASURE_OVERLAP:
        return shared / (double)smaller;
    }
    return 0.0;
}

/* Bytes, q <= 8 of them to a word, at most SHORT_GRAMS grams in a. */
static uint64_t
common_grams_short(text_view a, text_view b, uint32_t q)
{
    const uint8_t *x = a.chars, *y = b.chars;
    uint64_t gram[SHORT_GRAMS];
    uint8_t count[SHORT_GRAMS], slot[SHORT_SLOTS];
    uint64_t keep = ~UINT64_C(0) >> (64 - 8 * q);
    uint64_t window = 0, common = 0;
    uint8_t used = 0;

    memset(slot, 0, sizeof slot);
    for (uint32_t i = 0; i < a.length; i++) {
        uint32_t at;

        window = (window << 8 | x[i]) & keep;
        if (i + 1 < q)
            continue;
        at = (uint32_t)((window * UINT64_C(0x9E3779B97F4A7C15)) >> 57);
        while (slot[at] != 0 && gram[slot[at] - 1] != window)
            at = (at + 1) % SHORT_SLOTS;
        if (slot[at] == 0) {
            gram[used] = window;
            count[used] = 0;
            slot[at] = ++used;
        }
        count[slot[at] - 1]++;
    }
    window = 0;
    for (uint32_t j = 0; j < b.length; j++) {
        uint32_t at;

        window = (window << 8 | y[j]) & keep;
        if (j + 1 < q)
            continue;
        at = (uint32_t)((window * UINT64_C(0x9E3779B97F4A7C15)) >> 57);
        while (slot[at] != 0 && gram[slot[at] - 1] != window)
            at = (at + 1) % SHORT_SLOTS;
        if (slot[at] != 0 && count[slot[at] - 1] > 0) {
            count[slot[at] - 1]--;
            common++;
        }
    }
    return common;
}

static inline uint64_t
gram_hash(text_view text, uint32_t from, uint32_t q)
{
    uint64_t hash = 0;

    for (uint32_t i = 0; i < q; i++)
        hash = (hash ^ text_view_at(text, from + i)) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

static inline bool
grams_equal(text_view a, uint32_t i, text_view b, uint32_t j, uint32_t q)
{
    for (uint32_t k = 0; k < q; k++)
        if (text_view_at(a, i + k) != text_view_at(b, j + k))
            return false;
    return true;
}

/* The slot of the gram of text at from, where it is or where it would go; the table is of the text a. */
static inline gram_count *
find_gram(gram_count *table, uint64_t slots, text_view a, text_view text, uint32_t from, uint32_t q)
{
    uint64_t at = gram_hash(text, from, q) & (slots - 1);

    while (table[at].position != 0 && !grams_equal(a, table[at].position - 1, text, from, q))
        at = (at + 1) & (slots - 1);
    return &table[at];
}

/* a and b have at least q characters, a not more than b. */
static kernel_status
common_grams(text_view a, text_view b, uint32_t q, kernel_workspace *workspace, uint64_t *result)
{
    gram_count on_stack[STACK_SLOTS];
    gram_count *table = on_stack;
    uint32_t grams_a = a.length - q + 1, grams_b = b.length - q + 1;
    uint64_t slots = 64;
    uint64_t common = 0;

    if (a.width == 1 && b.width == 1 && grams_a <= SHORT_GRAMS && grams_b <= STOP_COLUMNS) {
        *result = common_grams_short(a, b, q);
        return KERNEL_OK;
    }
    while (slots < 2 * (uint64_t)grams_a)
        slots *= 2;
    if (slots > STACK_SLOTS) {
        table = kernel_workspace_reserve(workspace, (size_t)slots * sizeof(gram_count));
        if (table == NULL)
            return KERNEL_NO_MEMORY;
    }
    memset(table, 0, (size_t)slots * sizeof(gram_count));
    for (uint32_t i = 0; i < grams_a; i++) {
        gram_count *entry = find_gram(table, slots, a, a, i, q);

        if (entry->position == 0)
            entry->position = i + 1;
        entry->count++;
        if (i % 4096 == 4095 && kernel_stop_requested(workspace))
            return KERNEL_STOPPED;
    }
    for (uint32_t j = 0; j < grams_b; j++) {
        gram_count *entry = find_gram(table, slots, a, b, j, q);

        if (entry->count > 0) {
            entry->count--;
            common++;
        }
        if (j % 4096 == 4095 && kernel_stop_requested(workspace))
            return KERNEL_STOPPED;
    }
    *result = common;
    return KERNEL_OK;
}

kernel_status
qgram_similarity(text_view a, text_view b, uint32_t q, set_measure measure, kernel_workspace *workspace,
                 double *result)
{
    uint64_t common;
    kernel_status status;

    if (a.length > b.length) {
        text_view swap = a;

        a = b;
        b = swap;
    }
    if (a.length == 0) {
        *result = b.length == 0 ? 1.0 : 0.0;
        return KERNEL_OK;
    }

    /* A text shorter than q is one gram, which no gram of q characters equals. */
    if (a.length < q) {
        *result = a.length == b.length && common_prefix(a, b) == a.length ? 1.0 : 0.0;
        return KERNEL_OK;
    }
    status = common_grams(a, b, q, workspace, &common);
    if (status == KERNEL_OK)
        *result = set_measure_value(measure, common, a.length - q + 1, b.length - q + 1);
    return status;
}
