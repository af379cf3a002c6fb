/*
 * golden.c: the aggregate that makes the golden record of a cluster, and what takes its result apart.
 *
 * The state is the rows of one group, copied, and the plan, which is read once for all groups. The aggregate
 * does not care for the order of its input, runs no query and looks nothing up but types.
 */
#include "compat.h"

#include "access/htup_details.h"
#include "engine/survivorship.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#define ROWS_AT_FIRST 4

typedef struct golden_state {
    golden_plan *plan;
    uint32 count;
    uint32 capacity;
    HeapTupleHeader *rows;
    HeapTupleHeader first_rows[ROWS_AT_FIRST];
} golden_state;

/* The plan of this call: the one of the call before, unless it is another. */
static golden_plan *
current_plan(FmgrInfo *flinfo, Jsonb *document, HeapTupleHeader row)
{
    Oid type = HeapTupleHeaderGetTypeId(row);
    int32 typmod = HeapTupleHeaderGetTypMod(row);
    golden_plan *plan = flinfo->fn_extra;

    if (plan == NULL || !golden_plan_is(plan, document, type, typmod))
        flinfo->fn_extra = plan = golden_plan_read(document, type, typmod, flinfo->fn_mcxt);
    return plan;
}

/* golden_add(state internal, plan jsonb, record record) */
MASTERING_FUNCTION(mastering_golden_add)
{
    MemoryContext context;
    golden_state *state;
    HeapTupleHeader row;
    golden_plan *plan;
    Size length;

    if (!AggCheckCallContext(fcinfo, &context))
        elog(ERROR, "golden_add called outside an aggregate");
    if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("golden_agg takes no NULL")));
    row = PG_GETARG_HEAPTUPLEHEADER(2);
    plan = current_plan(fcinfo->flinfo, PG_GETARG_JSONB_P(1), row);
    if (PG_ARGISNULL(0)) {
        state = MemoryContextAllocZero(context, sizeof(golden_state));
        state->plan = plan;
        state->rows = state->first_rows;
        state->capacity = ROWS_AT_FIRST;
    } else
        state = (golden_state *)PG_GETARG_POINTER(0);
    if (plan != state->plan)
        ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                        errmsg("golden_agg takes one plan and records of one type for a group")));

    if (state->count == state->capacity) {
        HeapTupleHeader *rows;

        if (state->capacity > PG_UINT32_MAX / 2)
            ereport(ERROR,
                    (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("a cluster has too many records")));
        rows = MemoryContextAllocHuge(context, mul_size(sizeof(HeapTupleHeader) * 2, state->capacity));
        memcpy(rows, state->rows, sizeof(HeapTupleHeader) * state->count);
        if (state->rows != state->first_rows)
            pfree(state->rows);
        state->rows = rows;
        state->capacity *= 2;
    }
    length = HeapTupleHeaderGetDatumLength(row);
    state->rows[state->count] = MemoryContextAlloc(context, length);
    memcpy(state->rows[state->count++], row, length);
    PG_RETURN_POINTER(state);
}

MASTERING_FUNCTION(mastering_golden_final)
{
    golden_state *state;

    if (!AggCheckCallContext(fcinfo, NULL))
        elog(ERROR, "golden_final called outside an aggregate");
    if (PG_ARGISNULL(0))
        PG_RETURN_NULL();
    state = (golden_state *)PG_GETARG_POINTER(0);
    PG_RETURN_DATUM(golden_record(state->plan, state->rows, state->count));
}

typedef struct field_format {
    Oid type;
    int32 typmod;
    TupleDesc descriptor;
} field_format;

/* golden_field(golden record, place integer, like_this anyelement) → anyelement: a field of a row, in its own
 * type. */
MASTERING_FUNCTION(mastering_golden_field)
{
    HeapTupleHeader row;
    HeapTupleData tuple;
    field_format *format = fcinfo->flinfo->fn_extra;
    int place;
    Oid wanted = get_fn_expr_argtype(fcinfo->flinfo, 2);
    Datum value;
    bool null;

    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        PG_RETURN_NULL();
    row = PG_GETARG_HEAPTUPLEHEADER(0);
    place = PG_GETARG_INT32(1);
    if (format == NULL || format->type != HeapTupleHeaderGetTypeId(row) ||
        format->typmod != HeapTupleHeaderGetTypMod(row)) {
        MemoryContext caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

        format = palloc(sizeof(field_format));
        format->type = HeapTupleHeaderGetTypeId(row);
        format->typmod = HeapTupleHeaderGetTypMod(row);
        format->descriptor = lookup_rowtype_tupdesc_copy(format->type, format->typmod);
        fcinfo->flinfo->fn_extra = format;
        MemoryContextSwitchTo(caller);
    }
    if (place < 1 || place > format->descriptor->natts)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the row has no field %d", place)));
    if (TupleDescAttr(format->descriptor, place - 1)->atttypid != wanted &&
        getBaseType(TupleDescAttr(format->descriptor, place - 1)->atttypid) != wanted)
        ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                        errmsg("field %d is of type %s, not %s", place,
                               format_type_be(TupleDescAttr(format->descriptor, place - 1)->atttypid),
                               format_type_be(wanted))));
    tuple.t_len = HeapTupleHeaderGetDatumLength(row);
    ItemPointerSetInvalid(&tuple.t_self);
    tuple.t_tableOid = InvalidOid;
    tuple.t_data = row;
    value = heap_getattr(&tuple, place, format->descriptor, &null);
    if (null)
        PG_RETURN_NULL();
    PG_RETURN_DATUM(value);
}
