/*
 * values_mask.c: masks of values in SQL; see kernel/mask.h.
 */
#include "compat.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"

#include "kernel/mask.h"

static mask_key
read_key(bytea *bytes)
{
    mask_key key;

    if (VARSIZE_ANY_EXHDR(bytes) < 16)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the key of a mask is too short"),
                        errdetail("It has %zu bytes; 16 are the least.", (size_t)VARSIZE_ANY_EXHDR(bytes))));
    mask_key_set(&key, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
    return key;
}

/*
 * The text in UTF-8, the same for a character in all encodings. Of encodings that do not say what their bytes
 * mean, and of one that has no way to UTF-8, the bytes.
 */
static char *
to_utf8(text *value, bool *has_characters)
{
    int encoding = GetDatabaseEncoding();
    char *string = text_to_cstring(value);

    *has_characters = encoding != PG_SQL_ASCII && encoding != PG_MULE_INTERNAL;
    return *has_characters ? pg_server_to_any(string, (int)strlen(string), PG_UTF8) : string;
}

/* mask_format(value, key, letters): a text of the same form. */
MASTERING_FUNCTION(mastering_mask_format)
{
    bool has_characters;
    char *utf8 = to_utf8(PG_GETARG_TEXT_PP(0), &has_characters), *end = utf8 + strlen(utf8), *result, *masked;
    mask_key key = read_key(PG_GETARG_BYTEA_PP(1));
    Size room = Max(end - utf8, 1);
    uint32 *points = palloc_extended(mul_size(room, sizeof(uint32)), MCXT_ALLOC_HUGE);
    mask_place *places = palloc_extended(mul_size(room, sizeof(mask_place)), MCXT_ALLOC_HUGE);
    size_t count = 0;

    for (char *at = utf8; at < end; at += has_characters ? pg_utf_mblen((unsigned char *)at) : 1)
        if (has_characters)
            points[count++] = utf8_to_unicode((unsigned char *)at);
        else /* a byte that may be part of any letter is one of none known */
            points[count++] = IS_HIGHBIT_SET(*at) ? 0x10000 + (unsigned char)*at : (unsigned char)*at;
    key.stop = &InterruptPending;
    while (!mask_format(&key, points, count, PG_GETARG_BOOL(2), GetDatabaseEncoding() != PG_UTF8, places))
        CHECK_FOR_INTERRUPTS();
    masked = result = palloc_extended(add_size(mul_size(count, 4), 1), MCXT_ALLOC_HUGE);
    for (size_t i = 0; i < count; i++) {
        if (!has_characters) {
            *masked++ = (char)(points[i] & 0xff);
            continue;
        }
        unicode_to_utf8(points[i], (unsigned char *)masked);
        masked += pg_utf_mblen((unsigned char *)masked);
    }
    *masked = '\0';
    if (has_characters)
        result = pg_any_to_server(result, (int)(masked - result), PG_UTF8);
    PG_RETURN_TEXT_P(cstring_to_text(result));
}

/* mask_hash(value, key): 32 hexadecimal digits. */
MASTERING_FUNCTION(mastering_mask_hash)
{
    bool has_characters;
    char *utf8 = to_utf8(PG_GETARG_TEXT_PP(0), &has_characters), hex[33];
    mask_key key = read_key(PG_GETARG_BYTEA_PP(1));
    uint8_t digest[SHA256_BYTES];

    mask_digest(&key, utf8, strlen(utf8), digest);
    hex_encode((char *)digest, 16, hex);
    PG_RETURN_TEXT_P(cstring_to_text_with_len(hex, 32));
}

/* mask_number(value, key, limit): a number of as many digits, between -limit and limit. */
MASTERING_FUNCTION(mastering_mask_number)
{
    int64 value = PG_GETARG_INT64(0), limit = PG_GETARG_INT64(2);
    mask_key key = read_key(PG_GETARG_BYTEA_PP(1));
    uint64 size = value < 0 ? -(uint64)value : (uint64)value;

    if (limit < 0 || size > (uint64)limit)
        PG_RETURN_INT64(value); /* the least of all numbers has no counterpart */
    do {                        /* as mask_number() does, which does not look at interrupts */
        CHECK_FOR_INTERRUPTS();
        size = mask_digits(&key, size);
    } while (size > (uint64)limit);
    PG_RETURN_INT64(value < 0 ? -(int64)size : (int64)size);
}

/* mask_date(value, key): a day of the same year. */
MASTERING_FUNCTION(mastering_mask_date)
{
    DateADT date = PG_GETARG_DATEADT(0);
    mask_key key = read_key(PG_GETARG_BYTEA_PP(1));
    int year, month, day, first, last;

    if (DATE_NOT_FINITE(date))
        PG_RETURN_DATEADT(date);
    j2date(date + POSTGRES_EPOCH_JDATE, &year, &month, &day);
    first = Max(date2j(year, 1, 1), DATETIME_MIN_JULIAN) - POSTGRES_EPOCH_JDATE; /* dates begin in November */
    last = date2j(year, 12, 31) - POSTGRES_EPOCH_JDATE;
    PG_RETURN_DATEADT(first +
                      (DateADT)mask_day(&key, year, (uint32)(date - first), (uint32)(last - first + 1)));
}
