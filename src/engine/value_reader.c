/*
 * value_reader.c: see value_reader.h.
 */
#include "compat.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "engine/elements.h"
#include "engine/normalize.h"
#include "engine/value_reader.h"
#include "kernel/characters.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "parser/parse_coerce.h"

#define MOST_DATE_CHARACTERS 40 /* of a date whose month is a word */

/* Bytes of a value that takes so long to read that a cancel request is looked for before and after. */
#define LONG_VALUE (1024 * 1024)

/* Bytes of a value that a worker thread may be asked to normalise. */
#define PLAIN_LENGTH (16 * 1024)

struct value_reader {
    Oid type;
    value_form form;
    normalize_mode mode;
    normalizer *normalizer;
    FmgrInfo output;          /* of types that are not text */
    element_reader *elements; /* of an array whose elements are read; NULL: a value */
    char buffer[MAXDATELEN + 1];
};

value_reader *
value_reader_create(MemoryContext context, Oid type, value_form form)
{
    MemoryContext before = MemoryContextSwitchTo(context);
    value_reader *reader = palloc0(sizeof(value_reader));
    normalize_mode mode = form == FORM_TEXT           ? NORMALIZE_TEXT
                          : form == FORM_ALPHANUMERIC ? NORMALIZE_ALPHANUMERIC
                          : form == FORM_DIGITS       ? NORMALIZE_DIGITS
                                                      : NORMALIZE_NONE;

    if ((int)form & FORM_ELEMENTS) {
        reader->elements = element_reader_create(context, type, form);
        MemoryContextSwitchTo(before);
        return reader;
    }
    reader->type = getBaseType(type);
    reader->form = form;
    reader->mode = mode;
    reader->normalizer = normalizer_create(context, mode);
    if (reader->type != NAMEOID && reader->type != BPCHAROID && !IsBinaryCoercible(reader->type, TEXTOID)) {
        Oid function;
        bool is_varlena;

        getTypeOutputInfo(reader->type, &function, &is_varlena);
        fmgr_info_cxt(function, &reader->output, context);
    }
    MemoryContextSwitchTo(before);
    return reader;
}

/* ---- numbers and dates in text ---- */

static inline bool
is_ascii_letter(uint32 character)
{
    return (character | 32) >= 'a' && (character | 32) <= 'z' && character < 128;
}

bool
parse_number(text_view text, double *number)
{
    char digits[512];
    int used = 0;
    uint32 start = 0, i, points = 0, commas = 0, last = 0, decimal = PG_UINT32_MAX;

    while (start < text.length && !is_digit(character_at(text, start)))
        start++;
    if (start == text.length)
        return false;
    if (start > 0 && character_at(text, start - 1) == '.' &&
        (start == 1 || !is_digit(character_at(text, start - 2))))
        start--; /* .5 */
    for (i = start;
         is_digit(character_at(text, i)) || ((character_at(text, i) == '.' || character_at(text, i) == ',') &&
                                             is_digit(character_at(text, i + 1)));
         i++) {
        if (character_at(text, i) == '.')
            points++, last = i;
        else if (character_at(text, i) == ',')
            commas++, last = i;
    }
    if (points > 0 && commas > 0)
        decimal = last;
    else if (points == 1)
        decimal = last;
    else if (commas == 1 && digits_from(text, last + 1) != 3)
        decimal = last;

    if (start > 0 && character_at(text, start - 1) == '-' &&
        (start == 1 || !is_digit(character_at(text, start - 2))))
        digits[used++] = '-';
    for (uint32 j = start; j < i && used < (int)sizeof digits - 16; j++) {
        if (is_digit(character_at(text, j)))
            digits[used++] = (char)character_at(text, j);
        else if (j == decimal)
            digits[used++] = '.';
    }
    if ((character_at(text, i) == 'e' || character_at(text, i) == 'E')) {
        uint32 sign = character_at(text, i + 1) == '-' || character_at(text, i + 1) == '+' ? 1 : 0;
        uint32 exponent = digits_from(text, i + 1 + sign);

        if (exponent > 0 && exponent <= 3)
            for (uint32 j = i; j < i + 1 + sign + exponent; j++)
                digits[used++] = (char)character_at(text, j);
    }
    digits[used] = '\0';
    *number = strtod(digits, NULL);
    return isfinite(*number);
}

