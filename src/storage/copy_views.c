/*
 * copy_views.c: views of an environment made again for another one, from the trees that PostgreSQL keeps of
 * them instead of from their text. For forks, which are as quick as their views are made.
 *
 * The relations are made by heap_create_with_catalog(), as CREATE VIEW makes them; what is spared is parsing
 * and analysing the same text again, and three visits of the catalog's caches for each view. It is not gone
 * below that: since 15.20 that function writes versions of attributes that minor releases before did not
 * know, which shows what copies of the catalog's rows would lack one day. The rule of a view is its
 * original's with two things changed: the view's own oid, and the environment's name in the calls of
 * in_version() and scored_pairs(). Dependencies are found in the tree, not copied. The rule's text is the
 * original's with the same two things exchanged in it, where exactly those are found in it: writing a tree
 * as text costs ten times as much. The catalogs that are written stay locked from the first view to the last.
 *
 * All or nothing: where an original is not what CREATE VIEW makes of its definition (columns that it lost
 * are kept as NULL, others were renamed, it has a rule more, somebody replaces it just now), or where
 * somebody watches for CREATE VIEW (event triggers, a module with object hooks, Citus), nothing is made and
 * the caller takes the usual way.
 */
#include "compat.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "rewrite/prs2lock.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/evtcache.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#define RULE_NAME "_RETURN"

typedef struct Copying {
    const char *from_name; /* environments, which are schemas too */
    const char *to_name;
    Oid from;
    Oid to;
    Oid in_version;
    Oid scored_pairs;
    int calls; /* of in_version and scored_pairs in the view that is looked at */
    bool unlike;
    List *swaps; /* of Swap, for the view that is looked at */
} Copying;

/* What stands in the text of a rule, and what takes its place. */
typedef struct Swap {
    char *before;
    char *after;
    int times;
} Swap;

typedef struct ViewCopy {
    char *name;
    Oid original;
    Oid oid;
    TupleDesc columns;
    Query *query;
    List *swaps;
} ViewCopy;

/* Into these goes what makes a view. */
static const Oid written[] = {RelationRelationId, TypeRelationId, AttributeRelationId, RewriteRelationId,
                              DependRelationId};
static const LOCKMODE ways[] = {AccessShareLock, RowExclusiveLock};

/*
 * Whoever is told of commands, or changes them, must not miss these. A ProcessUtility_hook is no reason: the
 * server with pg_stat_statements has one, which counts statements, and here is none; who has to know of
 * objects hooks objects as well.
 */
static bool
somebody_watches(void)
{
    return object_access_hook != NULL || object_access_hook_str != NULL || creating_extension ||
           EventCacheLookup(EVT_DDLCommandStart) != NIL || EventCacheLookup(EVT_DDLCommandEnd) != NIL ||
           OidIsValid(get_extension_oid("citus", true));
}

/*
 * Each row that is written opens its catalog and the indexes of that, and closes them. While they are held,
 * that is a count that goes up and down, and no visit of the lock table: a tenth of a fork. Locks are taken
 * in the order in which writing takes them, the table's before its indexes'.
 */
static void
hold_catalogs(bool hold)
{
    void (*change)(Oid, LOCKMODE) = hold ? LockRelationOid : UnlockRelationOid;

    for (size_t i = 0; i < lengthof(written); i++) {
        Relation catalog = table_open(written[i], AccessShareLock);
        List *indexes = RelationGetIndexList(catalog);

        for (size_t way = 0; way < lengthof(ways); way++) {
            ListCell *cell;

            change(written[i], ways[way]);
            foreach (cell, indexes)
                change(lfirst_oid(cell), ways[way]);
        }
        list_free(indexes);
        table_close(catalog, AccessShareLock);
    }
}

/* A constant's value as nodeToString() writes it. */
static char *
value_text(const Const *constant)
{
    const text *value = (const text *)DatumGetPointer(constant->constvalue);
    Size size = VARSIZE_ANY(value);
    StringInfoData written_value;
    char number[12];

    initStringInfo(&written_value);
    appendStringInfo(&written_value, ":constvalue %u [ ", (unsigned int)size);
    for (Size i = 0; i < size; i++) {
        appendBinaryStringInfo(&written_value, number, pg_ltoa(((const char *)value)[i], number));
        appendStringInfoChar(&written_value, ' ');
    }
    appendStringInfoChar(&written_value, ']');
    return written_value.data;
}

static void
note_swap(List **swaps, char *before, char *after)
{
    Swap *swap;
    ListCell *cell;

    foreach (cell, *swaps) {
        swap = lfirst(cell);
        if (strcmp(swap->before, before) == 0) {
            swap->times++;
            return;
        }
    }
    swap = palloc(sizeof(Swap));
    *swap = (Swap){.before = before, .after = after, .times = 1};
    *swaps = lappend(*swaps, swap);
}

