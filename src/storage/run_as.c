/*
 * run_as.c: runs the SQL text that an artifact holds, with the rights of its environment's owner and no
 * others.
 *
 * SET ROLE is refused inside SECURITY DEFINER functions, and what it would set could be set back by the text.
 * Here the user is switched in C from analysis to the last row, as a security-restricted operation and
 * read-only, and the rows are kept in a tuplestore, so that whoever asked works on with rows and not with
 * somebody's query.
 */
#include "compat.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "storage/run_as.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"

/* One SELECT and nothing else; unless trusted, no volatile function in it or in the views that it reads. */
static void
check_statement(SPIPlanPtr plan, bool trusted)
{
    List *sources = SPI_plan_get_plan_sources(plan);
    CachedPlanSource *source;
    ListCell *cell;

    if (list_length(sources) != 1)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("one SELECT is wanted, not %d statements", list_length(sources))));
    source = linitial_node(CachedPlanSource, sources);
    foreach (cell, source->query_list) {
        Query *query = lfirst_node(Query, cell);

        if (query->commandType != CMD_SELECT || query->hasModifyingCTE || query->rowMarks != NIL)
            ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                            errmsg("only a SELECT that changes and locks nothing is allowed here")));
        if (!trusted && contain_volatile_functions((Node *)query))
            ereport(ERROR,
                    (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                     errmsg("volatile functions are not allowed here"),
                     errdetail("A mapping, rule or check must give the same result whenever it is run.")));
    }
}

typedef struct RunText {
    const char *query;
    const char *role;
} RunText;

/*
 * Settings that STABLE functions and casts ask for, at PostgreSQL's own defaults: what an artifact's text
 * gives must not hang on whose session runs it. Times and floats are settled by the functions that call us.
 */
static void
pin_settings(void)
{
    static const char *const pinned[][2] = {{"default_text_search_config", "pg_catalog.simple"},
                                            {"lc_monetary", "C"},
                                            {"lc_numeric", "C"},
                                            {"lc_time", "C"},
                                            {"timezone_abbreviations", "Default"},
                                            {"xmlbinary", "base64"},
                                            {"xmloption", "content"}};

    for (size_t i = 0; i < lengthof(pinned); i++)
        if (strcmp(GetConfigOption(pinned[i][0], false, false), pinned[i][1]) != 0)
            (void)set_config_option(pinned[i][0], pinned[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                                    true, 0, false);
}

Disguise
put_on(Oid role, const char *search_path)
{
    Disguise before;

    GetUserIdAndSecContext(&before.user, &before.security_context);
    before.nest_level = NewGUCNestLevel();
    (void)set_config_option("search_path", search_path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                            false);
    pin_settings();
    SetUserIdAndSecContext(role, before.security_context | SECURITY_LOCAL_USERID_CHANGE |
                                     SECURITY_RESTRICTED_OPERATION);
    return before;
}

void
take_off(Disguise before)
{
    AtEOXact_GUC(false, before.nest_level); /* what the text has set ends with it */
    SetUserIdAndSecContext(before.user, before.security_context);
}

static void
describe_run(void *argument)
{
    RunText *run = argument;

    errcontext("query run as role \"%s\": %s", run->role, run->query);
}

/* query_as(role, query, search_path, trusted): the rows of a query, run with the rights of the role. */
MASTERING_FUNCTION(mastering_query_as)
{
    ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
    RunText run = {text_to_cstring(PG_GETARG_TEXT_PP(1)), NameStr(*PG_GETARG_NAME(0))};
    char *search_path = text_to_cstring(PG_GETARG_TEXT_PP(2));
    bool trusted = PG_GETARG_BOOL(3);
    bool read_only = XactReadOnly;
    Disguise before;
    Oid role = get_role_oid(run.role, false);
    MemoryContext per_query;
    Tuplestorestate *store;
    TupleDesc descriptor;
    ErrorContextCallback context;

    if (result == NULL || !IsA(result, ReturnSetInfo) || (result->allowedModes & SFRM_Materialize) == 0 ||
        result->expectedDesc == NULL)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("query_as is called in FROM, with a list of its columns")));

    per_query = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
    descriptor = CreateTupleDescCopy(result->expectedDesc);
    store = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
    MemoryContextSwitchTo(per_query);

    context.callback = describe_run;
    context.arg = &run;
    context.previous = error_context_stack;
    PG_TRY();
    {
        DestReceiver *receiver = CreateDestReceiver(DestTuplestore);
        SPIExecuteOptions options = {.read_only = true, .dest = receiver};
        SPIPlanPtr plan;

        error_context_stack = &context; /* not before PG_TRY, whose end goes back to what it found */
        before = put_on(role, search_path);
        XactReadOnly = true;
        SetTuplestoreDestReceiverParams(receiver, store, result->econtext->ecxt_per_query_memory, true,
                                        descriptor, "the query does not give the columns that are wanted");
        SPI_connect();
        plan = SPI_prepare(run.query, 0, NULL);
        if (plan == NULL)
            elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
        check_statement(plan, trusted);
        if (SPI_execute_plan_extended(plan, &options) < 0)
            elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(SPI_result));
        SPI_finish();
        receiver->rDestroy(receiver);
        take_off(before);
    }
    PG_FINALLY();
    {
        XactReadOnly = read_only;
    }
    PG_END_TRY();

    result->returnMode = SFRM_Materialize;
    result->setResult = store;
    result->setDesc = descriptor;
    return (Datum)0;
}

/* ---- what a text rests on ---- */

