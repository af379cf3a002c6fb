/*
 * phonetic.h: keys under which words that sound alike fall together. ASCII letters count, any case; all
 * else is skipped (callers transliterate first). A key is written as ASCII into the caller's buffer.
 */
#ifndef MASTERING_KERNEL_PHONETIC_H
#define MASTERING_KERNEL_PHONETIC_H

#include "kernel/text_view.h"

/* American Soundex (Russell 1918, as the National Archives define it): 4 characters; "" without a letter. */
#define SOUNDEX_KEY_LENGTH 4
uint32_t soundex_key(text_view word, char key[SOUNDEX_KEY_LENGTH + 1]);

/* NYSIIS (Taft 1970), not truncated: at most as many characters as the word has, and the NUL. */
uint32_t nysiis_key(text_view word, char *key, uint32_t capacity);

/*
 * Koelner Phonetik (Postel 1969), for German: digits, at most twice as many as the word has letters.
 * capacity includes the NUL. Umlauts are expected as their vowels, sharp s as ss.
 */
uint32_t cologne_key(text_view word, char *key, uint32_t capacity);

/*
 * Daitch-Mokotoff Soundex (1985): keys of six digits, one for each way in which the name can be said; the
 * first 32 of them, of the first 100 letters. Returns how many: 0 without a letter.
 */
#define DAITCH_MOKOTOFF_LENGTH 6
#define DAITCH_MOKOTOFF_KEYS 32
#define DAITCH_MOKOTOFF_LETTERS 100
uint32_t daitch_mokotoff_keys(text_view word, char keys[DAITCH_MOKOTOFF_KEYS][DAITCH_MOKOTOFF_LENGTH + 1]);

/*
 * Double Metaphone (Philips 2000): primary and alternate key, at most max_length (<= 15) characters each.
 * It has rules for words within a name ("van ", "von ", "san "): here what is no letter and no
 * apostrophe counts as one space. No more than DOUBLE_METAPHONE_LETTERS are looked at.
 */
#define DOUBLE_METAPHONE_LETTERS 250
#define DOUBLE_METAPHONE_MAX 15
void double_metaphone_keys(text_view word, uint32_t max_length, char primary[DOUBLE_METAPHONE_MAX + 1],
                           char alternate[DOUBLE_METAPHONE_MAX + 1]);

#endif
