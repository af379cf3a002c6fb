/*
 * values_quantity.c: quantities and model numbers of a text, in SQL.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "kernel/quantity.h"
#include "miscadmin.h"
#include "sql/values.h"
#include "utils/array.h"
#include "utils/builtins.h"

typedef struct found_texts {
    Datum *texts;
    int count, allocated;
} found_texts;

static void
add_text(found_texts *found, text *text)
{
    if (found->count == found->allocated) {
        found->allocated = Max(found->allocated * 2, 8);
        found->texts = found->texts == NULL ? palloc(found->allocated * sizeof(Datum))
                                            : repalloc_huge(found->texts, found->allocated * sizeof(Datum));
    }
    found->texts[found->count++] = PointerGetDatum(text);
    if ((found->count & 0xfff) == 0)
        CHECK_FOR_INTERRUPTS();
}

static Datum
texts_array(const found_texts *found)
{
    if (found->count == 0)
        return PointerGetDatum(construct_empty_array(TEXTOID));
    return PointerGetDatum(construct_array(found->texts, found->count, TEXTOID, -1, false, TYPALIGN_INT));
}

MASTERING_FUNCTION(mastering_quantities)
{
    text_view value = values_characters(0, PG_GETARG_TEXT_PP(0));
    found_texts found = {NULL, 0, 0};
    char written[QUANTITY_LENGTH];
    uint32 place = 0;
    quantity quantity;

    while (quantity_next(value, &place, &quantity))
        add_text(&found, cstring_to_text_with_len(written, (int)quantity_write(&quantity, written)));
    PG_RETURN_DATUM(texts_array(&found));
}

MASTERING_FUNCTION(mastering_quantity)
{
    text_view value = values_characters(0, PG_GETARG_TEXT_PP(0));
    uint32 place = 0;
    quantity quantity;

    if (!quantity_next(value, &place, &quantity))
        PG_RETURN_NULL();
    PG_RETURN_FLOAT8(quantity.amount);
}

MASTERING_FUNCTION(mastering_model_numbers)
{
    text_view value = values_characters(0, PG_GETARG_TEXT_PP(0));
    found_texts found = {NULL, 0, 0};
    uint32 characters[MODEL_NUMBER_LENGTH], length, before, place = 0;

    while (model_number_next(value, &place, characters, &length, &before)) {
        add_text(&found, text_view_to_text((text_view){characters, length, 4}));
        if (before > 0)
            add_text(&found, text_view_to_text((text_view){characters, before, 4}));
    }
    PG_RETURN_DATUM(texts_array(&found));
}
