/*
 * characters.h: single characters, as those ask who read values that people wrote. By code points, of no
 * locale: what a value says must not depend on one.
 */
#ifndef MASTERING_KERNEL_CHARACTERS_H
#define MASTERING_KERNEL_CHARACTERS_H

#include "kernel/text_view.h"

/* 0 beyond the end. */
static inline uint32_t
character_at(text_view text, uint32_t i)
{
    return i < text.length ? text_view_at(text, i) : 0;
}

static inline bool
is_digit(uint32_t character)
{
    return character >= '0' && character <= '9';
}

/* How many there are from i on. */
static inline uint32_t
digits_from(text_view text, uint32_t i)
{
    uint32_t count = 0;

    while (is_digit(character_at(text, i + count)))
        count++;
    return count;
}

/* Of any script, about: what lies between the symbols of Latin-1 and general punctuation, and behind the
 * symbols. */
static inline bool
is_letter(uint32_t character)
{
    return ((character | 32) >= 'a' && (character | 32) <= 'z') ||
           (character >= 0xc0 && character != 0xd7 && character != 0xf7 && character < 0x2000) ||
           character >= 0x2c00;
}

#endif