/* A text with one thing exchanged for another; NULL where it is not there as often as it should be. */
static char *
swapped(const char *text, const Swap *swap)
{
    StringInfoData result;
    const char *found;
    int times = 0;

    initStringInfo(&result);
    enlargeStringInfo(&result, (int)strlen(text) + 256);
    for (; (found = strstr(text, swap->before)) != NULL; times++) {
        appendBinaryStringInfo(&result, text, (int)(found - text));
        appendStringInfoString(&result, swap->after);
        text = found + strlen(swap->before);
    }
    appendStringInfoString(&result, text);
    return times == swap->times ? result.data : NULL;
}

/* 'prod.person' of environment prod as 'mine.person'; NULL where it is not of that environment. */
static Const *
renamed(Copying *copying, Node *argument, bool qualified)
{
    Const *constant = (Const *)argument;
    const char *from = copying->from_name, *to = copying->to_name;
    char *value;
    size_t length;

    if (!IsA(argument, Const) || constant->constisnull || constant->consttype != TEXTOID)
        return NULL;
    value = TextDatumGetCString(constant->constvalue);
    if (!qualified)
        return strcmp(value, from) == 0
                   ? makeConst(TEXTOID, -1, constant->constcollid, -1, CStringGetTextDatum(to), false, false)
                   : NULL;
    from = quote_identifier(from);
    length = strlen(from);
    if (strncmp(value, from, length) != 0 || value[length] != '.')
        return NULL;
    return makeConst(TEXTOID, -1, constant->constcollid, -1,
                     CStringGetTextDatum(psprintf("%s%s", quote_identifier(to), value + length)), false,
                     false);
}

static bool
rename_in(Node *node, void *context)
{
    Copying *copying = context;

    if (node == NULL)
        return false;
    if (IsA(node, RangeTblEntry)) {
        RangeTblEntry *entry = (RangeTblEntry *)node;

        entry->checkAsUser = InvalidOid; /* the relation cache wrote it there */
        if (entry->rtekind == RTE_SUBQUERY || entry->rtekind == RTE_CTE)
            copying->unlike = true;
        return false; /* the walker of the query goes into it */
    }
    if (IsA(node, Query) || IsA(node, SubLink)) {
        copying->unlike = true;
        return true;
    }
    if (IsA(node, FuncExpr)) {
        FuncExpr *call = (FuncExpr *)node;

        if (call->funcid == copying->in_version || call->funcid == copying->scored_pairs) {
            Const *name = renamed(copying, linitial(call->args), call->funcid == copying->in_version);

            if (name == NULL) {
                copying->unlike = true;
                return true;
            }
            name->location = ((Const *)linitial(call->args))->location;
            note_swap(&copying->swaps, value_text(linitial(call->args)), value_text(name));
            linitial(call->args) = name;
            copying->calls++;
            return false;
        }
    }
    return expression_tree_walker(node, rename_in, context);
}

/* The columns as CREATE VIEW would describe them: name, type and collation. */
static TupleDesc
plain_columns(TupleDesc original)
{
    TupleDesc columns = CreateTemplateTupleDesc(original->natts);

    for (int i = 0; i < original->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(original, i);

        TupleDescInitEntry(columns, (AttrNumber)(i + 1), NameStr(column->attname), column->atttypid,
                           column->atttypmod, 0);
        TupleDescInitEntryCollation(columns, (AttrNumber)(i + 1), column->attcollation);
    }
    return columns;
}

/* ALTER VIEW changes names of columns, and leaves the query that gives them as it was. */
static bool
columns_as_made(TupleDesc columns, const Query *query)
{
    ListCell *cell;

    foreach (cell, query->targetList) {
        const TargetEntry *entry = lfirst_node(TargetEntry, cell);

        if (!entry->resjunk &&
            strcmp(entry->resname, NameStr(TupleDescAttr(columns, entry->resno - 1)->attname)) != 0)
            return false;
    }
    return true;
}