static uint32
digits_value(text_view text, uint32 from, uint32 count)
{
    uint32 value = 0;

    for (uint32 i = from; i < from + count; i++)
        value = value * 10 + (character_at(text, i) - '0');
    return value;
}

static bool
set_date(uint32 year, uint32 month, uint32 day, calendar_date *date)
{
    *date = (calendar_date){(int32)year, (uint8)month, (uint8)day};
    return true;
}

/* Two digits of a year: up to 29 this century, from 30 the last. */
static uint32
full_year(uint32 year, uint32 digits)
{
    return digits > 2 ? year : year < 30 ? 2000 + year : 1900 + year;
}

/* The month that a word names by its first three letters in English: 1 to 12; 0: none. */
static uint32
month_of_word(text_view text, uint32 from, uint32 letters)
{
    static const char *const months[] = {"january",   "february", "march",    "april",
                                         "may",       "june",     "july",     "august",
                                         "september", "october",  "november", "december"};

    for (uint32 month = 0; letters >= 3 && month < lengthof(months); month++) {
        uint32 same = 0, length = (uint32)strlen(months[month]);

        while (same < letters && same < length &&
               (character_at(text, from + same) | 32) == (uint32)months[month][same])
            same++;
        if (same == letters || (same >= 3 && letters == 4 && month == 8)) /* Sept */
            return month + 1;
    }
    return 0;
}

static bool
is_weekday(text_view text, uint32 from, uint32 letters)
{
    static const char *const days[] = {"monday", "tuesday",  "wednesday", "thursday",
                                       "friday", "saturday", "sunday"};

    for (uint32 day = 0; letters >= 3 && day < lengthof(days); day++) {
        uint32 same = 0, length = (uint32)strlen(days[day]);

        while (same < letters && same < length &&
               (character_at(text, from + same) | 32) == (uint32)days[day][same])
            same++;
        if (same == letters)
            return true;
    }
    return false;
}

/*
 * A date whose month is a word: "9 April 2002", "Apr 9, 2002", "09-Apr-02". A weekday may come before it, and
 * anything behind it: a time, "(USA)".
 */
static bool
parse_date_of_words(text_view text, calendar_date *date)
{
    uint32 month = 0, value[2] = {0}, length[2] = {0}, groups = 0, before_month = 0;

    for (uint32 i = 0; i < text.length;) {
        uint32 digits = digits_from(text, i), letters = 0;

        while (is_ascii_letter(character_at(text, i + letters)))
            letters++;
        if ((digits > 0 || letters > 0) && month != 0 && groups == 2 && before_month < 2)
            break;
        if (digits > 0) {
            if (digits > 4 || groups == 2)
                return false;
            value[groups] = digits_value(text, i, digits);
            length[groups++] = digits;
            i += digits;
            /* "9th" */
            if (digits <= 2 && is_ascii_letter(character_at(text, i)) &&
                is_ascii_letter(character_at(text, i + 1)) && !is_ascii_letter(character_at(text, i + 2)) &&
                month_of_word(text, i, 2) == 0)
                i += 2;
        } else if (letters > 0) {
            if (month != 0)
                return false;
            month = month_of_word(text, i, letters);
            before_month = groups;
            if (month == 0 && (groups > 0 || !is_weekday(text, i, letters)))
                return false;
            i += letters;
        } else
            i++;
    }
    if (month != 0 && groups == 1 && length[0] == 4) /* "May 1985" */
        return set_date(value[0], month, 0, date);
    if (month == 0 || groups != 2)
        return false;
    if (length[0] > 2)
        return length[1] <= 2 && set_date(value[0], month, value[1], date);
    if (length[1] != 2 && length[1] != 4)
        return false;
    return set_date(full_year(value[1], length[1]), month, value[0], date);
}

/*
 * A date without a day, or without a month: "1985-05", "05/1985", "1985". What is not known is 0. Nothing
 * else may stand in the text.
 */
