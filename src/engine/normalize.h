/*
 * normalize.h: the form of a text in which it is compared.
 *
 * NORMALIZE_TEXT, in this order:
 *   1. Unicode NFKC and full case folding; characters that are not to be seen are dropped;
 *   2. every script for which ICU has a romanisation becomes Latin, so that names can be compared across
 *      Greek, Cyrillic, Arabic, Hebrew, Hangul, kana, the scripts of India and so on. Han is left as it is:
 *      a reading would be Mandarin's, also for Japanese names, and would make one of many that differ;
 *   3. Latin letters lose their marks and become ASCII (e for é, ss for ß, o for ø, l for ł);
 *   4. an apostrophe between two letters or digits is dropped (oneil); every other run of punctuation,
 *      symbols, control characters and white space is one space; none at either end.
 * Letters, digits and marks of any script, private-use and unassigned characters are kept. Romanisation
 * sees one word at a time, and a word of more than NORMALIZE_PIECE characters piece by piece.
 *
 * Main thread only: ICU's rule-based transliterators take a global mutex. They are opened once a backend.
 */
#ifndef MASTERING_ENGINE_NORMALIZE_H
#define MASTERING_ENGINE_NORMALIZE_H

#include "engine/characters.h"

#define NORMALIZE_PIECE 512

typedef enum normalize_mode {
    NORMALIZE_NONE,         /* the characters as they are */
    NORMALIZE_TEXT,         /* as above */
    NORMALIZE_ALPHANUMERIC, /* as above, and no spaces */
    NORMALIZE_DIGITS,       /* the decimal digits of any script, as ASCII; nothing else */
} normalize_mode;

typedef struct normalizer normalizer;

/* Lives in the memory context, and goes with it. */
extern normalizer *normalizer_create(MemoryContext context, normalize_mode mode);

/* The normalised text; valid until the next call, and as long as the bytes. */
extern text_view normalizer_apply(normalizer *state, const char *bytes, Size length);

/* The same for a text of ASCII alone, in place; returns its new length. Any thread may call it. */
extern uint32 normalize_ascii_in_place(normalize_mode mode, char *bytes, uint32 length);

/* Gives back memory that an unusually long text has needed. */
extern void normalizer_trim(normalizer *state);

/* "ICU 72.1, Unicode 15.0": what a result of normalisation depends on beside its argument. */
extern const char *normalize_versions(void);

#endif
