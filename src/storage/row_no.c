/*
 * row_no.c: numbers for the rows of a segment while it is written.
 */
#include "compat.h"

/* next_row_no(): 1 in the first call of an executed statement, then 2, 3, ... */
MASTERING_FUNCTION(mastering_next_row_no)
{
    int32 *number = fcinfo->flinfo->fn_extra;

    if (number == NULL)
        fcinfo->flinfo->fn_extra = number = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(int32));
    if (*number == PG_INT32_MAX)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("a segment has room for %d rows", PG_INT32_MAX)));
    PG_RETURN_INT32(++*number);
}
