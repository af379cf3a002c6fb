/*
 * models.c: model_not_local: what keeps a model's verdicts from depending on it and the records alone.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "engine/frozen.h"
#include "sql/arguments.h"
#include "utils/array.h"
#include "utils/builtins.h"

MASTERING_FUNCTION(mastering_model_not_local)
{
    List *reasons = model_not_local(spec_argument(fcinfo, 0, "model"));
    Datum *texts = palloc((list_length(reasons) + 1) * sizeof(Datum));
    int count = 0;
    ListCell *cell;

    foreach (cell, reasons)
        texts[count++] = CStringGetTextDatum(lfirst(cell));
    PG_RETURN_ARRAYTYPE_P(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
}