static bool
parse_partial_date(text_view text, calendar_date *date)
{
    uint32 first = digits_from(text, 0), second, year, month = 0;

    if (first == 0)
        return false;
    second = first < text.length ? digits_from(text, first + 1) : 0;
    if (first < text.length && (strchr("-/. ", (int)Min(character_at(text, first), 127)) == NULL ||
                                first + 1 + second != text.length))
        return false;
    if (first == 4 && second <= 2 && (second > 0 || first == text.length)) {
        year = digits_value(text, 0, 4);
        month = digits_value(text, first + 1, second);
    } else if (first <= 2 && second == 4) {
        month = digits_value(text, 0, first);
        year = digits_value(text, first + 1, 4);
    } else
        return false;
    return year >= 1000 && year < 3000 && month <= 12 && (second == 0 || month > 0) &&
           set_date(year, month, 0, date);
}

bool
parse_date(text_view text, calendar_date *date)
{
    uint32 start[3], length[3], value[3], groups = 0, i = 0;

    if (text.length <= MOST_DATE_CHARACTERS && parse_date_of_words(text, date))
        return true;
    while (i < text.length && groups < 3) {
        uint32 digits = digits_from(text, i);

        if (digits == 0) {
            i++;
            continue;
        }
        if (digits == 8 && groups == 0) {
            uint32 year = digits_value(text, i, 4);

            if (year >= 1000 && year < 3000)
                return set_date(year, digits_value(text, i + 4, 2), digits_value(text, i + 6, 2), date);
            return set_date(digits_value(text, i + 4, 4), digits_value(text, i + 2, 2),
                            digits_value(text, i, 2), date);
        }
        if (digits > 4)
            return false;
        start[groups] = i;
        length[groups] = digits;
        value[groups] = digits_value(text, i, digits);
        groups++;
        i += digits;
    }
    if (groups < 3)
        return parse_partial_date(text, date);
    if (length[1] > 2)
        return false;
    if (length[0] > 2)
        return length[2] <= 2 && set_date(value[0], value[1], value[2], date);
    if (length[2] != 4 && length[2] != 2)
        return false;
    /* The year last. With slashes the month comes first, as Americans write it, unless it cannot. */
    if (character_at(text, start[0] + length[0]) == '/' && value[0] <= 12)
        return set_date(full_year(value[2], length[2]), value[0], value[1], date);
    if (value[1] > 12 && value[0] <= 12)
        return set_date(full_year(value[2], length[2]), value[0], value[1], date);
    return set_date(full_year(value[2], length[2]), value[1], value[0], date);
}

double
value_number(text_view text)
{
    double number = 0;

    (void)parse_number(text, &number);
    return number;
}

calendar_date
value_date(text_view text)
{
    calendar_date date = {0, 0, 0};

    (void)parse_date(text, &date);
    return date;
}

/* ---- datums ---- */

static text_view
buffer_view(value_reader *reader, int length)
{
    return (text_view){reader->buffer, (uint32)length, 1};
}

static value_state
read_date(value_reader *reader, calendar_date date, text_view *text)
{
    int length =
        snprintf(reader->buffer, sizeof reader->buffer, "%04d-%02d-%02d", date.year, date.month, date.day);

    *text = buffer_view(reader, length);
    return VALUE_READ;
}

static value_state
read_number(value_reader *reader, double number, text_view *text)
{
    if (!isfinite(number))
        return VALUE_UNREADABLE;
    *text = buffer_view(reader, double_to_shortest_decimal_bufn(number == 0 ? 0.0 : number, reader->buffer));
    return VALUE_READ;
}

/* Dates and times as ISO 8601, whatever the session's DateStyle. */
static bool
read_calendar_type(value_reader *reader, Datum value, text_view *text, value_state *state)
{
    int year, month, day;

    if (reader->type == DATEOID) {
        DateADT date = DatumGetDateADT(value);

        if (DATE_NOT_FINITE(date)) {
            *state = VALUE_MISSING;
            return true;
        }
        j2date(date + POSTGRES_EPOCH_JDATE, &year, &month, &day);
    } else if (reader->form == FORM_DATE && reader->type == TIMESTAMPOID) {
        Timestamp timestamp = DatumGetTimestamp(value);
        struct pg_tm broken;
        fsec_t fraction;

        if (TIMESTAMP_NOT_FINITE(timestamp) ||
            timestamp2tm(timestamp, NULL, &broken, &fraction, NULL, NULL) != 0) {
            *state = VALUE_MISSING;
            return true;
        }
        year = broken.tm_year;
        month = broken.tm_mon;
        day = broken.tm_mday;
    } else
        return false;
    *state = read_date(reader, (calendar_date){year, (uint8)month, (uint8)day}, text);
    return true;
}

