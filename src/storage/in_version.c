/*
 * in_version.c: the predicate that shows one version of a store through a fixed view.
 *
 *     CREATE VIEW prod.customer AS SELECT … FROM mastering.store_7 s
 *      WHERE mastering.in_version('prod.customer', s.segment_id, s.row_no);
 *
 * A store is LIST-partitioned by segment_id with the operator class mastering.segment_ops. At plan time the
 * support functions of this file turn the predicate into constants, in two steps:
 *
 *   1. in_version('prod.customer', s, r)  becomes  (s === 3 OR s === 9) AND NOT is_deleted('{3,9}', '{0,41}',
 * s, r) from the head of prod under the planning snapshot. Only live segments survive partition pruning.
 *   2. When the planner copies that to each segment, s === 3 is known there and becomes true, and is_deleted
 *      becomes false, or is_deleted(41, r) in the segment that has deletions. A segment without deletions is
 *      scanned with no filter at all.
 *
 * Invariants:
 *   - A statement sees one state of an environment across all its views: every call reads the head under the
 *     same snapshot (see head.c).
 *   - A plan is kept only while its head is the newest. The plan depends on the environment's anchor
 * relation, whose invalidation a new head sends; and since that can arrive before the plan is where
 * invalidations look for it, ExecutorStart (the plan is stored by then) compares the heads used with the
 * newest ones.
 *   - is_deleted is offered at no cost, so that the planner evaluates it before any qualification of the
 *     reader's: a function of the reader's own must not see rows that the version does not have. Segments
 * that are not live are not scanned at all.
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parse_func.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/sinval.h"
#include "utils/inval.h"
#include "storage/deletion_vector.h"
#include "storage/head.h"
#include "storage/in_version.h"
#include "storage/space.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "miscadmin.h"

/* More live segments than this are written as one = ANY (…), which is evaluated on every row. */
#define MAX_OR_SEGMENTS 32

static planner_hook_type previous_planner = NULL;
static ExecutorStart_hook_type previous_executor_start = NULL;
static get_relation_stats_hook_type previous_relation_stats = NULL;

/* ---- plans must not outlive their head -------------------------------------------------------------------
 */

/* Heads that the plans made since the last check were built on. */
typedef struct UsedHead {
    NameData environment;
    int64 generation;
} UsedHead;

#define MAX_USED_HEADS 16

static UsedHead used_heads[MAX_USED_HEADS];
static int used_head_count = 0;
static bool used_heads_overflow = false;
static int planning_depth = 0;

/* The plan made last names segments by number: those of a version that no head shows. */
static bool names_segments = false;

/* A plan is being made that began before this library was loaded, so that its nesting is unknown. */
static bool planned_unhooked = false;

static void
remember_used_head(const char *environment, int64 generation)
{
    if (planning_depth == 0)
        planned_unhooked = true;
    for (int i = 0; i < used_head_count; i++)
        if (used_heads[i].generation == generation &&
            strcmp(NameStr(used_heads[i].environment), environment) == 0)
            return;
    if (used_head_count == MAX_USED_HEADS) {
        used_heads_overflow = true;
        return;
    }
    namestrcpy(&used_heads[used_head_count].environment, environment);
    used_heads[used_head_count].generation = generation;
    used_head_count++;
}

/*
 * Called when a plan has been stored and is about to run. Drops this backend's cached plans if a head that
 * one of them may rest on is no longer the newest; running ones are kept alive by their reference counts.
 */
static bool
used_heads_are_stale(void)
{
    bool stale = used_heads_overflow;
    UsedHead heads[MAX_USED_HEADS];
    int count = used_head_count;

    memcpy(heads, used_heads, sizeof(UsedHead) * count);
    used_head_count = 0;
    used_heads_overflow = false;
    for (int i = 0; i < count && !stale; i++)
        stale = mastering_head_freshness(NameStr(heads[i].environment), heads[i].generation) != HEAD_SAME;
    if (stale)
        ResetPlanCache();
    return stale;
}

/* Once in a session at most: no plan survives that may have escaped the check. */
static void
end_transaction(XactEvent event, void *argument)
{
    if (planned_unhooked && (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)) {
        planned_unhooked = false;
        ResetPlanCache();
    }
}

