/*
 * expect_rows.c: expect_rows(segments, columns, fixed, keys, rows): announces to the operating system what
 * a query is going to read of an index, so that pages that are in nobody's memory come from the disk side by
 * side. A scan of an index for many values reads one leaf after the other and waits for each. The pages of
 * the rows themselves are asked for by a bitmap scan; where there is none, rows says that they are to be
 * asked for, too.
 *
 * Where many values are wanted beside the pages of an index, nothing is asked for: their leaves lie one
 * behind the other, which the system notices by itself.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "sql/segment_rows.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

/* Below so many pages of the index for each value. */
#define PAGES_A_VALUE 2

/* The values of an array without its nulls, each behind the fixed one where there is one. */
static uint32
list_values(ArrayType *array, Datum fixed, int columns, Datum **values)
{
    Datum *elements;
    bool *nulls;
    int count;
    uint32 used = 0;
    TypeCacheEntry *type = lookup_type_cache(ARR_ELEMTYPE(array), 0);

    deconstruct_array(array, ARR_ELEMTYPE(array), type->typlen, type->typbyval, type->typalign, &elements,
                      &nulls, &count);
    *values =
        MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(count, 1), sizeof(Datum) * (Size)columns));
    for (int i = 0; i < count; i++) {
        if (nulls[i])
            continue;
        if (columns == 2)
            (*values)[used * 2] = fixed;
        (*values)[used++ * columns + columns - 1] = elements[i];
    }
    return used;
}

static RegProcedure
equality(Oid type)
{
    return type == TEXTOID ? F_TEXTEQ : type == INT4OID ? F_INT4EQ : type == INT8OID ? F_INT8EQ : InvalidOid;
}

static void
expect_places(segment_rows *rows, Oid type, const Datum *values, uint32 count)
{
    segment_places places = {0};

    for (uint32 i = 0; i < count; i++) {
        ScanKeyData keys[SEGMENT_KEYS];

        for (int k = 0; k < rows->key_count; k++)
            segment_key(rows, &keys[k], k, BTEqualStrategyNumber,
                        k + 1 < rows->key_count ? F_TEXTEQ : equality(type),
                        values[(Size)i * rows->key_count + k]);
        (void)segment_find(rows, keys, ForwardScanDirection, PG_UINT32_MAX, &places, 0, i);
    }
}

/* Of a segment that is read as a whole, or lies in a few pages, there is nothing to ask for. */
static void
expect_in_segment(int32 segment, const char *const *columns, int column_count, Oid type, const Datum *values,
                  uint32 count, bool with_rows)
{
    segment_rows rows;

    if (!segment_rows_try(&rows, segment, column_count, columns))
        return;
    if (TupleDescAttr(RelationGetDescr(rows.index), column_count - 1)->atttypid == type &&
        RelationGetNumberOfBlocks(rows.index) > (uint64)count * PAGES_A_VALUE) {
        segment_expect_many(&rows, values, count);
        if (with_rows)
            expect_places(&rows, type, values, count);
    }
    segment_rows_close(&rows);
}

MASTERING_FUNCTION(mastering_expect_rows)
{
    const char *columns[SEGMENT_KEYS];
    Datum *names, *values, *segments;
    int column_count, segment_count;
    uint32 count;

    if (effective_io_concurrency == 0 || PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
        PG_RETURN_VOID();
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &names, NULL,
                      &column_count);
    if (column_count != (PG_ARGISNULL(2) ? 1 : 2))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("the values that are wanted are those of one column, or of a second one")));
    for (int i = 0; i < column_count; i++)
        columns[i] = TextDatumGetCString(names[i]);
    count = list_values(PG_GETARG_ARRAYTYPE_P(3), PG_ARGISNULL(2) ? (Datum)0 : PG_GETARG_DATUM(2),
                        column_count, &values);
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, sizeof(int32), true, TYPALIGN_INT, &segments, NULL,
                      &segment_count);
    for (int i = 0; i < segment_count && count > 0; i++)
        expect_in_segment(DatumGetInt32(segments[i]), columns, column_count,
                          ARR_ELEMTYPE(PG_GETARG_ARRAYTYPE_P(3)), values, count,
                          !PG_ARGISNULL(4) && PG_GETARG_BOOL(4) &&
                              OidIsValid(equality(ARR_ELEMTYPE(PG_GETARG_ARRAYTYPE_P(3)))));
    PG_RETURN_VOID();
}