static int
write_timestamp(value_reader *reader, Timestamp timestamp)
{
    struct pg_tm broken;
    fsec_t fraction;

    if (timestamp2tm(timestamp, NULL, &broken, &fraction, NULL, NULL) != 0)
        ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
    EncodeDateTime(&broken, fraction, false, 0, NULL, USE_ISO_DATES, reader->buffer);
    return (int)strlen(reader->buffer);
}

/*
 * What a type's output function would write with the default settings: its length in the buffer, or -1 when
 * there are no settings it depends on. Nobody's DateStyle, TimeZone or extra_float_digits may change a
 * result; moments are written in UTC.
 */
static int
write_plainly(value_reader *reader, Datum value)
{
    switch (reader->type) {
    case TIMESTAMPOID:
    case TIMESTAMPTZOID: /* in UTC it is the same number */
        if (TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value)))
            return -1;
        return write_timestamp(reader, DatumGetTimestamp(value));
    case FLOAT8OID:
        if (!isfinite(DatumGetFloat8(value)))
            return -1;
        return double_to_shortest_decimal_buf(DatumGetFloat8(value), reader->buffer);
    case FLOAT4OID:
        if (!isfinite(DatumGetFloat4(value)))
            return -1;
        return float_to_shortest_decimal_buf(DatumGetFloat4(value), reader->buffer);
    default:
        return -1;
    }
}

bool
value_reader_takes_plain(const value_reader *reader, normalize_mode *mode)
{
    *mode = reader->mode;
    return reader->elements == NULL && reader->form != FORM_NUMBER && reader->form != FORM_DATE &&
           reader->output.fn_oid == InvalidOid && reader->type != NAMEOID && reader->type != DATEOID;
}

bool
value_bytes_are_plain(const char *bytes, uint32 length)
{
    return length <= PLAIN_LENGTH && bytes_are_ascii(bytes, length);
}

bool
value_reader_plain(value_reader *reader, Datum value, const char **bytes, uint32 *length,
                   normalize_mode *mode)
{
    struct varlena *packed;

    if (!value_reader_takes_plain(reader, mode))
        return false;
    packed = (struct varlena *)DatumGetPointer(value);
    if (VARATT_IS_COMPRESSED(packed) || VARATT_IS_EXTERNAL(packed))
        packed = PG_DETOAST_DATUM_PACKED(value);
    *bytes = VARDATA_ANY(packed);
    *length = (uint32)VARSIZE_ANY_EXHDR(packed);
    return value_bytes_are_plain(*bytes, *length);
}

value_state
value_reader_read(value_reader *reader, Datum value, text_view *text)
{
    const char *bytes;
    int length;
    value_state state;

    if (reader->elements != NULL)
        return element_reader_read(reader->elements, value, text);
    if (read_calendar_type(reader, value, text, &state))
        return state;
    if (reader->output.fn_oid != InvalidOid) {
        if (reader->form == FORM_NUMBER && reader->type == FLOAT8OID)
            return read_number(reader, DatumGetFloat8(value), text);
        length = write_plainly(reader, value);
        bytes = length >= 0 ? reader->buffer : OutputFunctionCall(&reader->output, value);
        if (length < 0)
            length = (int)strlen(bytes);
    } else if (reader->type == NAMEOID) {
        bytes = NameStr(*DatumGetName(value));
        length = (int)strlen(bytes);
    } else {
        struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);

        bytes = VARDATA_ANY(packed);
        length = (int)VARSIZE_ANY_EXHDR(packed);
    }
    if (length > LONG_VALUE)
        CHECK_FOR_INTERRUPTS();
    *text = normalizer_apply(reader->normalizer, bytes, length);
    if (length > LONG_VALUE)
        CHECK_FOR_INTERRUPTS();
    if (text->length == 0)
        return VALUE_MISSING;

    if (reader->form == FORM_NUMBER) {
        double number;

        return parse_number(*text, &number) ? read_number(reader, number, text) : VALUE_UNREADABLE;
    }
    if (reader->form == FORM_DATE) {
        calendar_date date;

        return parse_date(*text, &date) ? read_date(reader, date, text) : VALUE_UNREADABLE;
    }
    return VALUE_READ;
}

uint64
value_reader_cut(const value_reader *reader)
{
    return reader->elements != NULL ? element_reader_cut(reader->elements) : 0;
}
