/*
 * content_state.c: the state behind the content hash of loaded data: a hash of the multiset of its rows (see
 * kernel/multiset_hash.h), so that a load which changes a thousand of ten million rows hashes these and no
 * others.
 */
#include "compat.h"

#include "kernel/multiset_hash.h"
#include "kernel/sha256.h"
#include "utils/builtins.h"

static multiset_hash *
state_argument(FunctionCallInfo fcinfo, int n)
{
    bytea *bytes = PG_GETARG_BYTEA_PP(n);
    multiset_hash *state = palloc(sizeof(multiset_hash));

    if (VARSIZE_ANY_EXHDR(bytes) != MULTISET_HASH_BYTES)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid state of a content hash"),
                 errdetail("It has %d bytes, not %d.", (int)VARSIZE_ANY_EXHDR(bytes), MULTISET_HASH_BYTES)));
    multiset_hash_read(state, (const uint8_t *)VARDATA_ANY(bytes));
    return state;
}

static bytea *
state_result(const multiset_hash *state)
{
    bytea *result = palloc(VARHDRSZ + MULTISET_HASH_BYTES);

    SET_VARSIZE(result, VARHDRSZ + MULTISET_HASH_BYTES);
    multiset_hash_write(state, (uint8_t *)VARDATA(result));
    return result;
}

/* Transition function of content_state(row_hash). */
MASTERING_FUNCTION(mastering_content_state_add)
{
    MemoryContext aggregate_context;
    multiset_hash *state;

    if (!AggCheckCallContext(fcinfo, &aggregate_context))
        elog(ERROR, "content_state_add called outside an aggregate");
    if (PG_ARGISNULL(0))
        state = MemoryContextAllocZero(aggregate_context, sizeof(multiset_hash));
    else
        state = (multiset_hash *)PG_GETARG_POINTER(0);
    if (!PG_ARGISNULL(1)) {
        bytea *digest = PG_GETARG_BYTEA_PP(1);

        if (VARSIZE_ANY_EXHDR(digest) != SHA256_BYTES)
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("a row's hash has %d bytes", SHA256_BYTES)));
        multiset_hash_add(state, (const uint8_t *)VARDATA_ANY(digest));
    }
    PG_RETURN_POINTER(state);
}

MASTERING_FUNCTION(mastering_content_state_final)
{
    static const multiset_hash no_rows;

    PG_RETURN_BYTEA_P(state_result(PG_ARGISNULL(0) ? &no_rows : (multiset_hash *)PG_GETARG_POINTER(0)));
}

/* content_state_change(state, added, removed): the state of the rows less some, with others. */
MASTERING_FUNCTION(mastering_content_state_change)
{
    multiset_hash *state = state_argument(fcinfo, 0);

    multiset_hash_add_all(state, state_argument(fcinfo, 1));
    multiset_hash_remove_all(state, state_argument(fcinfo, 2));
    PG_RETURN_BYTEA_P(state_result(state));
}
