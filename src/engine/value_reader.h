/*
 * value_reader.h: a datum of any type as the characters that are compared, in one of the forms of spec.h.
 * Main thread only.
 */
#ifndef MASTERING_ENGINE_VALUE_READER_H
#define MASTERING_ENGINE_VALUE_READER_H

#include "compat.h"

#include "engine/normalize.h"
#include "engine/spec.h"
#include "kernel/text_view.h"

typedef struct value_reader value_reader;

/* For values of one type in one form; type is the element type for arrays, but the array's with
 * FORM_ELEMENTS. */
extern value_reader *value_reader_create(MemoryContext context, Oid type, value_form form);

typedef enum value_state { VALUE_READ, VALUE_MISSING, VALUE_UNREADABLE } value_state;

/*
 * The characters of a value that is not NULL, valid until the next call. Empty texts are missing; what
 * cannot be read as a number or date in those forms is unreadable. May leave garbage in the current
 * memory context, which the caller resets.
 */
extern value_state value_reader_read(value_reader *reader, Datum value, text_view *text);

/*
 * The bytes of a value that is a text of ASCII alone and will be read by nothing but
 * normalize_ascii_in_place(*mode); false for any other value, which value_reader_read must read.
 */
extern bool value_reader_plain(value_reader *reader, Datum value, const char **bytes, uint32 *length,
                               normalize_mode *mode);

/* Whether the texts of this reader may be plain, and then how they are normalised; asked once for all. */
extern bool value_reader_takes_plain(const value_reader *reader, normalize_mode *mode);

/* Whether the bytes of a text, neither compressed nor stored elsewhere, are plain. Any thread may ask. */
extern bool value_bytes_are_plain(const char *bytes, uint32 length);

/* With FORM_ELEMENTS: values that had more elements than are compared. */
extern uint64 value_reader_cut(const value_reader *reader);

/* The number or date of a text in its form. */
extern double value_number(text_view text);
extern calendar_date value_date(text_view text);

/* Reads the first number in a text: sign, grouped digits, decimal point or comma, exponent. */
extern bool parse_number(text_view text, double *number);

/*
 * Reads a date written in digits: year first, or day and month first and the year last, with any
 * separators or none. Days and months need not exist (typing errors are to be compared, not lost); a month or
 * a day that is not there, or 00, is 0.
 */
extern bool parse_date(text_view text, calendar_date *date);

#endif
