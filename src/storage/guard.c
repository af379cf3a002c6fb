/*
 * guard.c: the door between a user's call and the functions that work with the rights of the extension's
 * owner.
 *
 * In a SECURITY DEFINER function nobody can tell who called it: current_user is the owner already, and
 * session_user is wrong when the call comes from somebody's own SECURITY DEFINER function or from a trigger
 * or an index expression run by a superuser, which would then act with the superuser's rights in our eyes. So
 * the public functions are C: mastering.promote(…) is mastering_guard(), which notes current_user as the
 * caller, becomes the owner of mastering.do_promote(…), a function of the same arguments that no user may
 * call, and calls that. The functions behind the door ask mastering.caller() and check what that role may do.
 */
#include "compat.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "parser/parse_expr.h"
#include "parser/parse_func.h"
#include "parser/parser.h"
#include "storage/guard.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"

typedef struct GuardedFunction {
    FmgrInfo function;
    Oid owner;
} GuardedFunction;

static Oid caller = InvalidOid;

Oid
mastering_guard_caller(void)
{
    return caller;
}

static pg_noinline GuardedFunction *
find_guarded_function(FmgrInfo *flinfo)
{
    GuardedFunction *guarded;
    HeapTuple tuple;
    Form_pg_proc function;
    Oid twin;

    if (flinfo->fn_extra != NULL)
        return flinfo->fn_extra;
    guarded = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(GuardedFunction));
    tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(flinfo->fn_oid));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for function %u", flinfo->fn_oid);
    function = (Form_pg_proc)GETSTRUCT(tuple);
    twin = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
                           CStringGetDatum(psprintf("do_%s", NameStr(function->proname))),
                           PointerGetDatum(&function->proargtypes), ObjectIdGetDatum(function->pronamespace));
    if (!OidIsValid(twin))
        elog(ERROR, "function \"%s\" has nothing behind its door", NameStr(function->proname));
    ReleaseSysCache(tuple);

    tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(twin));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for function %u", twin);
    guarded->owner = ((Form_pg_proc)GETSTRUCT(tuple))->proowner;
    ReleaseSysCache(tuple);
    fmgr_info_cxt(twin, &guarded->function, flinfo->fn_mcxt);
    flinfo->fn_extra = guarded;
    return guarded;
}

/*
 * What a text means must not hang on the session that it is run in: with standard_conforming_strings = off a
 * loader would map records otherwise than the artifact says, under the artifact's hash, and an expression
 * that was one when it was checked would be something else when it is run. Returns the level of settings to
 * go back to; 0 where all are what they are nearly always, so that nothing is to be done.
 */
static pg_noinline int
pin_grammar(void)
{
    static const char *const pinned[][2] = {{"standard_conforming_strings", "on"},
                                            {"transform_null_equals", "off"},
                                            {"array_nulls", "on"},
                                            {"quote_all_identifiers", "off"}};
    int level;

    if (standard_conforming_strings && !Transform_null_equals && Array_nulls && !quote_all_identifiers)
        return 0;
    level = NewGUCNestLevel();
    for (size_t i = 0; i < lengthof(pinned); i++)
        (void)set_config_option(pinned[i][0], pinned[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
                                0, false);
    return level;
}

MASTERING_FUNCTION(mastering_guard)
{
    GuardedFunction *guarded = find_guarded_function(fcinfo->flinfo);
    FunctionCallInfo inner = palloc0(SizeForFunctionCallInfo(fcinfo->nargs));
    Oid outer_caller = caller;
    Oid user;
    int security_context;
    int grammar;
    Datum result;

    InitFunctionCallInfoData(*inner, &guarded->function, fcinfo->nargs, fcinfo->fncollation, NULL,
                             fcinfo->resultinfo);
    memcpy(inner->args, fcinfo->args, sizeof(NullableDatum) * fcinfo->nargs);

    grammar = pin_grammar();
    GetUserIdAndSecContext(&user, &security_context);
    PG_TRY();
    {
        caller = user;
        SetUserIdAndSecContext(guarded->owner, security_context | SECURITY_LOCAL_USERID_CHANGE);
        result = FunctionCallInvoke(inner);
        SetUserIdAndSecContext(user, security_context);
    }
    PG_FINALLY();
    {
        caller = outer_caller; /* after an error the transaction's end restores the user */
    }
    PG_END_TRY();
    if (grammar != 0)
        AtEOXact_GUC(true, grammar);
    fcinfo->isnull = inner->isnull;
    return result;
}

/* caller(): the role that called the guarded function that is running; outside of any, current_user. */
MASTERING_FUNCTION(mastering_caller)
{
    PG_RETURN_NAME(DatumGetName(DirectFunctionCall1(
        namein, CStringGetDatum(GetUserNameFromId(OidIsValid(caller) ? caller : GetUserId(), false)))));
}
