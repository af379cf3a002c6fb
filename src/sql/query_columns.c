/*
 * query_columns.c: what a query given as text is made of, found out without running it.
 *
 * For the set functions written in SQL and PL/pgSQL, which put the caller's text into a statement of
 * their own. A text that passes is one SELECT (VALUES and TABLE count as such) that only reads: no INTO,
 * no row locks, no data-modifying WITH. Names are resolved under the search_path in force, so a function
 * that calls this for its caller must not have a search_path of its own.
 *
 * Analysis takes the locks that any reading of the relations takes; privileges are checked when the
 * statement runs.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "engine/query.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

/* The text under examination, for the context of errors. */
typedef struct examined_query {
    const char *text;
    const char *argument; /* the parameter that the user gave it in */
} examined_query;

/* Makes the position of a syntax error point into the text given, not into the statement that called. */
static void
query_error_context(void *arg)
{
    examined_query *examined = arg;
    int position = geterrposition();

    if (position > 0) {
        errposition(0);
        internalerrposition(position);
        internalerrquery(examined->text);
    }
    errcontext("the query in argument \"%s\"", examined->argument);
}

/* Returns the one raw statement of the text, or reports why there is none that can be used. */
static RawStmt *
parse_one_select(const examined_query *examined)
{
    List *statements;
    RawStmt *statement;

    query_refuse_relation_name(examined->text);
    statements = raw_parser(examined->text, RAW_PARSE_DEFAULT);

    if (list_length(statements) != 1)
        ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR),
                errmsg("argument \"%s\" must be one SELECT", examined->argument),
                errdetail("The text holds %d statements.", list_length(statements)),
                errhint("Give the text of a single SELECT, for example 'SELECT * FROM people'."));
    statement = linitial_node(RawStmt, statements);

    if (!IsA(statement->stmt, SelectStmt))
        ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR),
                errmsg("argument \"%s\" must be one SELECT", examined->argument),
                errdetail("The text is another kind of statement."),
                errhint("Give the text of a single SELECT, for example 'SELECT * FROM people'."));
    return statement;
}

/* Analyses the statement and refuses whatever does more than read. */
static Query *
analyze_read_only(RawStmt *statement, const examined_query *examined)
{
    Query *query = parse_analyze_fixedparams(statement, examined->text, NULL, 0, NULL);

    if (query->commandType != CMD_SELECT || query->utilityStmt != NULL)
        ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR),
                errmsg("argument \"%s\" must only read", examined->argument),
                errdetail("The text is a SELECT INTO."), errhint("Leave out the INTO clause."));
    if (query->hasModifyingCTE)
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("argument \"%s\" must only read", examined->argument),
                errdetail("A WITH clause of the query modifies data."),
                errhint("Run the modification first, as a statement of its own."));
    if (query->rowMarks != NIL)
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("argument \"%s\" must only read", examined->argument),
                errdetail("The query locks rows (FOR UPDATE or FOR SHARE)."),
                errhint("Leave out the locking clause."));
    return query;
}

/*
 * query_columns(query text, argument text) → (position, name, type, sortable): the columns of the query,
 * in order. sortable: the type has an order of its own, so its values can be compared and grouped.
 */
MASTERING_FUNCTION(mastering_query_columns)
{
    ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
    examined_query examined;
    ErrorContextCallback callback = {.callback = query_error_context, .arg = &examined};
    Query *query;
    ListCell *cell;

    examined.argument = PG_ARGISNULL(1) ? "query" : text_to_cstring(PG_GETARG_TEXT_PP(1));
    if (PG_ARGISNULL(0))
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                errmsg("argument \"%s\" must not be NULL", examined.argument),
                errhint("Give the text of a single SELECT, for example 'SELECT * FROM people'."));
    examined.text = text_to_cstring(PG_GETARG_TEXT_PP(0));
    InitMaterializedSRF(fcinfo, 0);

    callback.previous = error_context_stack;
    error_context_stack = &callback;
    query = analyze_read_only(parse_one_select(&examined), &examined);
    error_context_stack = callback.previous;

    foreach (cell, query->targetList) {
        TargetEntry *column = lfirst_node(TargetEntry, cell);
        Oid type = exprType((Node *)column->expr);
        Datum values[4];
        bool nulls[4] = {false};

        if (column->resjunk)
            continue;
        values[0] = Int32GetDatum(column->resno);
        values[1] = CStringGetTextDatum(column->resname);
        values[2] = ObjectIdGetDatum(type);
        /* Whether the fields of an anonymous record have an order is not known before it is seen. */
        values[3] = BoolGetDatum(type != RECORDOID && type != RECORDARRAYOID &&
                                 OidIsValid(lookup_type_cache(type, TYPECACHE_LT_OPR)->lt_opr));
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return (Datum)0;
}

/*
 * query_body(query text, argument text) → text: the text without its closing semicolon and what follows
 * it, so that it can stand between parentheses. Put a line break after it: it may end in a comment.
 */
MASTERING_FUNCTION(mastering_query_body)
{
    examined_query examined;
    ErrorContextCallback callback = {.callback = query_error_context, .arg = &examined};
    RawStmt *statement;
    int length;

    examined.text = text_to_cstring(PG_GETARG_TEXT_PP(0));
    examined.argument = text_to_cstring(PG_GETARG_TEXT_PP(1));

    callback.previous = error_context_stack;
    error_context_stack = &callback;
    statement = parse_one_select(&examined);
    error_context_stack = callback.previous;

    /* A length of 0 means: to the end of the text. */
    length =
        statement->stmt_len > 0 ? statement->stmt_len : (int)strlen(examined.text) - statement->stmt_location;
    PG_RETURN_TEXT_P(cstring_to_text_with_len(examined.text + statement->stmt_location, length));
}
