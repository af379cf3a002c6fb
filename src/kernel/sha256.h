/*
 * sha256.h: SHA-256 (FIPS 180-4, 2015) with a state that is plain memory.
 *
 * The server's own lends out contexts of a cryptographic library, which end with a resource owner and not
 * with the memory that points at them: a hash that runs on from row to row must not hold one.
 */
#ifndef MASTERING_KERNEL_SHA256_H
#define MASTERING_KERNEL_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

typedef struct sha256_state {
    uint32_t words[8];
    uint64_t length; /* bytes so far */
    uint8_t block[64];
} sha256_state;

extern void sha256_start(sha256_state *state);
extern void sha256_add(sha256_state *state, const void *bytes, size_t length);
extern void sha256_finish(sha256_state *state, uint8_t digest[SHA256_BYTES]);

/* For tests: without the processor's instructions for it; whether there were any. */
extern bool sha256_use_instructions(bool use);

#endif
