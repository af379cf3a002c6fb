/*
 * characters.h: from text in the server's encoding to characters (text_view) and back.
 *
 *   UTF8                        decoded here
 *   SQL_ASCII                   a text that is valid UTF-8 is taken as UTF-8, any other as Latin-1
 *   LATIN1                      bytes are the characters
 *   other single-byte ones      a table, filled from PostgreSQL's conversion to UTF-8
 *   other multi-byte ones       PostgreSQL's conversion to UTF-8
 *   MULE_INTERNAL               has no such conversion: a character is its bytes as one number, which can be
 *                               compared but not folded, with the highest bit set to tell it from Unicode
 *
 * A character that the conversion does not know gives its bytes, each taken as Latin-1: nothing here fails
 * on what a text contains. Main thread only.
 */
#ifndef MASTERING_ENGINE_CHARACTERS_H
#define MASTERING_ENGINE_CHARACTERS_H

#include "kernel/text_view.h"

/* A character of an encoding that has no conversion to Unicode. */
#define CHARACTER_OPAQUE UINT32_C(0x80000000)

/* Where characters are put that are not the bytes themselves; grows, is kept from call to call. */
typedef struct character_buffer {
    MemoryContext context;
    void *memory;
    Size size;
} character_buffer;

extern void character_buffer_init(character_buffer *buffer, MemoryContext context);

/* Frees memory beyond what ordinary values need. */
extern void character_buffer_trim(character_buffer *buffer);

/* At least size bytes; the contents are lost. */
extern void *character_buffer_reserve(character_buffer *buffer, Size size);

/* At least size bytes, of which the first used keep their contents. */
extern void *character_buffer_grow(character_buffer *buffer, Size used, Size size);

/* Whether all bytes are ASCII. */
extern bool bytes_are_ascii(const char *bytes, Size length);

/*
 * The characters of a text. The view points at the bytes themselves where these are the characters, else
 * into the buffer: it is valid as long as both are left alone.
 */
extern text_view text_view_from_bytes(character_buffer *buffer, const char *bytes, Size length);

/* A text value in the server's encoding; "?" for what the encoding does not have. */
extern text *text_view_to_text(text_view view);

/*
 * The encoding by whose rules the bytes of a text are divided into characters: the server's, but UTF-8 for
 * an SQL_ASCII text that is valid UTF-8.
 */
extern int characters_encoding(const char *bytes, Size length);

#endif
