/*
 * query.c: what can be said of a query text and of SQL expressions over its columns before anything runs.
 * Declared in record_store.h and query.h.
 */
#include "compat.h"

#include "catalog/namespace.h"
#include "engine/json_reader.h"
#include "engine/query.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/varlena.h"

/* The names of a query's columns, NULL at the end. */
static const char **
column_names(TupleDesc columns)
{
    const char **names = palloc((columns->natts + 1) * sizeof(char *));

    for (int i = 0; i < columns->natts; i++)
        names[i] = NameStr(TupleDescAttr(columns, i)->attname);
    names[columns->natts] = NULL;
    return names;
}

int
query_column(const query_shape *shape, const char *name)
{
    for (int i = 0; i < shape->columns->natts; i++)
        if (strcmp(NameStr(TupleDescAttr(shape->columns, i)->attname), name) == 0)
            return i;
    return -1;
}

void
query_refuse_relation_name(const char *text)
{
    List *parts, *names = NIL;
    ListCell *cell;

    if (!SplitIdentifierString(pstrdup(text), '.', &parts) || parts == NIL || list_length(parts) > 2)
        return;
    foreach (cell, parts)
        names = lappend(names, makeString(lfirst(cell)));
    if (OidIsValid(RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, true)))
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("the query must be one SELECT statement"),
                        errdetail("It is the name of a relation."), errhint("SELECT * FROM %s", text)));
}

/* The name of a column that may identify records by what it is called, or one for an example. */
static const char *
likely_id(TupleDesc columns)
{
    static const char *const endings[] = {"id", "key", "_no", "number"};

    for (int e = 0; e < lengthof(endings); e++)
        for (int i = 0; i < columns->natts; i++) {
            const char *name = NameStr(TupleDescAttr(columns, i)->attname);
            Size length = strlen(name), ending = strlen(endings[e]);

            if (length >= ending && pg_strcasecmp(name + length - ending, endings[e]) == 0)
                return name;
        }
    return "customer_no";
}

query_shape *
query_describe(const char *text)
{
    query_shape *shape = palloc0(sizeof(query_shape));
    MemoryContext context = CurrentMemoryContext;
    SPIPlanPtr plan;
    CachedPlanSource *source;
    RawStmt *statement;
    int start, length;

    query_refuse_relation_name(text);
    SPI_connect();
    plan = SPI_prepare(text, 0, NULL);
    if (plan == NULL)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
                        errmsg("the query cannot be used: %s", SPI_result_code_string(SPI_result))));
    if (list_length(SPI_plan_get_plan_sources(plan)) != 1)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("the query must be one SELECT statement"),
                        errdetail("Found %d statements.", list_length(SPI_plan_get_plan_sources(plan))),
                        errhint("Pass the text of one SELECT whose column \"id\" identifies the record.")));
    source = linitial(SPI_plan_get_plan_sources(plan));
    statement = source->raw_parse_tree;
    if (statement == NULL || !IsA(statement->stmt, SelectStmt) ||
        ((SelectStmt *)statement->stmt)->intoClause != NULL || source->resultDesc == NULL)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("the query must be one SELECT statement"),
                        errhint("Pass the text of one SELECT whose column \"id\" identifies the record.")));

    MemoryContextSwitchTo(context);
    start = statement->stmt_location < 0 ? 0 : statement->stmt_location;
    length = statement->stmt_len > 0 ? statement->stmt_len : (int)strlen(text) - start;
    shape->query = pnstrdup(text + start, length);
    shape->columns = CreateTupleDescCopy(source->resultDesc);
    SPI_finish();

    query_require_once(shape, "id");
    query_require_once(shape, "source");
    shape->has_source = query_column(shape, "source") >= 0;
    if (query_column(shape, "id") < 0)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("the query has no column \"id\""),
                        errdetail("Its columns are: %s.", join_names(column_names(shape->columns))),
                        errhint("Name the column that identifies a record: SELECT %s AS id, ...",
                                quote_identifier(likely_id(shape->columns)))));
    return shape;
}

void
query_require_once(const query_shape *shape, const char *name)
{
    int found = 0;

    for (int i = 0; i < shape->columns->natts; i++)
        found += strcmp(NameStr(TupleDescAttr(shape->columns, i)->attname), name) == 0;
    if (found > 1)
        ereport(ERROR,
                (errcode(ERRCODE_AMBIGUOUS_COLUMN),
                 errmsg("the query returns %d columns that are named \"%s\"", found, name),
                 errdetail("Its columns are: %s.", join_names(column_names(shape->columns))),
                 errhint("Give each a name of its own: SELECT a.%s, b.%s AS %s.", quote_identifier(name),
                         quote_identifier(name), quote_identifier(psprintf("%s_of_b", name)))));
}

/* ---- expressions ---- */

typedef struct column_check {
    const query_shape *shape;
    const char *missing; /* a column the query does not have */
} column_check;

