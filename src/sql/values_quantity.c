/*
 * values_quantity.c: quantities and model numbers of a text, in SQL.
 */
#include "compat.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "kernel/quantity_value.h"
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

/* Of a column: the last unit asked for, found once. */
static const unit_entry *
unit_argument(FunctionCallInfo fcinfo, text *name)
{
    typedef struct last_unit {
        const unit_entry *unit;
        int length;
        char name[QUANTITY_LENGTH];
    } last_unit;
    last_unit *last = fcinfo->flinfo->fn_extra;
    int length = (int)VARSIZE_ANY_EXHDR(name);

    if (last != NULL && last->length == length && memcmp(last->name, VARDATA_ANY(name), length) == 0)
        return last->unit;
    if (last == NULL)
        last = fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(last_unit));
    last->unit = quantity_unit_named(values_characters(1, name));
    if (last->unit == NULL)
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("unit \"%s\" is not known", text_to_cstring(name)),
             errhint("Name one of a measure, an amount of money or a count: mastering.quantity('1 h 52 min', "
                     "'min'), mastering.quantity('$ 12.99', 'usd').")));
    last->length = Min(length, QUANTITY_LENGTH);
    memcpy(last->name, VARDATA_ANY(name), last->length);
    if (length > QUANTITY_LENGTH)
        last->length = -1;
    return last->unit;
}

MASTERING_FUNCTION(mastering_quantity_in)
{
    const unit_entry *unit = unit_argument(fcinfo, PG_GETARG_TEXT_PP(1));
    double usual = PG_GETARG_FLOAT8(2);
    quantity_form form = {unit->base, PG_GETARG_BOOL(3)};
    quantity_value value;

    if (!quantity_value_read(values_characters(0, PG_GETARG_TEXT_PP(0)), &form, &value))
        PG_RETURN_NULL();
    PG_RETURN_FLOAT8(quantity_value_in(
        quantity_value_amount(&value, unit, isfinite(usual) ? usual * unit->factor : 0), unit));
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