static bool
note_function(Oid function, void *context)
{
    List **found = context;

    if (func_volatile(function) != PROVOLATILE_IMMUTABLE)
        *found = list_append_unique_oid(*found, function);
    return false;
}

typedef struct Dependencies {
    List *relations;
    List *functions; /* those that are not immutable */
    bool session;    /* CURRENT_USER, CURRENT_DATE and their like */
} Dependencies;

static bool
find_dependencies(Node *node, void *context)
{
    Dependencies *found = context;

    if (node == NULL)
        return false;
    if (IsA(node, SQLValueFunction))
        found->session = true;
    check_functions_in_node(node, note_function, &found->functions);
    if (IsA(node, Query)) {
        ListCell *cell;

        foreach (cell, ((Query *)node)->rtable) {
            RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

            if (entry->rtekind == RTE_RELATION)
                found->relations = list_append_unique_oid(found->relations, entry->relid);
        }
        return query_tree_walker((Query *)node, find_dependencies, context, 0);
    }
    return expression_tree_walker(node, find_dependencies, context);
}

static void
put_dependency(Tuplestorestate *store, TupleDesc descriptor, const char *kind, Oid object)
{
    Datum values[] = {CStringGetTextDatum(kind), ObjectIdGetDatum(object)};
    bool nulls[] = {false, false};

    tuplestore_putvalues(store, descriptor, values, nulls);
}

/*
 * query_dependencies(role, query, search_path): the relations that a query names, the functions in it that
 * are not immutable, and a row of kind session where it asks for the session's user or time. Views are named,
 * not looked into.
 */
MASTERING_FUNCTION(mastering_query_dependencies)
{
    char *query = text_to_cstring(PG_GETARG_TEXT_PP(1));
    ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
    Dependencies found = {NIL, NIL, false};
    List *parsed;
    Disguise before;
    ListCell *cell;

    InitMaterializedSRF(fcinfo, 0);
    before = put_on(get_role_oid(NameStr(*PG_GETARG_NAME(0)), false), text_to_cstring(PG_GETARG_TEXT_PP(2)));
    parsed = raw_parser(query, RAW_PARSE_DEFAULT);
    foreach (cell, parsed)
        find_dependencies((Node *)parse_analyze_fixedparams(lfirst_node(RawStmt, cell), query, NULL, 0, NULL),
                          &found);
    take_off(before);
    foreach (cell, found.relations)
        put_dependency(result->setResult, result->setDesc, "relation", lfirst_oid(cell));
    foreach (cell, found.functions)
        put_dependency(result->setResult, result->setDesc, "function", lfirst_oid(cell));
    if (found.session)
        put_dependency(result->setResult, result->setDesc, "session", InvalidOid);
    return (Datum)0;
}

static bool
has_subquery(Node *node, void *context)
{
    if (node == NULL)
        return false;
    if (IsA(node, SubLink))
        return true;
    return raw_expression_tree_walker(node, has_subquery, context);
}

/*
 * is_expression(text): whether the grammar takes it as one expression without subqueries, so that "1) FROM
 * secrets --" is not pasted between parentheses. Raw parsing only: no name is looked up.
 */
MASTERING_FUNCTION(mastering_is_expression)
{
    List *parsed = raw_parser(text_to_cstring(PG_GETARG_TEXT_PP(0)), RAW_PARSE_PLPGSQL_EXPR);
    SelectStmt *select;

    if (list_length(parsed) != 1)
        PG_RETURN_BOOL(false);
    select = (SelectStmt *)linitial_node(RawStmt, parsed)->stmt;
    PG_RETURN_BOOL(
        IsA(select, SelectStmt) && select->op == SETOP_NONE && list_length(select->targetList) == 1 &&
        linitial_node(ResTarget, select->targetList)->name == NULL && select->fromClause == NIL &&
        select->whereClause == NULL && select->groupClause == NIL && select->havingClause == NULL &&
        select->windowClause == NIL && select->sortClause == NIL && select->limitCount == NULL &&
        select->limitOffset == NULL && select->lockingClause == NIL && select->distinctClause == NIL &&
        !has_subquery((Node *)select->targetList, NULL));
}

static bool
note_column(Node *node, void *context)
{
    List **names = context;

    if (node == NULL)
        return false;
    if (IsA(node, ColumnRef)) {
        Node *last = llast(((ColumnRef *)node)->fields);

        *names = lappend(*names, makeString(IsA(last, String) ? strVal(last) : pstrdup("*")));
        return false;
    }
    return raw_expression_tree_walker(node, note_column, context);
}

/*
 * expression_columns(text): the names of the columns, or of whole rows, that an expression refers to; "*"
 * where it takes all there are. Raw parsing only, so that a name may be one of nothing.
 */
MASTERING_FUNCTION(mastering_expression_columns)
{
    List *parsed = raw_parser(text_to_cstring(PG_GETARG_TEXT_PP(0)), RAW_PARSE_PLPGSQL_EXPR), *names = NIL;
    ArrayBuildState *result = initArrayResult(TEXTOID, CurrentMemoryContext, false);
    ListCell *cell;

    foreach (cell, parsed)
        note_column(lfirst_node(RawStmt, cell)->stmt, &names);
    foreach (cell, names)
        accumArrayResult(result, CStringGetTextDatum(strVal(lfirst(cell))), false, TEXTOID,
                         CurrentMemoryContext);
    PG_RETURN_DATUM(makeArrayResult(result, CurrentMemoryContext));
}