static PlannedStmt *
plan_statement(Query *parse, const char *query_string, int cursor_options, ParamListInfo bound_params)
{
    PlannedStmt *result;

    if (planning_depth == 0)
        names_segments = false;
    planning_depth++;
    PG_TRY();
    {
        if (previous_planner)
            result = previous_planner(parse, query_string, cursor_options, bound_params);
        else
            result = standard_planner(parse, query_string, cursor_options, bound_params);
    }
    PG_FINALLY();
    {
        planning_depth--;
    }
    PG_END_TRY();
    return result;
}

static void
start_executor(QueryDesc *query, int eflags)
{
    /* A function that the planner evaluates must not take the check away from the plan being made. */
    if (planning_depth == 0) {
        /* What in_version() became names segments, too, but of a head, whose age is known. */
        bool own_statement = names_segments && used_head_count == 0;
        bool stale = used_head_count > 0 && used_heads_are_stale();

        if (stale || own_statement)
            mastering_check_segments(query->plannedstmt);
        names_segments = false;
    }
    if (previous_executor_start)
        previous_executor_start(query, eflags);
    else
        standard_ExecutorStart(query, eflags);
}

/* ---- the names of our own objects ------------------------------------------------------------------------
 */

static Oid
segment_operator(void)
{
    return OpernameGetOprid(list_make2(makeString("mastering"), makeString("===")), INT4OID, INT4OID);
}

static Oid
deletion_function(int nargs)
{
    Oid one[] = {INT8OID, INT4OID};
    Oid many[] = {INT4ARRAYOID, INT8ARRAYOID, INT4OID, INT4OID};

    return LookupFuncName(list_make2(makeString("mastering"), makeString("is_deleted")), nargs,
                          nargs == 2 ? one : many, false);
}

static Const *
int4_const(int32 value)
{
    return makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(value), false, true);
}

static Const *
array_const(Oid array_type, Oid element_type, Datum *elements, int count)
{
    int16 length;
    bool by_value;
    char alignment;
    ArrayType *array;

    get_typlenbyvalalign(element_type, &length, &by_value, &alignment);
    array = construct_array(elements, count, element_type, length, by_value, alignment);
    return makeConst(array_type, -1, InvalidOid, -1, PointerGetDatum(array), false, false);
}

/* ---- step 1: in_version becomes the list of live segments
 * -------------------------------------------------- */

static Node *
segment_is(Node *segment, int32 id, Oid operator)
{
    OpExpr *clause = (OpExpr *)make_opclause(operator, BOOLOID, false, (Expr *)copyObject(segment),
                                             (Expr *)int4_const(id), InvalidOid, InvalidOid);

    set_opfuncid(clause);
    return (Node *)clause;
}

static Node *
segment_is_live(Node *segment, const RelationVersion *version)
{
    Oid operator= segment_operator();
    List *alternatives = NIL;

    if (version->count <= MAX_OR_SEGMENTS) {
        for (int i = 0; i < version->count; i++)
            alternatives = lappend(alternatives, segment_is(segment, version->segments[i], operator));
        return list_length(alternatives) == 1 ? linitial(alternatives)
                                              : (Node *)makeBoolExpr(OR_EXPR, alternatives, -1);
    } else {
        ScalarArrayOpExpr *any = makeNode(ScalarArrayOpExpr);
        Datum *elements = palloc(sizeof(Datum) * version->count);

        for (int i = 0; i < version->count; i++)
            elements[i] = Int32GetDatum(version->segments[i]);
        any->opno = operator;
        set_sa_opfuncid(any);
        any->useOr = true;
        any->args =
            list_make2(copyObject(segment), array_const(INT4ARRAYOID, INT4OID, elements, version->count));
        any->location = -1;
        return (Node *)any;
    }
}

static Node *
row_is_kept(Node *segment, Node *row_no, const RelationVersion *version)
{
    Datum *segments = palloc(sizeof(Datum) * version->count);
    Datum *vectors = palloc(sizeof(Datum) * version->count);
    int count = 0;
    List *args;
    FuncExpr *deleted;

    for (int i = 0; i < version->count; i++)
        if (version->vectors[i] != 0) {
            segments[count] = Int32GetDatum(version->segments[i]);
            vectors[count++] = Int64GetDatum(version->vectors[i]);
        }
    if (count == 0)
        return NULL;
    if (version->count == 1)
        args =
            list_make2(makeConst(INT8OID, -1, InvalidOid, sizeof(int64), vectors[0], false, FLOAT8PASSBYVAL),
                       copyObject(row_no));
    else
        args = list_make4(array_const(INT4ARRAYOID, INT4OID, segments, count),
                          array_const(INT8ARRAYOID, INT8OID, vectors, count), copyObject(segment),
                          copyObject(row_no));
    deleted = makeFuncExpr(deletion_function(list_length(args)), BOOLOID, args, InvalidOid, InvalidOid,
                           COERCE_EXPLICIT_CALL);
    return (Node *)makeBoolExpr(NOT_EXPR, list_make1(deleted), -1);
}

