/*
 * latin_name.c: see latin_name.h.
 */
#include "compat.h"

#include <unicode/uscript.h>
#include <unicode/utf16.h>
#include <unicode/utrans.h>

#include "engine/characters.h"
#include "engine/latin_name.h"
#include "engine/normalize.h"
#include "miscadmin.h"

#define PINYIN "Han-Latin/Names; Latin-ASCII"
#define LONGEST_NAME 200     /* characters */
#define UNITS_A_CHARACTER 16 /* of pinyin, at most, and room to spare */

typedef enum name_script { SCRIPT_SPELT, SCRIPT_CHINESE, SCRIPT_UNKNOWN } name_script;

static name_script
script_of(uint32 c)
{
    UErrorCode status = U_ZERO_ERROR;

    if (c > 0x10FFFF)
        return SCRIPT_UNKNOWN;
    switch (uscript_getScript((UChar32)c, &status)) {
    case USCRIPT_COMMON:
    case USCRIPT_INHERITED:
    case USCRIPT_LATIN:
    case USCRIPT_CYRILLIC:
    case USCRIPT_GREEK:
    case USCRIPT_ARMENIAN:
    case USCRIPT_GEORGIAN:
        return SCRIPT_SPELT;
    case USCRIPT_HAN:
        return SCRIPT_CHINESE;
    default:
        return SCRIPT_UNKNOWN;
    }
}

/* Opened once a backend; it reads the first character of a name as a family name. */
static UTransliterator *
open_pinyin(void)
{
    static UTransliterator *pinyin = NULL;

    if (pinyin == NULL) {
        UErrorCode status = U_ZERO_ERROR;
        UChar id[64];

        /* Without tone marks, which the server's encoding may not have. */
        u_charsToUChars(PINYIN, id, sizeof PINYIN);
        pinyin = utrans_openU(id, -1, UTRANS_FORWARD, NULL, 0, NULL, &status);
        if (U_FAILURE(status))
            ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                            errmsg("ICU failed at Han-Latin: %s", u_errorName(status)),
                            errhint("Check that the data of the ICU library (%s) are installed completely.",
                                    normalize_versions())));
    }
    return pinyin;
}

static text *
to_pinyin(text_view name)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t capacity = (int32_t)name.length * UNITS_A_CHARACTER, length = 0, limit, count = 0;
    UChar *units = palloc(capacity * sizeof(UChar));
    uint32 *characters;

    for (uint32 i = 0; i < name.length; i++)
        U16_APPEND_UNSAFE(units, length, text_view_at(name, i));
    limit = length;
    utrans_transUChars(open_pinyin(), units, &length, capacity, 0, &limit, &status);
    if (U_FAILURE(status))
        return NULL;
    characters = palloc(Max(length, 1) * sizeof(uint32));
    for (int32_t i = 0; i < length;) {
        UChar32 c;

        U16_NEXT(units, i, length, c);
        characters[count++] = (uint32)c;
    }
    return text_view_to_text((text_view){(const char *)characters, (uint32)count, 4});
}

text *
latin_name(text_view name)
{
    bool chinese = false;

    for (uint32 i = 0; i < name.length; i++) {
        name_script script = script_of(text_view_at(name, i));

        if (script == SCRIPT_UNKNOWN)
            return NULL;
        chinese |= script == SCRIPT_CHINESE;
    }
    if (!chinese)
        return text_view_to_text(name);
    return name.length > LONGEST_NAME ? NULL : to_pinyin(name);
}
