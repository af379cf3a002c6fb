/*
 * unit.h: what the kernels' test programs share: TAP lines, a deterministic random source, and random
 * pairs of texts in every combination of widths.
 *
 * A program prints "ok N - name" or "not ok N - name" a check and returns unit_done().
 */
#ifndef MASTERING_TEST_UNIT_H
#define MASTERING_TEST_UNIT_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernel/text_view.h"

static int unit_count, unit_failures;

static inline void
unit_ok(bool passed, const char *name)
{
    unit_count++;
    unit_failures += !passed;
    printf("%sok %d - %s\n", passed ? "" : "not ", unit_count, name);
    fflush(stdout);
}

static inline int
unit_done(void)
{
    printf("1..%d\n", unit_count);
    return unit_failures != 0 || unit_count == 0;
}

static inline bool
unit_near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance;
}

/* splitmix64 (Steele, Lea & Flood 2014). */
static inline uint64_t
unit_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static inline uint32_t
unit_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)(unit_random(state) % bound);
}

/* A code point in UTF-8; returns how many bytes it takes, at most 4. */
static inline size_t
unit_encode(uint32_t c, uint8_t *to)
{
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xC0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xE0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        to[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (uint8_t)(0xF0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    to[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

#define UNIT_LONGEST 10000

/* A text as code points, and the same in the width that is to be tested. Allocated to size: overruns show. */
typedef struct unit_text {
    uint32_t points[UNIT_LONGEST];
    uint32_t length;
    text_view view;
} unit_text;

static inline void
unit_text_view(unit_text *text, uint8_t width)
{
    void *chars = malloc(text->length ? (size_t)text->length * width : 1);

    if (chars == NULL)
        abort();
    free((void *)text->view.chars);
    for (uint32_t i = 0; i < text->length; i++) {
        if (width == 1)
            ((uint8_t *)chars)[i] = (uint8_t)text->points[i];
        else
            ((uint32_t *)chars)[i] = text->points[i];
    }
    text->view = (text_view){chars, text->length, width};
}

static inline text_view
unit_view(const char *ascii)
{
    return (text_view){ascii, (uint32_t)strlen(ascii), 1};
}

static inline uint32_t
unit_random_length(uint64_t *state)
{
    switch (unit_below(state, 16)) {
    case 0:
    case 1:
        return unit_below(state, 201);
    case 2:
        return 61 + unit_below(state, 8);
    case 3:
        return unit_below(state, 4);
    default:
        return unit_below(state, 40);
    }
}

/* space_share: of 16 characters, how many are spaces. */
static inline uint32_t
unit_random_point(uint64_t *state, uint32_t alphabet, bool wide, uint32_t space_share)
{
    /* One wide alphabet whose points collide in their low byte, as those of different scripts do. */
    static const uint32_t base[] = {0x41, 0x141, 0x441, 0x4E41, 0x1F341};

    if (unit_below(state, 16) < space_share)
        return ' ';
    if (wide)
        return base[unit_below(state, 5)] + unit_below(state, alphabet);
    return (0x41 + unit_below(state, alphabet)) & 0xFF;
}

/* b is a with errors half of the time, else unrelated. length 0: a random one for each. */
static inline void
unit_random_pair(uint64_t *state, unit_text *a, unit_text *b, uint32_t length, uint32_t space_share)
{
    static const uint32_t alphabets[] = {2, 4, 26, 26, 200};
    uint32_t alphabet = alphabets[unit_below(state, 5)];
    bool wide_a = unit_below(state, 3) == 0, wide_b = unit_below(state, 3) == 0;
    uint8_t width_a = wide_a || unit_below(state, 4) == 0 ? 4 : 1;
    uint8_t width_b = wide_b || unit_below(state, 4) == 0 ? 4 : 1;

    if (alphabet == 200 && !(wide_a && wide_b))
        alphabet = 180;
    a->length = length ? length : unit_random_length(state);
    for (uint32_t i = 0; i < a->length; i++)
        a->points[i] = unit_random_point(state, alphabet, wide_a, space_share);
    if (unit_below(state, 2)) {
        b->length = length ? length - unit_below(state, length / 2 + 1) : unit_random_length(state);
        for (uint32_t i = 0; i < b->length; i++)
            b->points[i] = unit_random_point(state, alphabet, wide_b, space_share);
    } else {
        uint32_t edits = unit_below(state, 6) * (length ? 20 : 1);

        width_b = wide_a || width_b == 4 ? 4 : 1;
        memcpy(b->points, a->points, sizeof(uint32_t) * a->length);
        b->length = a->length;
        for (uint32_t e = 0; e < edits; e++) {
            uint32_t at = b->length ? unit_below(state, b->length) : 0;
            uint32_t swap;

            switch (unit_below(state, 4)) {
            case 0:
                if (b->length > 0)
                    b->points[at] = unit_random_point(state, alphabet, width_b == 4, space_share);
                break;
            case 1:
                if (b->length + 1 > UNIT_LONGEST)
                    break;
                memmove(&b->points[at + 1], &b->points[at], sizeof(uint32_t) * (b->length - at));
                b->points[at] = unit_random_point(state, alphabet, width_b == 4, space_share);
                b->length++;
                break;
            case 2:
                if (b->length > 0) {
                    memmove(&b->points[at], &b->points[at + 1], sizeof(uint32_t) * (b->length - at - 1));
                    b->length--;
                }
                break;
            default:
                if (at + 1 < b->length) {
                    swap = b->points[at];
                    b->points[at] = b->points[at + 1];
                    b->points[at + 1] = swap;
                }
            }
        }
    }
    unit_text_view(a, width_a);
    unit_text_view(b, width_b);
}

#endif
