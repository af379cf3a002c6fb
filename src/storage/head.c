/*
 * head.c: reads the head row of an environment below the privilege checks, for in_version().
 *
 * Which row a statement sees:
 *   - the one that the current transaction wrote itself, if it did: a PL/pgSQL block that promotes and then
 *     reads plans its second statement under the snapshot of the block, which is older than its own write;
 *   - otherwise the one that the planning snapshot shows, so that all views of a statement agree.
 */
#include "compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "storage/head.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

Oid
mastering_namespace(void)
{
    return get_namespace_oid("mastering", false);
}

Oid
mastering_relation(const char *name)
{
    Oid relid = get_relname_relid(name, mastering_namespace());

    if (!OidIsValid(relid))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"mastering.%s\" does not exist", name)));
    return relid;
}

void
mastering_split_view_name(const char *view_name, char **environment, char **relation)
{
    List *names = NIL;
    char *copy = pstrdup(view_name);

    if (!SplitIdentifierString(copy, '.', &names) || list_length(names) != 2)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_NAME),
                 errmsg("invalid name of a versioned relation: \"%s\"", view_name),
                 errdetail("It is written environment.relation, each quoted as an SQL identifier is.")));
    *environment = linitial(names);
    *relation = lsecond(names);
}

/* Calls visit for every version of the environment's row that the snapshot lets through; stops when it says
 * so. */
typedef bool (*HeadVisitor)(Relation relation, TupleTableSlot *slot, void *context);

static void
scan_head(const char *environment, Snapshot snapshot, HeadVisitor visit, void *context)
{
    Relation table = table_open(mastering_relation("head"), AccessShareLock);
    Relation index = index_open(RelationGetPrimaryKeyIndex(table), AccessShareLock);
    TupleTableSlot *slot = table_slot_create(table, NULL);
    IndexScanDesc scan;
    ScanKeyData key;

    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(environment));
    scan = index_beginscan(table, index, snapshot, 1, 0);
    index_rescan(scan, &key, 1, NULL, 0);
    while (index_getnext_slot(scan, ForwardScanDirection, slot))
        if (!visit(table, slot, context))
            break;
    index_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    index_close(index, AccessShareLock);
    table_close(table, AccessShareLock);
}

static Datum
head_column(Relation table, TupleTableSlot *slot, const char *name)
{
    AttrNumber column = get_attnum(RelationGetRelid(table), name);
    bool isnull;
    Datum value;

    if (column == InvalidAttrNumber)
        elog(ERROR, "column \"%s\" of mastering.head does not exist", name);
    value = slot_getattr(slot, column, &isnull);
    if (isnull)
        elog(ERROR, "column \"%s\" of mastering.head is null", name);
    return value;
}

typedef struct ReadContext {
    HeadRow *head;
    bool found;
} ReadContext;

static bool
read_row(Relation table, TupleTableSlot *slot, void *context)
{
    ReadContext *read = context;
    bool should_free;
    HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);

    read->found = true;
    read->head->generation = DatumGetInt64(head_column(table, slot, "generation"));
    read->head->anchor = TextDatumGetCString(head_column(table, slot, "anchor"));
    read->head->versions = DatumGetJsonbPCopy(head_column(table, slot, "versions"));
    read->head->own_write = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
    if (should_free)
        heap_freetuple(tuple);
    return false;
}

bool
mastering_statement_head(const char *environment, HeadRow *head)
{
    ReadContext read = {head, false};

    scan_head(environment, SnapshotSelf, read_row, &read);
    if (read.found && head->own_write)
        return true;
    read.found = false;
    scan_head(environment, GetActiveSnapshot(), read_row, &read);
    return read.found;
}

typedef struct FreshnessContext {
    SnapshotData *dirty;
    int64 generation;
    HeadFreshness freshness;
} FreshnessContext;

static bool
check_row(Relation table, TupleTableSlot *slot, void *context)
{
    FreshnessContext *check = context;

    if (TransactionIdIsValid(check->dirty->xmin) || TransactionIdIsValid(check->dirty->xmax))
        check->freshness = HEAD_MOVED; /* another transaction's uncommitted change */
    else if (DatumGetInt64(head_column(table, slot, "generation")) == check->generation)
        check->freshness = HEAD_SAME;
    else
        check->freshness = HEAD_MOVED;
    return false;
}

/*
 * A dirty read on purpose. A plan made while a promotion is between its update and its commit must not be
 * kept: the promotion's first announcement is already behind us and the second comes after the commit is
 * visible, so a REPEATABLE READ transaction could begin in between, see the new head, and run the old plan.
 */
HeadFreshness
mastering_head_freshness(const char *environment, int64 generation)
{
    SnapshotData dirty;
    FreshnessContext check = {&dirty, generation, HEAD_MOVED};

    InitDirtySnapshot(dirty);
    scan_head(environment, &dirty, check_row, &check);
    return check.freshness;
}

static int64
element_integer(JsonbContainer *array, int i)
{
    JsonbValue *value = getIthJsonbValueFromContainer(array, i);

    if (value == NULL || value->type != jbvNumeric)
        elog(ERROR, "malformed version in mastering.head");
    return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
}

bool
mastering_find_version(const HeadRow *head, const char *relation, RelationVersion *version)
{
    JsonbValue found, part;
    JsonbContainer *segments, *vectors;

    if (getKeyJsonValueFromContainer(&head->versions->root, relation, strlen(relation), &found) == NULL)
        return false;
    if (found.type != jbvBinary ||
        getKeyJsonValueFromContainer(found.val.binary.data, "segments", strlen("segments"), &part) == NULL ||
        part.type != jbvBinary)
        elog(ERROR, "malformed version of \"%s\" in mastering.head", relation);
    segments = part.val.binary.data;
    if (getKeyJsonValueFromContainer(found.val.binary.data, "vectors", strlen("vectors"), &part) == NULL ||
        part.type != jbvBinary)
        elog(ERROR, "malformed version of \"%s\" in mastering.head", relation);
    vectors = part.val.binary.data;
    version->count = JsonContainerSize(segments);
    if (JsonContainerSize(vectors) != version->count)
        elog(ERROR, "malformed version of \"%s\" in mastering.head", relation);
    version->segments = palloc(sizeof(int32) * Max(version->count, 1));
    version->vectors = palloc(sizeof(int64) * Max(version->count, 1));
    for (int i = 0; i < version->count; i++) {
        version->segments[i] = (int32)element_integer(segments, i);
        version->vectors[i] = element_integer(vectors, i);
    }
    return true;
}