static bool
check_columns(Node *node, void *context)
{
    column_check *check = context;

    if (node == NULL)
        return false;
    if (IsA(node, SubLink))
        return true; /* has columns of its own: left to the parser */
    if (IsA(node, ColumnRef)) {
        ColumnRef *reference = (ColumnRef *)node;
        Node *name = llast(reference->fields);

        if (list_length(reference->fields) <= 2 && IsA(name, String) && check->missing == NULL) {
            const char *column = strVal(name);

            if (list_length(reference->fields) == 1 && strcmp(column, "record") == 0)
                return false; /* the whole row */
            if (list_length(reference->fields) == 2 &&
                strcmp(strVal(linitial(reference->fields)), "record") != 0)
                return false;
            if (query_column(check->shape, column) < 0)
                check->missing = column;
        }
        return false;
    }
    return raw_expression_tree_walker(node, check_columns, context);
}

static void
expression_error(const char *path, const char *problem, const char *detail, const char *hint)
{
    json_node node = {{.type = jbvNull}, path};

    json_error(&node, problem, detail, hint);
}

void
query_check_column(const query_shape *shape, const char *column, const char *path)
{
    const char **names;

    query_require_once(shape, column);
    if (query_column(shape, column) >= 0)
        return;
    names = column_names(shape->columns);
    expression_error(path, psprintf("column \"%s\" does not exist in the query", column),
                     psprintf("The query's columns are: %s.", join_names(names)),
                     nearest_name_hint(column, names));
}

/* The one expression in a text, parsed but not analysed. */
static Node *
parse_expression(const char *expression, const char *path)
{
    List *statements = raw_parser(psprintf("SELECT %s", expression), RAW_PARSE_DEFAULT);
    SelectStmt *select;
    ResTarget *target;

    if (list_length(statements) != 1 || !IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
        expression_error(path, "expected one SQL expression", NULL, NULL);
    select = (SelectStmt *)linitial_node(RawStmt, statements)->stmt;
    if (list_length(select->targetList) != 1 || select->distinctClause != NIL || select->intoClause != NULL ||
        select->fromClause != NIL || select->whereClause != NULL || select->groupClause != NIL ||
        select->havingClause != NULL || select->windowClause != NIL || select->valuesLists != NIL ||
        select->sortClause != NIL || select->limitOffset != NULL || select->limitCount != NULL ||
        select->lockingClause != NIL || select->withClause != NULL || select->op != SETOP_NONE)
        expression_error(path, "expected one SQL expression", psprintf("Found: %s", expression),
                         "Write several parts of a key as an array of expressions: [\"surname\", \"city\"].");
    target = linitial(select->targetList);
    if (target->name != NULL)
        expression_error(path, "expected an SQL expression without a column alias",
                         psprintf("Found: %s", expression), NULL);
    return target->val;
}

/* Adds where an error in an expression comes from. */
static void
expression_context(void *argument)
{
    const char *const *place = argument;

    errcontext("expression \"%s\" at %s of the specification", place[0], place[1]);
}

Oid
query_check_expression(const query_shape *shape, const char *expression, const char *path)
{
    const char *place[2] = {expression, path};
    ErrorContextCallback callback = {error_context_stack, expression_context, (void *)place};
    column_check check = {shape, NULL};
    SPIPlanPtr plan;
    Oid type;

    error_context_stack = &callback;
    (void)check_columns(parse_expression(expression, path), &check);
    error_context_stack = callback.previous;
    if (check.missing != NULL)
        query_check_column(shape, check.missing, path);

    error_context_stack = &callback;
    SPI_connect();
    plan = SPI_prepare(psprintf("SELECT (%s\n) FROM (%s\n) AS record", expression, shape->query), 0, NULL);
    if (plan == NULL)
        elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    type = TupleDescAttr(((CachedPlanSource *)linitial(SPI_plan_get_plan_sources(plan)))->resultDesc, 0)
               ->atttypid;
    SPI_finish();
    error_context_stack = callback.previous;
    return type;
}

/* ---- which columns an expression reads ---- */

static bool
collect_columns(Node *node, void *context)
{
    List **names = context;

    if (node == NULL)
        return false;
    if (IsA(node, ColumnRef)) {
        Node *name = llast(((ColumnRef *)node)->fields);

        if (IsA(name, String))
            *names = lappend(*names, strVal(name));
        return false;
    }
    return raw_expression_tree_walker(node, collect_columns, context);
}

List *
query_expression_columns(const char *expression, const char *path)
{
    List *names = NIL;

    (void)collect_columns(parse_expression(expression, path), &names);
    return names;
}

char *
query_plain_column(const char *expression, const char *path)
{
    Node *node = parse_expression(expression, path);

    if (IsA(node, ColumnRef) && list_length(((ColumnRef *)node)->fields) == 1 &&
        IsA(linitial(((ColumnRef *)node)->fields), String))
        return strVal(linitial(((ColumnRef *)node)->fields));
    return NULL;
}
