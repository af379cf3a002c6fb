/*
 * pair_bytes.h: two short texts in UTF-8 as bytes, one a character, that are equal where the characters are.
 *
 * What similarity of texts looks at is which characters are equal, never which ones they are. Names hardly
 * ever have letters of more than one script beside ASCII, and of most scripts' letters two bytes of UTF-8 are
 * made, the first of which is one of two: then the second byte and one bit say all there is. Bytes are
 * compared faster than code points, and are made without a branch.
 *
 * The bytes of one call say nothing beside those of another one.
 */
#ifndef MASTERING_KERNEL_PAIR_BYTES_H
#define MASTERING_KERNEL_PAIR_BYTES_H

#include "kernel/text_view.h"

#define PAIR_BYTES_LONGEST 128 /* bytes of a text */

typedef struct pair_bytes {
    uint8_t bytes[2][PAIR_BYTES_LONGEST + 16];
    uint32_t lengths[2]; /* characters */
} pair_bytes;

/*
 * The texts are valid UTF-8. False, when one is too long, or has characters of three bytes, or both together
 * have more than two first bytes; then nothing is said. No byte beside the texts is read.
 */
bool pair_bytes_of(const void *a, size_t size_a, const void *b, size_t size_b, pair_bytes *to);

/* The same without vectors, which tests ask for. */
bool pair_bytes_of_single(const void *a, size_t size_a, const void *b, size_t size_b, pair_bytes *to);

#endif
