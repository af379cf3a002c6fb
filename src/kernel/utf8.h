/*
 * utf8.h: code points of UTF-8.
 *
 * Bytes that are no UTF-8 are code points each, as are those of a character that the text ends within:
 * nothing fails on what a text contains.
 */
#ifndef MASTERING_KERNEL_UTF8_H
#define MASTERING_KERNEL_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Code points beyond those of the text that may be written over. */
#define UTF8_ROOM 16

/* The code point at a place before the end, which moves on behind it. */
uint32_t utf8_next(const uint8_t **at, const uint8_t *end);

/*
 * All of a text, into room for size + UTF8_ROOM of them; returns how many there are. bits: those that any of
 * them has. No byte beside the text is read.
 */
size_t utf8_code_points(const void *text, size_t size, uint32_t *to, uint32_t *bits);

/* The same without vectors, which tests ask for. */
size_t utf8_code_points_single(const void *text, size_t size, uint32_t *to, uint32_t *bits);

#endif