/* Reads a view and changes a copy of its tree; false where it is not what CREATE VIEW made. */
static bool
read_view(Copying *copying, const char *name, ViewCopy *copy)
{
    Relation view;
    RewriteRule *rule;
    bool alike;

    copying->calls = 0;
    copying->unlike = false;
    copying->swaps = NIL;
    copy->original = get_relname_relid(name, copying->from);
    if (!OidIsValid(copy->original) || !ConditionalLockRelationOid(copy->original, AccessShareLock))
        return false;
    view = try_relation_open(copy->original, NoLock);
    if (view == NULL)
        return false;
    alike = view->rd_rel->relkind == RELKIND_VIEW &&
            view->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT && view->rd_rel->relnatts > 0 &&
            view->rd_rules != NULL && view->rd_rules->numLocks == 1;
    if (alike) {
        rule = view->rd_rules->rules[0];
        alike = rule->event == CMD_SELECT && rule->isInstead && rule->qual == NULL && rule->enabled == 'O' &&
                list_length(rule->actions) == 1 && IsA(linitial(rule->actions), Query);
    }
    if (alike) {
        copy->name = pstrdup(name);
        copy->columns = plain_columns(RelationGetDescr(view));
        copy->query = copyObject(linitial_node(Query, rule->actions));
        alike = !copy->query->hasSubLinks && copy->query->cteList == NIL &&
                copy->query->setOperations == NULL && columns_as_made(copy->columns, copy->query);
        if (alike)
            query_tree_walker(copy->query, rename_in, copying, QTW_EXAMINE_RTES_BEFORE);
        alike = alike && !copying->unlike && copying->calls > 0;
        copy->swaps = copying->swaps;
    }
    relation_close(view, NoLock);
    return alike;
}

/* What the copies read is not to be dropped before they are there. */
static bool
lock_read_relations(Query *query, Oid self)
{
    ListCell *cell;

    foreach (cell, query->rtable) {
        RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

        if (entry->rtekind != RTE_RELATION || entry->relid == self)
            continue;
        LockRelationOid(entry->relid, AccessShareLock);
        if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(entry->relid)))
            return false;
    }
    return true;
}

static void
make_relation(Copying *copying, ViewCopy *copy, Relation classes)
{
    /* Given an oid, nobody looks whether there is a file of that number. */
    copy->oid = GetNewOidWithIndex(classes, ClassOidIndexId, Anum_pg_class_oid);
    heap_create_with_catalog(copy->name, copying->to, InvalidOid, copy->oid, InvalidOid, InvalidOid,
                             GetUserId(), InvalidOid, copy->columns, NIL, RELKIND_VIEW,
                             RELPERSISTENCE_PERMANENT, false, false, ONCOMMIT_NOOP, (Datum)0, true, false,
                             false, InvalidOid, NULL);
}

/*
 * The relation cache keeps what was made in this transaction and builds it anew whenever a command ends, lest
 * it be forgotten that its file is new. A view has no file: as one that is not new it is let go, and read
 * when somebody asks for it. Should the transaction end here, whoever gets its oid later announces that.
 */
static void
let_go(const ViewCopy *copies, int count)
{
    for (int i = 0; i < count; i++) {
        Relation view = RelationIdGetRelation(copies[i].oid);

        if (view == NULL)
            elog(ERROR, "relation %u is not in the cache that has made it", copies[i].oid);
        view->rd_createSubid = InvalidSubTransactionId;
        RelationClose(view);
    }
}

/* OLD and NEW of a view's rule are the view itself. */
static void
point_to_itself(ViewCopy *copy)
{
    ListCell *cell;

    foreach (cell, copy->query->rtable) {
        RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

        if (entry->rtekind != RTE_RELATION || entry->relid != copy->original)
            continue;
        entry->relid = copy->oid;
        note_swap(&copy->swaps, psprintf(":relid %u :relkind v ", copy->original),
                  psprintf(":relid %u :relkind v ", copy->oid));
    }
}

/* The rule's action as text: the original's with its swaps, or written from the tree where they do not fit.
 */
static char *
action_text(const ViewCopy *copy)
{
    HeapTuple rule =
        SearchSysCache2(RULERELNAME, ObjectIdGetDatum(copy->original), CStringGetDatum(RULE_NAME));
    char *action = NULL;
    ListCell *cell;
    bool is_null;

    if (HeapTupleIsValid(rule)) {
        Datum value = SysCacheGetAttr(RULERELNAME, rule, Anum_pg_rewrite_ev_action, &is_null);

        action = is_null ? NULL : TextDatumGetCString(value);
        ReleaseSysCache(rule);
    }
    foreach (cell, copy->swaps)
        action = action == NULL ? NULL : swapped(action, lfirst(cell));
    if (action == NULL)
        return nodeToString(list_make1(copy->query));
    Assert(equal(stringToNode(action), list_make1(copy->query)));
    return action;
}

/* Columns of a row of pg_rewrite for a view's own rule. */
static HeapTuple
rule_row(Relation rules, Oid oid, const ViewCopy *copy)
{
    Datum values[Natts_pg_rewrite] = {0};
    bool nulls[Natts_pg_rewrite] = {false};
    NameData name;

    namestrcpy(&name, RULE_NAME);
    values[Anum_pg_rewrite_oid - 1] = ObjectIdGetDatum(oid);
    values[Anum_pg_rewrite_rulename - 1] = NameGetDatum(&name);
    values[Anum_pg_rewrite_ev_class - 1] = ObjectIdGetDatum(copy->oid);
    values[Anum_pg_rewrite_ev_type - 1] = CharGetDatum(CMD_SELECT + '0');
    values[Anum_pg_rewrite_ev_enabled - 1] = CharGetDatum('O');
    values[Anum_pg_rewrite_is_instead - 1] = BoolGetDatum(true);
    values[Anum_pg_rewrite_ev_qual - 1] = CStringGetTextDatum(nodeToString(NULL));
    values[Anum_pg_rewrite_ev_action - 1] = CStringGetTextDatum(action_text(copy));
    return heap_form_tuple(RelationGetDescr(rules), values, nulls);
}