static void
unknown_environment(const char *environment)
{
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("environment \"%s\" does not exist", environment),
             errhint("SELECT name FROM mastering.environments lists those that do.")));
}

/* Whether the relation cache knows all segments of the version as partitions of the store. */
static bool
segments_are_known(Oid store, const RelationVersion *version)
{
    Relation relation = table_open(store, NoLock); /* locked since the statement was analysed */
    PartitionDesc partitions = RelationGetPartitionDesc(relation, true);
    int missing = version->count;

    for (int i = 0; partitions->boundinfo != NULL && i < partitions->boundinfo->ndatums; i++)
        for (int j = 0; j < version->count; j++)
            if (DatumGetInt32(partitions->boundinfo->datums[i][0]) == version->segments[j])
                missing--;
    table_close(relation, NoLock);
    return missing == 0;
}

/*
 * A commit is visible before its invalidations are sent. So a statement can see a head and not yet know, from
 * its relation cache, the segment that was attached with it, and would leave the segment out as if it were
 * pruned. Whoever reads a head therefore makes sure of its segments, and looks the store up again if one is
 * missing.
 */
static void
ensure_segments(PlannerInfo *root, Node *segment, const RelationVersion *version, bool required)
{
    SharedInvalidationMessage message = {0};
    RangeTblEntry *rte;

    if (!IsA(segment, Var) || ((Var *)segment)->varlevelsup != 0 ||
        ((Var *)segment)->varno > list_length(root->parse->rtable))
        return;
    rte = rt_fetch(((Var *)segment)->varno, root->parse->rtable);
    if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_PARTITIONED_TABLE ||
        segments_are_known(rte->relid, version))
        return;
    InvalidateCatalogSnapshot();
    message.rc.id = SHAREDINVALRELCACHE_ID;
    message.rc.dbId = MyDatabaseId;
    message.rc.relId = rte->relid;
    LocalExecuteInvalidationMessage(&message);
    if (required && !segments_are_known(rte->relid, version))
        ereport(ERROR,
                (errcode(ERRCODE_DATA_CORRUPTED),
                 errmsg("a segment of relation \"%s\" is missing", get_rel_name(rte->relid)),
                 errdetail("The head of an environment names a segment that the store does not have.")));
}

static Node *
simplify_in_version(PlannerInfo *root, FuncExpr *call)
{
    Node *name = linitial(call->args);
    Node *segment = lsecond(call->args);
    Node *row_no = lthird(call->args);
    char *environment, *relation;
    RelationVersion version;
    HeadRow head;
    Oid anchor;
    Node *live, *kept;

    if (root == NULL || !ActiveSnapshotSet() || !IsA(name, Const) || ((Const *)name)->constisnull)
        return NULL;
    mastering_split_view_name(TextDatumGetCString(((Const *)name)->constvalue), &environment, &relation);
    if (!mastering_statement_head(environment, &head))
        unknown_environment(environment);

    anchor = get_relname_relid(head.anchor, mastering_namespace());
    if (OidIsValid(anchor))
        root->glob->relationOids = list_append_unique_oid(root->glob->relationOids, anchor);
    remember_used_head(environment, head.generation);

    if (!mastering_find_version(&head, relation, &version) || version.count == 0)
        return (Node *)makeBoolConst(false, false); /* nothing was published under that name yet */
    ensure_segments(root, segment, &version, true);
    live = segment_is_live(segment, &version);
    kept = row_is_kept(segment, row_no, &version);
    return kept == NULL ? live : (Node *)makeBoolExpr(AND_EXPR, list_make2(live, kept), -1);
}

/* ---- step 2: what is known once the planner has come to one segment
 * ---------------------------------------- */

/*
 * If the expression is the partition key of a store, translated to one of its segments, sets that segment's
 * number. The partition bound is what the segment's CHECK guarantees, so it may replace the column.
 */
