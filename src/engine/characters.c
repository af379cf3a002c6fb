/*
 * characters.c: decoding from and encoding to the server's encoding. See characters.h for what each
 * encoding gives.
 */
#include "compat.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"

#include "engine/characters.h"
#include "kernel/utf8.h"

/* Source bytes converted at a time, so that a long text can be cancelled and needs no second copy. */
#define PIECE_BYTES 8192

/* The conversion refuses to fill a target to its last byte. */
#define CONVERTED_BYTES ((PIECE_BYTES + 8) * MAX_CONVERSION_GROWTH)

/* A buffer up to this size is kept between calls. */
#define KEEP_BYTES (64 * 1024)

void
character_buffer_init(character_buffer *buffer, MemoryContext context)
{
    buffer->context = context;
    buffer->memory = NULL;
    buffer->size = 0;
}

void
character_buffer_trim(character_buffer *buffer)
{
    if (buffer->size > KEEP_BYTES) {
        pfree(buffer->memory);
        buffer->memory = NULL;
        buffer->size = 0;
    }
}

void *
character_buffer_reserve(character_buffer *buffer, Size size)
{
    if (size > buffer->size) {
        if (buffer->memory != NULL)
            pfree(buffer->memory);
        buffer->memory = NULL;
        buffer->size = 0;
        size = Max(size, 256);
        buffer->memory = MemoryContextAllocHuge(buffer->context, size);
        buffer->size = size;
    }
    return buffer->memory;
}

void *
character_buffer_grow(character_buffer *buffer, Size used, Size size)
{
    if (size > buffer->size) {
        Size wanted = Max(size, buffer->size + buffer->size / 2);
        void *memory = MemoryContextAllocHuge(buffer->context, wanted);

        if (used > 0)
            memcpy(memory, buffer->memory, used);
        if (buffer->memory != NULL)
            pfree(buffer->memory);
        buffer->memory = memory;
        buffer->size = wanted;
    }
    return buffer->memory;
}

bool
bytes_are_ascii(const char *bytes, Size length)
{
    const uint64 high = UINT64CONST(0x8080808080808080);
    uint64 word, seen = 0;
    Size i = 0;

    for (; i + 32 <= length; i += 32) {
        uint64 four[4];

        memcpy(four, bytes + i, sizeof four);
        if (((four[0] | four[1] | four[2] | four[3]) & high) != 0)
            return false;
    }
    for (; i + 8 <= length; i += 8) {
        memcpy(&word, bytes + i, sizeof word);
        seen |= word;
    }
    /* The last bytes again with some before them, where there are any. */
    if (i < length && length >= sizeof word) {
        memcpy(&word, bytes + length - sizeof word, sizeof word);
        seen |= word;
    } else
        for (; i < length; i++)
            seen |= (uint64)(unsigned char)bytes[i];
    return (seen & high) == 0;
}

int
characters_encoding(const char *bytes, Size length)
{
    int encoding = GetDatabaseEncoding();

    /* pg_utf8_verifystr takes an int: no text is longer. */
    if (encoding == PG_SQL_ASCII && pg_encoding_verifymbstr(PG_UTF8, bytes, (int)length) == (int)length)
        return PG_UTF8;
    return encoding;
}

/* The narrowest width is always the one used: wide characters that are all below 256 become bytes. */
static text_view
narrowed_by(uint32 *wide, uint32 count, uint32 bits)
{
    if (bits < 256) {
        uint8 *narrow = (uint8 *)wide;

        for (uint32 i = 0; i < count; i++)
            narrow[i] = (uint8)wide[i];
        return (text_view){wide, count, 1};
    }
    return (text_view){wide, count, 4};
}

static text_view
narrowed(uint32 *wide, uint32 count)
{
    uint32 bits = 0;

    for (uint32 i = 0; i < count; i++)
        bits |= wide[i];
    return narrowed_by(wide, count, bits);
}

