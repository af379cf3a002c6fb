/*
 * mask.h: values that stand for others and do not tell which, for data that leave production.
 *
 * All of it hangs on a key: equal values get equal masks under one key, so that records still meet, and
 * nobody without the key can try a list of known values against the masks (HMAC with SHA-256: RFC 2104).
 *
 * mask_format keeps the form of a text: digits become digits, capitals capitals, letters of a script letters
 * of that script, all else stays. It is a permutation of the texts of one form: a Feistel network whose
 * halves are the positions of the text and whose rounds add a keyed hash of one half to the other, each
 * position in its own radix (the idea of format-preserving encryption: Black & Rogaway 2002; Bellare,
 * Ristenpart, Rogaway & Stegers 2009). A form with few texts cannot hide much: two digits have a hundred
 * masks at most.
 *
 * A text with letters is masked word by word, and capitals as the small letters that they belong to, so that
 * what matches but for the order of its words or for their capitals still does.
 */
#ifndef MASTERING_KERNEL_MASK_H
#define MASTERING_KERNEL_MASK_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/sha256.h"

typedef struct mask_key {
    sha256_state inner;
    sha256_state outer;
    const volatile sig_atomic_t *stop; /* looked at now and then; NULL: nobody stops it */
} mask_key;

typedef struct mask_place {
    uint32_t place; /* in the text */
    uint32_t base;  /* first character of its alphabet */
    uint32_t fold;  /* that of its small letters */
    uint32_t radix;
    uint32_t digit;
} mask_place;

void mask_key_set(mask_key *key, const void *bytes, size_t length);

/* A digest of the value under the key. */
void mask_digest(const mask_key *key, const void *bytes, size_t length, uint8_t digest[SHA256_BYTES]);

/*
 * Masks a text of code points in place. letters: letters, too, not the digits 0 to 9 alone. ascii: letters
 * beyond ASCII become letters of ASCII, as where the server's encoding may not have the others. places: room
 * for length. False: it was stopped, and the text is as it was.
 */
bool mask_format(const mask_key *key, uint32_t *text, size_t length, bool letters, bool ascii,
                 mask_place *places);

/* A whole number of as many digits. A permutation of these numbers. */
uint64_t mask_digits(const mask_key *key, uint64_t number);

/*
 * The same, not above limit: mask_digits over and over until it is not; number <= limit <= 2^63. Also a
 * permutation. Where limit is just above a power of ten, that takes as good as for ever.
 */
uint64_t mask_number(const mask_key *key, uint64_t number, uint64_t limit);

/* A day of a year of so many days (0 is the first), for a day of that year. Also a permutation. */
uint32_t mask_day(const mask_key *key, int32_t year, uint32_t day, uint32_t days);

#endif
