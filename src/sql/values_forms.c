/*
 * values_forms.c: addresses, organisations, telephone numbers, e-mail addresses and names of other scripts in
 * one form, in SQL.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "engine/latin_name.h"
#include "engine/normalize.h"
#include "kernel/word_forms.h"
#include "sql/values.h"

typedef size_t (*form_function)(const char *text, size_t length, char *target);

/* The argument as it is compared, in its form; NULL where nothing is left. */
static Datum
formed(FunctionCallInfo fcinfo, normalizer **state, normalize_mode mode, form_function form)
{
    text *value = PG_GETARG_TEXT_PP(0), *plain, *result;

    if (*state == NULL)
        *state = normalizer_create(TopMemoryContext, mode);
    normalizer_trim(*state);
    plain = text_view_to_text(normalizer_apply(*state, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)));
    result = palloc(VARSIZE(plain));
    SET_VARSIZE(result, VARHDRSZ + form(VARDATA(plain), VARSIZE(plain) - VARHDRSZ, VARDATA(result)));
    pfree(plain);
    PG_FREE_IF_COPY(value, 0);
    if (VARSIZE(result) == VARHDRSZ)
        PG_RETURN_NULL();
    PG_RETURN_TEXT_P(result);
}

MASTERING_FUNCTION(mastering_normalize_address)
{
    static normalizer *state = NULL;

    return formed(fcinfo, &state, NORMALIZE_TEXT, word_forms_address);
}

MASTERING_FUNCTION(mastering_normalize_organization)
{
    static normalizer *state = NULL;

    return formed(fcinfo, &state, NORMALIZE_TEXT, word_forms_organization);
}

MASTERING_FUNCTION(mastering_normalize_phone)
{
    static normalizer *state = NULL;

    return formed(fcinfo, &state, NORMALIZE_DIGITS, word_forms_phone);
}

/* As it is written: what normalisation takes for punctuation parts an address from what is around it. */
MASTERING_FUNCTION(mastering_normalize_email)
{
    text *value = PG_GETARG_TEXT_PP(0), *result = palloc(VARHDRSZ + VARSIZE_ANY_EXHDR(value));

    SET_VARSIZE(result,
                VARHDRSZ + word_forms_email(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), VARDATA(result)));
    PG_FREE_IF_COPY(value, 0);
    if (VARSIZE(result) == VARHDRSZ)
        PG_RETURN_NULL();
    PG_RETURN_TEXT_P(result);
}

/* The first address that is no role's; of a text without an address the text, as normalize_email has it. */
MASTERING_FUNCTION(mastering_personal_email)
{
    text *value = PG_GETARG_TEXT_PP(0), *result = palloc(VARHDRSZ + VARSIZE_ANY_EXHDR(value) + 1);
    const char *bytes = VARDATA_ANY(value);
    size_t length = VARSIZE_ANY_EXHDR(value), place = 0, written = 0;
    bool is_address = false, is_role = true;

    while (is_role && word_forms_email_next(bytes, length, &place, VARDATA(result), &written)) {
        is_address = true;
        is_role = word_forms_is_role_mailbox(VARDATA(result), written);
    }
    if (!is_address) {
        written = word_forms_email(bytes, length, VARDATA(result));
        is_role = word_forms_is_role_mailbox(VARDATA(result), written);
    }
    PG_FREE_IF_COPY(value, 0);
    if (written == 0 || is_role)
        PG_RETURN_NULL();
    SET_VARSIZE(result, VARHDRSZ + written);
    PG_RETURN_TEXT_P(result);
}

#define MOST_ADDRESSES 1024 /* of a text: a record has no more keys either */

MASTERING_FUNCTION(mastering_email_addresses)
{
    text *value = PG_GETARG_TEXT_PP(0);
    const char *bytes = VARDATA_ANY(value);
    size_t length = VARSIZE_ANY_EXHDR(value), place = 0, written;
    char *address = palloc(length + 1);
    Datum addresses[MOST_ADDRESSES];
    int count = 0;

    while (count < MOST_ADDRESSES && word_forms_email_next(bytes, length, &place, address, &written))
        addresses[count++] = PointerGetDatum(cstring_to_text_with_len(address, (int)written));
    if (count == 0 && length > 0)
        addresses[count++] =
            PointerGetDatum(cstring_to_text_with_len(address, (int)word_forms_email(bytes, length, address)));
    if (count == 0)
        PG_RETURN_NULL();
    PG_RETURN_ARRAYTYPE_P(construct_array(addresses, count, TEXTOID, -1, false, TYPALIGN_INT));
}

MASTERING_FUNCTION(mastering_latin_name)
{
    text *value = PG_GETARG_TEXT_PP(0), *result = latin_name(values_characters(0, value));

    if (result == NULL)
        PG_RETURN_NULL();
    PG_RETURN_TEXT_P(result);
}