static bool
known_segment(PlannerInfo *root, Node *node, int32 *segment_id)
{
    Var *var = (Var *)node;
    AppendRelInfo *child;
    RangeTblEntry *rte, *parent;
    Relation store;
    PartitionKey key;
    AttrNumber key_column;
    HeapTuple tuple;
    Datum bound;
    bool isnull, result = false;

    if (root == NULL || !IsA(node, Var) || var->varlevelsup != 0 || var->varattno <= 0 ||
        root->append_rel_array == NULL || var->varno >= root->simple_rel_array_size ||
        (child = root->append_rel_array[var->varno]) == NULL)
        return false;
    rte = root->simple_rte_array[var->varno];
    parent = root->simple_rte_array[child->parent_relid];
    if (rte->rtekind != RTE_RELATION || parent->rtekind != RTE_RELATION ||
        parent->relkind != RELKIND_PARTITIONED_TABLE || child->num_child_cols < var->varattno)
        return false;

    store = table_open(parent->relid, NoLock); /* locked since the statement was analysed */
    key = RelationGetPartitionKey(store);
    key_column = key->strategy == PARTITION_STRATEGY_LIST && key->partnatts == 1 ? key->partattrs[0] : 0;
    table_close(store, NoLock);
    if (key_column <= 0 || child->parent_colnos[var->varattno - 1] != key_column)
        return false;

    tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(rte->relid));
    if (!HeapTupleIsValid(tuple))
        return false;
    bound = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &isnull);
    if (!isnull) {
        PartitionBoundSpec *spec = stringToNode(TextDatumGetCString(bound));

        if (!spec->is_default && list_length(spec->listdatums) == 1) {
            Const *datum = linitial_node(Const, spec->listdatums);

            if (datum->consttype == INT4OID && !datum->constisnull) {
                *segment_id = DatumGetInt32(datum->constvalue);
                result = true;
            }
        }
    }
    ReleaseSysCache(tuple);
    return result;
}

static Node *
simplify_segment_equality(PlannerInfo *root, FuncExpr *call)
{
    Node *value = lsecond(call->args);
    int32 segment_id;

    if (root == NULL || !IsA(value, Const) || ((Const *)value)->constisnull)
        return NULL;
    if (!known_segment(root, linitial(call->args), &segment_id)) {
        int64 no_vector = 0;
        RelationVersion one = {1, &segment_id, &no_vector};

        /* The store itself: our own statements name the segments of a version like this. */
        names_segments = true;
        segment_id = DatumGetInt32(((Const *)value)->constvalue);
        ensure_segments(root, linitial(call->args), &one, false);
        return NULL;
    }
    return (Node *)makeBoolConst(DatumGetInt32(((Const *)value)->constvalue) == segment_id, false);
}

static Node *
simplify_is_deleted_in(PlannerInfo *root, FuncExpr *call)
{
    Node *segments = linitial(call->args);
    Node *vectors = lsecond(call->args);
    int32 segment_id;
    ArrayType *ids, *bitmaps;
    int count;

    if (!IsA(segments, Const) || ((Const *)segments)->constisnull || !IsA(vectors, Const) ||
        ((Const *)vectors)->constisnull || !known_segment(root, lthird(call->args), &segment_id))
        return NULL;
    ids = DatumGetArrayTypeP(((Const *)segments)->constvalue);
    bitmaps = DatumGetArrayTypeP(((Const *)vectors)->constvalue);
    count = ArrayGetNItems(ARR_NDIM(ids), ARR_DIMS(ids));
    if (count != ArrayGetNItems(ARR_NDIM(bitmaps), ARR_DIMS(bitmaps)) || ARR_HASNULL(ids) ||
        ARR_HASNULL(bitmaps))
        return NULL;
    for (int i = 0; i < count; i++)
        if (((int32 *)ARR_DATA_PTR(ids))[i] == segment_id) {
            Const *vector =
                makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
                          Int64GetDatum(((int64 *)ARR_DATA_PTR(bitmaps))[i]), false, FLOAT8PASSBYVAL);

            return (Node *)makeFuncExpr(deletion_function(2), BOOLOID,
                                        list_make2(vector, lfourth(call->args)), InvalidOid, InvalidOid,
                                        COERCE_EXPLICIT_CALL);
        }
    return (Node *)makeBoolConst(false, false);
}

/* ---- support functions ----------------------------------------------------------------------------------
 */

