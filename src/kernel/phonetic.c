/*
 * phonetic.c: Soundex and NYSIIS. One pass each, over the letters alone.
 */
#include "kernel/phonetic.h"

/* The next letter of a word at or after a position, in upper case; 0 at the end. */
static inline char
next_letter(text_view word, uint32_t *position)
{
    while (*position < word.length) {
        uint32_t c = text_view_at(word, (*position)++);

        if (c >= 'a' && c <= 'z')
            return (char)(c - 'a' + 'A');
        if (c >= 'A' && c <= 'Z')
            return (char)c;
    }
    return 0;
}

/*
 * The National Archives' rule: letters of one code that touch count once, also where H or W stands between
 * them, but not where a vowel does.
 */
uint32_t
soundex_key(text_view word, char key[SOUNDEX_KEY_LENGTH + 1])
{
    /* A digit for a consonant, '-' for a vowel, ' ' for the silent H and W. */
    static const char codes[] = "-123-12 -22455-12623-1 2-2";
    uint32_t position = 0, length = 0;
    char letter = next_letter(word, &position);
    char before;

    key[0] = '\0';
    if (letter == 0)
        return 0;
    key[length++] = letter;
    before = codes[letter - 'A'];
    while (length < SOUNDEX_KEY_LENGTH && (letter = next_letter(word, &position)) != 0) {
        char code = codes[letter - 'A'];

        if (code == ' ')
            continue;
        if (code != '-' && code != before)
            key[length++] = code;
        before = code;
    }
    while (length < SOUNDEX_KEY_LENGTH)
        key[length++] = '0';
    key[length] = '\0';
    return length;
}

static inline bool
is_vowel(char letter)
{
    return letter == 'A' || letter == 'E' || letter == 'I' || letter == 'O' || letter == 'U';
}

/* Whether the letters at a position are these; the text behind the last letter is 0. */
static bool
begins(const char *letters, const char *wanted)
{
    while (*wanted != '\0')
        if (*letters++ != *wanted++)
            return false;
    return true;
}

/* The rules for the beginning of a name. */
static void
nysiis_begin(char *letters)
{
    if (begins(letters, "MAC")) {
        letters[1] = 'C';
    } else if (begins(letters, "KN")) {
        letters[0] = 'N';
    } else if (letters[0] == 'K') {
        letters[0] = 'C';
    } else if (begins(letters, "PH") || begins(letters, "PF")) {
        letters[0] = letters[1] = 'F';
    } else if (begins(letters, "SCH")) {
        letters[1] = letters[2] = 'S';
    }
}

/* The rules for its end; returns the new length. */
static uint32_t
nysiis_end(char *letters, uint32_t length)
{
    static const char *const endings[] = {"EE", "IE", "DT", "RT", "RD", "NT", "ND"};

    if (length < 2)
        return length;
    for (uint32_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (begins(letters + length - 2, endings[i])) {
            letters[length - 2] = i < 2 ? 'Y' : 'D';
            letters[length - 1] = '\0';
            return length - 1;
        }
    }
    return length;
}

/* Replaces the letter at i, which is not the first, and perhaps those behind it. */
static void
nysiis_letter(char *letters, uint32_t i)
{
    char before = letters[i - 1];

    switch (letters[i]) {
    case 'A':
    case 'E':
    case 'I':
    case 'O':
    case 'U':
        if (begins(letters + i, "EV"))
            letters[i + 1] = 'F';
        letters[i] = 'A';
        break;
    case 'Q':
        letters[i] = 'G';
        break;
    case 'Z':
        letters[i] = 'S';
        break;
    case 'M':
        letters[i] = 'N';
        break;
    case 'K':
        letters[i] = letters[i + 1] == 'N' ? 'N' : 'C';
        break;
    case 'S':
        if (begins(letters + i, "SCH"))
            letters[i + 1] = letters[i + 2] = 'S';
        break;
    case 'P':
        if (letters[i + 1] == 'H')
            letters[i] = letters[i + 1] = 'F';
        break;
    case 'H':
        if (!is_vowel(before) || !is_vowel(letters[i + 1]))
            letters[i] = before;
        break;
    case 'W':
        if (is_vowel(before))
            letters[i] = before;
        break;
    default:
        break;
    }
}

/*
 * Works in the caller's buffer: the letters are replaced in place, then those that repeat the one before
 * are taken out.
 */
uint32_t
nysiis_key(text_view word, char *key, uint32_t capacity)
{
    uint32_t position = 0, letters = 0, length = 1;
    char letter;

    /* Rules look at up to two letters behind the one they replace: these are 0 where there are none. */
    while (letters + 1 < capacity && (letter = next_letter(word, &position)) != 0)
        key[letters++] = letter;
    key[letters] = '\0';
    if (letters == 0)
        return 0;
    nysiis_begin(key);
    letters = nysiis_end(key, letters);
    for (uint32_t i = 1; i < letters; i++)
        nysiis_letter(key, i);
    for (uint32_t i = 1; i < letters; i++)
        if (key[i] != key[length - 1])
            key[length++] = key[i];
    if (length > 1 && key[length - 1] == 'S')
        length--;
    if (length > 2 && key[length - 2] == 'A' && key[length - 1] == 'Y')
        key[--length - 1] = 'Y';
    if (length > 1 && key[length - 1] == 'A')
        length--;
    key[length] = '\0';
    return length;
}