static text_view
from_utf8(character_buffer *buffer, const char *bytes, Size length)
{
    uint32 *wide = character_buffer_reserve(buffer, (length + UTF8_ROOM) * sizeof(uint32)), bits;
    Size count = utf8_code_points(bytes, length, wide, &bits);

    return narrowed_by(wide, (uint32)count, bits);
}

/* Characters of a single-byte encoding, asked of PostgreSQL's conversion once a backend. */
static const uint32 *
single_byte_table(int encoding)
{
    static uint32 table[256];
    static int table_of = -1;
    Oid conversion;

    if (table_of == encoding)
        return table;
    conversion = FindDefaultConversionProc(encoding, PG_UTF8);
    for (int byte = 0; byte < 256; byte++) {
        unsigned char source[2] = {(unsigned char)byte, 0}, target[8];

        table[byte] = (uint32)byte;
        if (byte >= 0x80 && OidIsValid(conversion) &&
            pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8, source, 1, target, sizeof target,
                                          true) == 1) {
            const unsigned char *at = target;

            table[byte] = utf8_next(&at, target + strlen((char *)target));
        }
    }
    table_of = encoding;
    return table;
}

/* Characters as numbers made of their bytes, for an encoding that nothing converts to Unicode. */
static text_view
from_opaque(character_buffer *buffer, int encoding, const char *bytes, Size length)
{
    uint32 *wide = character_buffer_reserve(buffer, length * sizeof(uint32));
    uint32 count = 0;

    for (Size i = 0; i < length;) {
        Size size = (Size)Max(pg_encoding_mblen(encoding, bytes + i), 1);
        uint32 packed = 0;

        size = Min(size, length - i);
        for (Size k = 0; k < size; k++)
            packed = packed << 8 | (unsigned char)bytes[i + k];
        wide[count++] = packed < 0x80 ? packed : packed | CHARACTER_OPAQUE;
        i += size;
    }
    return narrowed(wide, count);
}

/* Whole characters at the start of a text, at least one, at most PIECE_BYTES of them. */
static int
piece_length(int encoding, const char *bytes, Size length)
{
    if (length <= PIECE_BYTES)
        return (int)length;
    return Max(pg_encoding_mbcliplen(encoding, bytes, PIECE_BYTES + 8, PIECE_BYTES), 1);
}

static text_view
from_converted(character_buffer *buffer, int encoding, Oid conversion, const char *bytes, Size length)
{
    uint32 *wide = character_buffer_reserve(buffer, length * sizeof(uint32));
    unsigned char *converted = palloc(CONVERTED_BYTES);
    uint32 count = 0;

    for (Size i = 0; i < length;) {
        int size = piece_length(encoding, bytes + i, length - i);
        int done = pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8, (unsigned char *)(bytes + i),
                                                 size, converted, CONVERTED_BYTES, true);
        const unsigned char *at = converted, *end = converted + strlen((char *)converted);

        CHECK_FOR_INTERRUPTS();
        while (at < end)
            wide[count++] = utf8_next(&at, end);
        i += (Size)done;
        if (done < size) {
            int unknown = Max(pg_encoding_mblen(encoding, bytes + i), 1);

            for (int k = 0; k < unknown && i < length; k++)
                wide[count++] = (unsigned char)bytes[i++];
        }
    }
    pfree(converted);
    return narrowed(wide, count);
}

text_view
text_view_from_bytes(character_buffer *buffer, const char *bytes, Size length)
{
    int encoding = GetDatabaseEncoding();
    Oid conversion;

    if (encoding == PG_LATIN1 || bytes_are_ascii(bytes, length))
        return (text_view){bytes, (uint32)length, 1};
    if (encoding == PG_UTF8)
        return from_utf8(buffer, bytes, length);
    if (encoding == PG_SQL_ASCII) {
        if (characters_encoding(bytes, length) == PG_UTF8)
            return from_utf8(buffer, bytes, length);
        return (text_view){bytes, (uint32)length, 1};
    }
    if (encoding == PG_MULE_INTERNAL)
        return from_opaque(buffer, encoding, bytes, length);
    if (pg_encoding_max_length(encoding) == 1) {
        const uint32 *table = single_byte_table(encoding);
        uint32 *wide = character_buffer_reserve(buffer, length * sizeof(uint32));

        for (Size i = 0; i < length; i++)
            wide[i] = table[(unsigned char)bytes[i]];
        return narrowed(wide, (uint32)length);
    }
    conversion = FindDefaultConversionProc(encoding, PG_UTF8);
    if (!OidIsValid(conversion))
        return from_opaque(buffer, encoding, bytes, length);
    return from_converted(buffer, encoding, conversion, bytes, length);
}

