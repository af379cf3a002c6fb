/*
 * values_phonetic.c: phonetic keys in SQL. Letters that are not ASCII are normalised first, so that they
 * count; a text without a letter has no key, which is NULL, or an empty array: it must not fall together
 * with every other such text.
 */
#include "compat.h"

#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "engine/normalize.h"
#include "kernel/phonetic.h"

/* The characters of a text as the kernels want them; valid until the next call. */
static text_view
letters_of(text *value)
{
    static normalizer *state = NULL;
    const char *bytes = VARDATA_ANY(value);
    Size length = VARSIZE_ANY_EXHDR(value);

    if (bytes_are_ascii(bytes, length))
        return (text_view){bytes, (uint32)length, 1};
    if (state == NULL)
        state = normalizer_create(TopMemoryContext, NORMALIZE_TEXT);
    normalizer_trim(state);
    return normalizer_apply(state, bytes, length);
}

MASTERING_FUNCTION(mastering_soundex_key)
{
    char key[SOUNDEX_KEY_LENGTH + 1];

    if (soundex_key(letters_of(PG_GETARG_TEXT_PP(0)), key) == 0)
        PG_RETURN_NULL();
    PG_RETURN_TEXT_P(cstring_to_text_with_len(key, SOUNDEX_KEY_LENGTH));
}

MASTERING_FUNCTION(mastering_nysiis_key)
{
    text_view letters = letters_of(PG_GETARG_TEXT_PP(0));
    text *result = palloc(VARHDRSZ + (Size)letters.length + 1);
    uint32 length = nysiis_key(letters, VARDATA(result), letters.length + 1);

    if (length == 0)
        PG_RETURN_NULL();
    SET_VARSIZE(result, VARHDRSZ + (Size)length);
    PG_RETURN_TEXT_P(result);
}

MASTERING_FUNCTION(mastering_cologne_key)
{
    text_view letters = letters_of(PG_GETARG_TEXT_PP(0));
    Size capacity = 2 * (Size)letters.length + 1;
    text *result = palloc_extended(VARHDRSZ + capacity, MCXT_ALLOC_HUGE);
    uint32 length = cologne_key(letters, VARDATA(result), (uint32)capacity);

    if (length == 0)
        PG_RETURN_NULL();
    if (!AllocSizeIsValid(VARHDRSZ + (Size)length))
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the key of the text is too long"),
                        errdetail("It has %u digits.", length)));
    SET_VARSIZE(result, VARHDRSZ + (Size)length);
    PG_RETURN_TEXT_P(result);
}

MASTERING_FUNCTION(mastering_double_metaphone_keys)
{
    int32 max_length = PG_GETARG_INT32(1);
    char primary[DOUBLE_METAPHONE_MAX + 1], alternate[DOUBLE_METAPHONE_MAX + 1];
    Datum keys[2];
    int count = 0;

    if (max_length < 1 || max_length > DOUBLE_METAPHONE_MAX)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("double metaphone keys cannot have %d characters", max_length),
                        errhint("Use a max_length from 1 to %d.", DOUBLE_METAPHONE_MAX)));
    double_metaphone_keys(letters_of(PG_GETARG_TEXT_PP(0)), (uint32)max_length, primary, alternate);
    if (primary[0] != '\0')
        keys[count++] = CStringGetTextDatum(primary);
    if (alternate[0] != '\0' && strcmp(primary, alternate) != 0)
        keys[count++] = CStringGetTextDatum(alternate);
    PG_RETURN_ARRAYTYPE_P(construct_array(keys, count, TEXTOID, -1, false, TYPALIGN_INT));
}

MASTERING_FUNCTION(mastering_daitch_mokotoff_keys)
{
    char keys[DAITCH_MOKOTOFF_KEYS][DAITCH_MOKOTOFF_LENGTH + 1];
    Datum elements[DAITCH_MOKOTOFF_KEYS];
    uint32 count = daitch_mokotoff_keys(letters_of(PG_GETARG_TEXT_PP(0)), keys);

    for (uint32 i = 0; i < count; i++)
        elements[i] = CStringGetTextDatum(keys[i]);
    PG_RETURN_ARRAYTYPE_P(construct_array(elements, (int)count, TEXTOID, -1, false, TYPALIGN_INT));
}
