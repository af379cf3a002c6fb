/*
 * phonetic_cologne.c: Koelner Phonetik (Postel, "Die Koelner Phonetik", IBM-Nachrichten 19, 1969).
 *
 * A letter gives a digit that depends on its neighbours; digits that repeat the one before count once, and
 * of the zeros, which stand for vowels, only one at the beginning stays. H has no digit.
 */
#include <string.h>

#include "kernel/phonetic.h"

static inline bool
among(char letter, const char *letters)
{
    return letter != '\0' && strchr(letters, letter) != NULL;
}

/* The digits of a letter between its neighbours, which are 0 at either end. */
static const char *
digits_of(char before, char letter, char after)
{
    switch (letter) {
    case 'H':
        return "";
    case 'B':
        return "1";
    case 'P':
        return after == 'H' ? "3" : "1";
    case 'D':
    case 'T':
        return among(after, "CSZ") ? "8" : "2";
    case 'F':
    case 'V':
    case 'W':
        return "3";
    case 'G':
    case 'K':
    case 'Q':
        return "4";
    case 'C':
        if (before == '\0')
            return among(after, "AHKLOQRUX") ? "4" : "8";
        return among(after, "AHKOQUX") && !among(before, "SZ") ? "4" : "8";
    case 'X':
        return among(before, "CKQ") ? "8" : "48";
    case 'L':
        return "5";
    case 'M':
    case 'N':
        return "6";
    case 'R':
        return "7";
    case 'S':
    case 'Z':
        return "8";
    default:
        return "0";
    }
}

/* The next letter at or after a position, in upper case; 0 at the end. */
static char
next_letter(text_view word, uint32_t *position)
{
    while (*position < word.length) {
        uint32_t c = text_view_at(word, (*position)++);

        if (c >= 'a' && c <= 'z')
            return (char)(c - 'a' + 'A');
        if (c >= 'A' && c <= 'Z')
            return (char)c;
    }
    return '\0';
}

uint32_t
cologne_key(text_view word, char *key, uint32_t capacity)
{
    uint32_t position = 0, length = 0;
    char before = '\0', last = '\0';
    char letter = next_letter(word, &position);

    while (letter != '\0') {
        char after = next_letter(word, &position);

        for (const char *digit = digits_of(before, letter, after); *digit != '\0'; digit++) {
            if (*digit != last && (*digit != '0' || length == 0) && length + 1 < capacity)
                key[length++] = *digit;
            last = *digit;
        }
        before = letter;
        letter = after;
    }
    key[length] = '\0';
    return length;
}