/* The bytes that an opaque character was made of. */
static int
opaque_bytes(uint32 c, unsigned char *target)
{
    int count = 0;

    /* Four bytes begin with one that has the high bit itself, never with 0x80. */
    if (c >> 24 == 0x80)
        c &= ~CHARACTER_OPAQUE;
    for (int shift = 24; shift >= 0; shift -= 8)
        if (count > 0 || c >> shift != 0)
            target[count++] = (unsigned char)(c >> shift);
    return count;
}

/* One Unicode character in an encoding that is neither UTF-8 nor made of Unicode's first 256. */
static int
encode_converted(Oid conversion, int encoding, uint32 c, unsigned char *target)
{
    unsigned char source[8], converted[MAX_CONVERSION_GROWTH * 8 + 1];
    int size;

    unicode_to_utf8(c, source);
    size = pg_utf_mblen(source);
    source[size] = '\0';
    if (OidIsValid(conversion) && pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding, source, size,
                                                                converted, sizeof converted, true) == size) {
        size = (int)strlen((char *)converted);
        if (size > 0 && size <= MAX_MULTIBYTE_CHAR_LEN) {
            memcpy(target, converted, (size_t)size);
            return size;
        }
    }
    target[0] = '?';
    return 1;
}

text *
text_view_to_text(text_view view)
{
    int encoding = GetDatabaseEncoding();
    Oid conversion = InvalidOid;
    Size bytes = 0;
    unsigned char *at;
    text *result;

    if (view.width == 1 && (encoding == PG_LATIN1 || bytes_are_ascii(view.chars, view.length))) {
        result = palloc(VARHDRSZ + (Size)view.length);
        memcpy(VARDATA(result), view.chars, view.length);
        SET_VARSIZE(result, VARHDRSZ + (Size)view.length);
        return result;
    }

    /* Twice through: first for the size, for a text may be a gigabyte but not the worst case of it. */
    if (encoding == PG_SQL_ASCII)
        encoding = PG_UTF8;
    if (encoding != PG_UTF8 && encoding != PG_LATIN1)
        conversion = FindDefaultConversionProc(PG_UTF8, encoding);
    result = NULL;
    at = NULL;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32 i = 0; i < view.length; i++) {
            uint32 c = text_view_at(view, i);
            unsigned char one[MAX_MULTIBYTE_CHAR_LEN + 1];
            int size = 1;

            if (c < 0x80) {
                one[0] = (unsigned char)c;
            } else if (c & CHARACTER_OPAQUE) {
                size = opaque_bytes(c, one);
            } else if (encoding == PG_UTF8) {
                unicode_to_utf8(c, one);
                size = pg_utf_mblen(one);
            } else if (encoding == PG_LATIN1) {
                one[0] = c < 256 ? (unsigned char)c : '?';
            } else {
                size = encode_converted(conversion, encoding, c, one);
            }
            if (pass == 0) {
                bytes += (Size)size;
            } else {
                memcpy(at, one, (size_t)size);
                at += size;
            }
            if (i % 65536 == 65535)
                CHECK_FOR_INTERRUPTS();
        }
        if (pass == 0) {
            result = palloc(VARHDRSZ + bytes);
            SET_VARSIZE(result, VARHDRSZ + bytes);
            at = (unsigned char *)VARDATA(result);
        }
    }
    return result;
}
