/*
 * segment_index.c: see segment_index.h. And rows_by_index(segments, vectors, clusters): the numbers of the
 * rows of clusters, from an index on ("#cluster", "#row") alone, so that the pages of a store of large rows
 * are left where they are.
 *
 * What an index says is not asked whether it can be seen: a segment that was emptied and filled again may
 * have entries of a transaction that failed. The caller, who knows how many rows there must be, counts them.
 */
#include "compat.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "sql/segment_index.h"
#include "storage/deletion_vector.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

Relation
segment_open(int32 segment)
{
    char name[NAMEDATALEN];
    Oid oid;

    snprintf(name, sizeof name, "segment_%d", segment);
    oid = get_relname_relid(name, get_namespace_oid("mastering", false));
    if (!OidIsValid(oid))
        elog(ERROR, "there is no segment %d", segment);
    return table_open(oid, AccessShareLock);
}

AttrNumber
segment_column(Relation segment, const char *name)
{
    AttrNumber number = get_attnum(RelationGetRelid(segment), name);

    if (number == InvalidAttrNumber)
        elog(ERROR, "\"%s\" has no column \"%s\"", RelationGetRelationName(segment), name);
    return number;
}

Oid
segment_index(Relation segment, const char *first, const char *second)
{
    AttrNumber a = segment_column(segment, first), b = segment_column(segment, second);
    List *indexes = RelationGetIndexList(segment);
    ListCell *cell;
    Oid found = InvalidOid;

    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);

        if (index->rd_index->indisvalid && IndexRelationGetNumberOfKeyAttributes(index) == 2 &&
            index->rd_index->indkey.values[0] == a && index->rd_index->indkey.values[1] == b)
            found = lfirst_oid(cell);
        index_close(index, AccessShareLock);
    }
    list_free(indexes);
    return found;
}

/* ---- rows_by_index(segments, vectors, clusters) ---- */

static int
compare_clusters(const void *a, const void *b)
{
    int64 x = *(const int64 *)a, y = *(const int64 *)b;

    return x < y ? -1 : x > y;
}

static void
put_rows(ReturnSetInfo *result, int32 segment, int64 vector, const int64 *clusters, int count)
{
    Relation relation = segment_open(segment);
    Oid oid = segment_index(relation, "#cluster", "#row");
    Relation index;
    IndexScanDesc scan;
    ScanKeyData key;

    if (!OidIsValid(oid))
        elog(ERROR, "segment %d has no index on \"#cluster\" and \"#row\"", segment);
    index = index_open(oid, AccessShareLock);
    scan = index_beginscan(relation, index, GetActiveSnapshot(), 1, 0);
    scan->xs_want_itup = true;
    for (int i = 0; i < count; i++) {
        int32 before = 0;

        CHECK_FOR_INTERRUPTS();
        if (i > 0 && clusters[i] == clusters[i - 1])
            continue;
        ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(clusters[i]));
        index_rescan(scan, &key, 1, NULL, 0);
        while (index_getnext_tid(scan, ForwardScanDirection) != NULL) {
            Datum values[2] = {Int32GetDatum(segment)};
            bool nulls[2] = {false};
            int32 row;

            values[1] = index_getattr(scan->xs_itup, 2, RelationGetDescr(index), &nulls[1]);
            row = DatumGetInt32(values[1]);
            if (nulls[1] || row == before || (vector != 0 && mastering_vector_contains(vector, row)))
                continue;
            before = row;
            tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
        }
    }
    index_endscan(scan);
    index_close(index, AccessShareLock);
    table_close(relation, NoLock);
}

MASTERING_FUNCTION(mastering_rows_by_index)
{
    ArrayType *segments = PG_GETARG_ARRAYTYPE_P(0), *vectors = PG_GETARG_ARRAYTYPE_P(1),
              *wanted = PG_GETARG_ARRAYTYPE_P(2);
    int parts = ArrayGetNItems(ARR_NDIM(segments), ARR_DIMS(segments)),
        count = ArrayGetNItems(ARR_NDIM(wanted), ARR_DIMS(wanted));
    int64 *clusters;

    if (ARR_HASNULL(segments) || ARR_HASNULL(vectors) || ARR_HASNULL(wanted) ||
        ArrayGetNItems(ARR_NDIM(vectors), ARR_DIMS(vectors)) != parts)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("segments and vectors must be as many, and nothing of them null")));
    InitMaterializedSRF(fcinfo, 0);
    clusters = palloc(sizeof(int64) * Max(count, 1));
    memcpy(clusters, ARR_DATA_PTR(wanted), sizeof(int64) * count);
    qsort(clusters, count, sizeof(int64), compare_clusters);
    for (int p = 0; p < parts; p++)
        put_rows((ReturnSetInfo *)fcinfo->resultinfo, ((int32 *)ARR_DATA_PTR(segments))[p],
                 ((int64 *)ARR_DATA_PTR(vectors))[p], clusters, count);
    return (Datum)0;
}
