/*
 * values_minhash.c: minhash_keys in SQL.
 */
#include "compat.h"

#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "kernel/minhash.h"

static uint32
checked_count(int32 count, const char *what, int most)
{
    if (count < 1 || count > most)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there cannot be %d %s", count, what),
                 errhint("Use a number of %s from 1 to %d.", what, most)));
    return (uint32)count;
}

MASTERING_FUNCTION(mastering_minhash_keys)
{
    ArrayType *elements = PG_GETARG_ARRAYTYPE_P(0);
    uint32 bands = checked_count(PG_GETARG_INT32(1), "bands", MINHASH_BANDS_MAX);
    uint32 rows = checked_count(PG_GETARG_INT32(2), "rows", MINHASH_ROWS_MAX);
    uint64 *minima = palloc(bands * rows * sizeof(uint64));
    uint64 *keys = palloc(bands * sizeof(uint64));
    Datum *result = palloc(bands * sizeof(Datum));
    ArrayIterator iterator = array_create_iterator(elements, 0, NULL);
    uint32 added = 0;
    Datum element;
    bool is_null;

    minhash_begin(minima, bands * rows);
    while (array_iterate(iterator, &element, &is_null)) {
        text *value;

        if (is_null)
            continue;
        value = DatumGetTextPP(element);
        minhash_add(minima, bands * rows, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
        if (++added % 1024 == 0)
            CHECK_FOR_INTERRUPTS();
    }
    array_free_iterator(iterator);

    /* A set of nothing is like no other set. */
    if (added == 0)
        PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT8OID));
    minhash_keys(minima, bands, rows, keys);
    for (uint32 i = 0; i < bands; i++)
        result[i] = Int64GetDatum((int64)keys[i]);
    PG_RETURN_ARRAYTYPE_P(
        construct_array(result, (int)bands, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