/* Of in_version: simplification; and, where that was not possible, an even guess at the selectivity. */
MASTERING_FUNCTION(mastering_in_version_support)
{
    Node *request = (Node *)PG_GETARG_POINTER(0);

    if (IsA(request, SupportRequestSimplify)) {
        SupportRequestSimplify *simplify = (SupportRequestSimplify *)request;

        PG_RETURN_POINTER(simplify_in_version(simplify->root, simplify->fcall));
    }
    if (IsA(request, SupportRequestSelectivity)) {
        ((SupportRequestSelectivity *)request)->selectivity = 0.5;
        PG_RETURN_POINTER(request);
    }
    PG_RETURN_POINTER(NULL);
}

/* Of the operator ===. */
MASTERING_FUNCTION(mastering_segment_eq_support)
{
    Node *request = (Node *)PG_GETARG_POINTER(0);

    if (IsA(request, SupportRequestSimplify)) {
        SupportRequestSimplify *simplify = (SupportRequestSimplify *)request;

        PG_RETURN_POINTER(simplify_segment_equality(simplify->root, simplify->fcall));
    }
    PG_RETURN_POINTER(NULL);
}

static double
deleted_fraction(SupportRequestSelectivity *request)
{
    Node *vector = linitial(request->args);
    Node *row_no = lsecond(request->args);
    RelOptInfo *rel;
    double rows;

    if (list_length(request->args) != 2 || request->root == NULL || !IsA(vector, Const) ||
        ((Const *)vector)->constisnull || !IsA(row_no, Var) || ((Var *)row_no)->varlevelsup != 0 ||
        ((Var *)row_no)->varno >= request->root->simple_rel_array_size)
        return 0.05;
    rel = request->root->simple_rel_array[((Var *)row_no)->varno];
    if (rel == NULL || rel->tuples < 1)
        return 0.05;
    rows = mastering_deletion_count(DatumGetInt64(((Const *)vector)->constvalue));
    return Min(rows / rel->tuples, 1.0);
}

/* Of both is_deleted functions: which segment, how many of its rows, and at no cost (see the file's head). */
MASTERING_FUNCTION(mastering_is_deleted_support)
{
    Node *request = (Node *)PG_GETARG_POINTER(0);

    if (IsA(request, SupportRequestSimplify)) {
        SupportRequestSimplify *simplify = (SupportRequestSimplify *)request;

        PG_RETURN_POINTER(list_length(simplify->fcall->args) == 4
                              ? simplify_is_deleted_in(simplify->root, simplify->fcall)
                              : NULL);
    }
    if (IsA(request, SupportRequestSelectivity)) {
        SupportRequestSelectivity *selectivity = (SupportRequestSelectivity *)request;

        selectivity->selectivity = deleted_fraction(selectivity);
        PG_RETURN_POINTER(request);
    }
    if (IsA(request, SupportRequestCost)) {
        ((SupportRequestCost *)request)->startup = 0;
        ((SupportRequestCost *)request)->per_tuple = 0;
        PG_RETURN_POINTER(request);
    }
    PG_RETURN_POINTER(NULL);
}

/* ---- execution ------------------------------------------------------------------------------------------
 */

MASTERING_FUNCTION(mastering_segment_eq)
{
    PG_RETURN_BOOL(PG_GETARG_INT32(0) == PG_GETARG_INT32(1));
}

typedef struct ResolvedVersion {
    text *name;
    RelationVersion version;
} ResolvedVersion;

/* in_version where the planner could not fold it: resolved once per call site, under the snapshot in force.
 */
MASTERING_FUNCTION(mastering_in_version)
{
    ResolvedVersion *resolved = fcinfo->flinfo->fn_extra;
    text *name = PG_GETARG_TEXT_PP(0);
    int32 segment_id = PG_GETARG_INT32(1);

    if (resolved == NULL || VARSIZE_ANY_EXHDR(resolved->name) != VARSIZE_ANY_EXHDR(name) ||
        memcmp(VARDATA_ANY(resolved->name), VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) != 0) {
        MemoryContext caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
        char *environment, *relation;
        HeadRow head;

        resolved = palloc0(sizeof(ResolvedVersion));
        resolved->name = DatumGetTextPCopy(PG_GETARG_DATUM(0));
        mastering_split_view_name(text_to_cstring(name), &environment, &relation);
        if (!mastering_statement_head(environment, &head))
            unknown_environment(environment);
        if (!mastering_find_version(&head, relation, &resolved->version))
            resolved->version.count = 0;
        fcinfo->flinfo->fn_extra = resolved;
        MemoryContextSwitchTo(caller);
    }
    for (int i = 0; i < resolved->version.count; i++)
        if (resolved->version.segments[i] == segment_id)
            PG_RETURN_BOOL(resolved->version.vectors[i] == 0 ||
                           !mastering_vector_contains(resolved->version.vectors[i], PG_GETARG_INT32(2)));
    PG_RETURN_BOOL(false);
}

