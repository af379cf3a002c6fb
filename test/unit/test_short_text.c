/*
 * test_short_text.c: short texts, folded at once, beside a loop over their characters.
 */
#include "kernel/short_text.h"
#include "unit.h"

#define BEFORE 5

static bool
is_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What is expected of a text, and in folded what it becomes. */
static short_text_kind
expected(const unsigned char *text, uint32_t length, bool spaces, unsigned char *folded)
{
    short_text_kind kind = SHORT_TEXT_FOLDED;

    for (uint32_t i = 0; i < length; i++) {
        bool ends = i == 0 || i + 1 == length;

        if (text[i] >= 128)
            return SHORT_TEXT_OTHER;
        folded[i] = text[i] >= 'A' && text[i] <= 'Z' ? (unsigned char)(text[i] + 32) : text[i];
        if (is_word(text[i]))
            continue;
        folded[i] = ' ';
        if (!spaces || ends || !is_word(text[i - 1]) || text[i] == '\'' || text[i] == '`')
            kind = SHORT_TEXT_ASCII;
    }
    return kind;
}

/* Mostly letters; now and then anything. */
static unsigned char
random_character(uint64_t *seed, uint32_t other)
{
    static const char some[] = "abcxyzABCXYZ0189@[`{/:'-. _\t";

    if (unit_below(seed, other) == 0)
        return (unsigned char)unit_below(seed, 256);
    return (unsigned char)some[unit_below(seed, unit_below(seed, 3) == 0 ? sizeof some - 1 : 16)];
}

int
main(void)
{
    uint64_t seed = 11, kinds[3] = {0};
    bool kind_right = true, folded_right = true, rest_right = true;

    for (uint32_t round = 0; round < 400000; round++) {
        unsigned char text[BEFORE + SHORT_TEXT_ROOM + 8], before[sizeof text], folded[SHORT_TEXT + 1];
        uint32_t length = round % (SHORT_TEXT + 1);
        bool spaces = unit_below(&seed, 4) != 0;
        uint32_t other = 1 + (uint32_t)unit_below(&seed, 200);
        short_text_kind kind, wanted;

        for (size_t i = 0; i < sizeof text; i++)
            text[i] = i < BEFORE + length && i >= BEFORE ? random_character(&seed, other)
                                                         : (unsigned char)unit_below(&seed, 256);
        memcpy(before, text, sizeof text);
        wanted = expected(text + BEFORE, length, spaces, folded);
        kind = short_text_fold((char *)text + BEFORE, length, spaces);
        kinds[kind]++;
#ifndef __SSE2__
        if (wanted == SHORT_TEXT_FOLDED)
            wanted = SHORT_TEXT_ASCII;
#endif
        kind_right &= kind == wanted;
        if (kind == SHORT_TEXT_FOLDED)
            folded_right &= memcmp(text + BEFORE, folded, length) == 0;
        else
            folded_right &= memcmp(text + BEFORE, before + BEFORE, length) == 0;
        rest_right &=
            memcmp(text, before, BEFORE) == 0 &&
            memcmp(text + BEFORE + length, before + BEFORE + length, sizeof text - BEFORE - length) == 0;
    }
    unit_ok(kind_right, "what can be folded at once is, and nothing else");
    unit_ok(folded_right, "folded as character by character, or left as it was");
    unit_ok(rest_right, "what lies around a text stays as it was");
#ifdef __SSE2__
    unit_ok(kinds[SHORT_TEXT_FOLDED] > 10000 && kinds[SHORT_TEXT_ASCII] > 10000 &&
                kinds[SHORT_TEXT_OTHER] > 10000,
            "texts of all kinds were tried");
#endif
    return unit_done();
}