/*
 * Says in pg_class that a view has a rule, where the row lies. Nobody else sees that row yet, so that another
 * version of it would be of use to nobody, but an entry in three indexes each and a dead row to everybody.
 */
static void
note_rule(Relation classes, Oid view)
{
    HeapTuple row = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(view));

    if (!HeapTupleIsValid(row))
        elog(ERROR, "cache lookup failed for relation %u", view);
    ((Form_pg_class)GETSTRUCT(row))->relhasrules = true;
    heap_inplace_update(classes, row);
    heap_freetuple(row);
}

static void
make_rules(ViewCopy *copies, int count)
{
    Relation classes = table_open(RelationRelationId, RowExclusiveLock);
    Relation rules = table_open(RewriteRelationId, RowExclusiveLock);
    CatalogIndexState indexes = CatalogOpenIndexes(rules);

    for (int i = 0; i < count; i++) {
        ObjectAddress rule, view;
        Oid oid;

        point_to_itself(&copies[i]);
        /* Rows with long values: the catalog's way of inserting many at once indexes them under no place. */
        oid = GetNewOidWithIndex(rules, RewriteOidIndexId, Anum_pg_rewrite_oid);
        CatalogTupleInsertWithInfo(rules, rule_row(rules, oid, &copies[i]), indexes);
        ObjectAddressSet(rule, RewriteRelationId, oid);
        ObjectAddressSet(view, RelationRelationId, copies[i].oid);
        recordDependencyOn(&rule, &view, DEPENDENCY_INTERNAL);
        recordDependencyOnExpr(&rule, (Node *)list_make1(copies[i].query), NIL, DEPENDENCY_NORMAL);
        note_rule(classes, copies[i].oid);
    }
    CatalogCloseIndexes(indexes);
    table_close(classes, RowExclusiveLock);
    table_close(rules, RowExclusiveLock);
}

/* copy_views(from_schema, to_schema, names): the views of an environment for another one; false: none was
 * made. */
MASTERING_FUNCTION(mastering_copy_views)
{
    Oid in_version_types[] = {TEXTOID, INT4OID, INT4OID};
    Oid scored_pairs_types[] = {TEXTOID, TEXTOID, INT8OID};
    Copying copying = {.from_name = text_to_cstring(PG_GETARG_TEXT_PP(0)),
                       .to_name = text_to_cstring(PG_GETARG_TEXT_PP(1))};
    Datum *names;
    bool *nulls;
    int count;
    ViewCopy *copies;
    Relation classes;
    AclResult allowed;

    deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
    copying.from = get_namespace_oid(copying.from_name, false);
    copying.to = get_namespace_oid(copying.to_name, false);
    allowed = pg_namespace_aclcheck(copying.to, GetUserId(), ACL_CREATE);
    if (allowed != ACLCHECK_OK)
        aclcheck_error(allowed, OBJECT_SCHEMA, copying.to_name);
    if (count == 0 || somebody_watches())
        PG_RETURN_BOOL(false);
    copying.in_version = LookupFuncName(list_make2(makeString("mastering"), makeString("in_version")), 3,
                                        in_version_types, false);
    copying.scored_pairs = LookupFuncName(list_make2(makeString("mastering"), makeString("scored_pairs")), 3,
                                          scored_pairs_types, false);
    LockDatabaseObject(NamespaceRelationId, copying.to, 0, AccessShareLock);

    copies = palloc0(sizeof(ViewCopy) * (size_t)count);
    for (int i = 0; i < count; i++) {
        if (nulls[i] || !read_view(&copying, TextDatumGetCString(names[i]), &copies[i]) ||
            !lock_read_relations(copies[i].query, copies[i].original))
            PG_RETURN_BOOL(false);
    }

    hold_catalogs(true);
    classes = table_open(RelationRelationId, RowExclusiveLock);
    for (int i = 0; i < count; i++)
        make_relation(&copying, &copies[i], classes);
    table_close(classes, RowExclusiveLock);
    let_go(copies, count);
    CommandCounterIncrement(); /* the rules find the relations */
    make_rules(copies, count);
    hold_catalogs(false);
    CommandCounterIncrement(); /* whoever called finds the rules */
    PG_RETURN_BOOL(true);
}