/* ---- statistics -----------------------------------------------------------------------------------------
 */

/*
 * Statistics of a segment tell of its deleted rows too, and selectivity functions call operators of the
 * reader's own on the values in them. Where rows are hidden, only leakproof operators get to see these
 * values.
 */
static bool
hides_rows(RelOptInfo *rel)
{
    Oid deleted = deletion_function(2);
    ListCell *cell;

    foreach (cell, rel->baserestrictinfo) {
        Expr *clause = lfirst_node(RestrictInfo, cell)->clause;

        if (is_notclause(clause)) {
            Expr *argument = get_notclausearg(clause);

            if (IsA(argument, FuncExpr) && ((FuncExpr *)argument)->funcid == deleted)
                return true;
        }
    }
    return false;
}

static void
release_statistics(HeapTuple tuple)
{
    ReleaseSysCache(tuple);
}

/*
 * A store as a whole has no statistics of use: it holds every version of every environment. What a statement
 * reads is its live segments, and each was analysed when it was written; the largest speaks for all.
 */
static bool
live_segment_statistics(PlannerInfo *root, RangeTblEntry *rte, AttrNumber attnum, VariableStatData *vardata)
{
    RelOptInfo *rel = vardata->rel;
    RelOptInfo *largest = NULL;
    AppendRelInfo *child;
    AttrNumber column = InvalidAttrNumber;
    Oid family, user;
    int i = -1;

    if (previous_relation_stats && previous_relation_stats(root, rte, attnum, vardata))
        return true;
    if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_RELATION && rel != NULL &&
        rel->reloptkind == RELOPT_OTHER_MEMBER_REL && attnum > 0 && hides_rows(rel)) {
        vardata->statsTuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(rte->relid),
                                              Int16GetDatum(attnum), BoolGetDatum(false));
        vardata->freefunc = release_statistics;
        vardata->acl_ok = false;
        return true;
    }
    if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_PARTITIONED_TABLE || !rte->inh ||
        attnum <= 0 || rel == NULL || rel->part_scheme == NULL || rel->part_rels == NULL ||
        rel->part_scheme->partnatts != 1)
        return false;
    family = GetSysCacheOid3(OPFAMILYAMNAMENSP, Anum_pg_opfamily_oid, ObjectIdGetDatum(BTREE_AM_OID),
                             CStringGetDatum("segment_ops"), ObjectIdGetDatum(mastering_namespace()));
    if (rel->part_scheme->partopfamily[0] != family)
        return false;
    while ((i = bms_next_member(rel->live_parts, i)) >= 0) {
        RelOptInfo *part = rel->part_rels[i];

        if (part != NULL && (largest == NULL || part->tuples > largest->tuples))
            largest = part;
    }
    if (largest == NULL || (child = root->append_rel_array[largest->relid]) == NULL)
        return false;
    for (int c = 0; c < child->num_child_cols; c++)
        if (child->parent_colnos[c] == attnum)
            column = c + 1;
    if (column == InvalidAttrNumber)
        return false;
    vardata->statsTuple =
        SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(root->simple_rte_array[largest->relid]->relid),
                        Int16GetDatum(column), BoolGetDatum(false));
    vardata->freefunc = release_statistics;
    user = OidIsValid(rte->checkAsUser) ? rte->checkAsUser : GetUserId();
    vardata->acl_ok = rte->securityQuals == NIL && !hides_rows(largest) &&
                      (pg_class_aclcheck(rte->relid, user, ACL_SELECT) == ACLCHECK_OK ||
                       pg_attribute_aclcheck(rte->relid, attnum, user, ACL_SELECT) == ACLCHECK_OK);
    return true;
}

void
mastering_install_storage_hooks(void)
{
    previous_planner = planner_hook;
    planner_hook = plan_statement;
    previous_executor_start = ExecutorStart_hook;
    ExecutorStart_hook = start_executor;
    previous_relation_stats = get_relation_stats_hook;
    get_relation_stats_hook = live_segment_statistics;
    RegisterXactCallback(end_transaction, NULL);
}
