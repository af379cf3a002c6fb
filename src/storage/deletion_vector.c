/*
 * deletion_vector.c: stored deletion vectors and the functions that build and test them.
 *
 * mastering.deletion_vector holds them under an id, in the portable Roaring format; a row there never
 * changes. A backend keeps what it has read, in malloc'ed memory as CRoaring wants it, until the end of a
 * transaction finds it holding too much: plans in the middle of a scan point into it.
 */
#include "compat.h"

#include <roaring/roaring.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "storage/deletion_vector.h"
#include "storage/head.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define CACHE_LIMIT ((Size)64 * 1024 * 1024)

typedef struct CachedVector {
    int64 id; /* hash key */
    roaring_bitmap_t *bitmap;
} CachedVector;

static HTAB *cache = NULL;
static Size cache_bytes = 0;

static void
forget_cache(XactEvent event, void *argument)
{
    HASH_SEQ_STATUS walk;
    CachedVector *entry;

    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
        return;
    if (cache == NULL || cache_bytes <= CACHE_LIMIT)
        return;
    hash_seq_init(&walk, cache);
    while ((entry = hash_seq_search(&walk)) != NULL)
        if (entry->bitmap != NULL)
            roaring_bitmap_free(entry->bitmap);
    hash_destroy(cache);
    cache = NULL;
    cache_bytes = 0;
}

static roaring_bitmap_t *
deserialize(bytea *bytes)
{
    roaring_bitmap_t *bitmap =
        roaring_bitmap_portable_deserialize_safe(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));

    if (bitmap == NULL)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid deletion vector"),
                        errdetail("%d bytes are no Roaring bitmap in the portable format.",
                                  (int)VARSIZE_ANY_EXHDR(bytes))));
    return bitmap;
}

/* Reads one column of a vector's row; a NULL result means that there is no such row under the snapshot. */
static bytea *
read_stored(int64 vector_id, Snapshot snapshot, int64 *count)
{
    Relation table = table_open(mastering_relation("deletion_vector"), AccessShareLock);
    Relation index = index_open(RelationGetPrimaryKeyIndex(table), AccessShareLock);
    TupleTableSlot *slot = table_slot_create(table, NULL);
    bytea *result = NULL;
    IndexScanDesc scan;
    ScanKeyData key;

    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(vector_id));
    scan = index_beginscan(table, index, snapshot, 1, 0);
    index_rescan(scan, &key, 1, NULL, 0);
    if (index_getnext_slot(scan, ForwardScanDirection, slot)) {
        bool isnull;
        Datum value = slot_getattr(slot, get_attnum(RelationGetRelid(table), "bitmap"), &isnull);

        if (!isnull)
            result = DatumGetByteaPCopy(value);
        value = slot_getattr(slot, get_attnum(RelationGetRelid(table), "row_count"), &isnull);
        *count = isnull ? 0 : DatumGetInt64(value);
    }
    index_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    index_close(index, AccessShareLock);
    table_close(table, AccessShareLock);
    return result;
}

static bytea *
read_vector(int64 vector_id, int64 *count)
{
    bytea *bytes = NULL;

    if (ActiveSnapshotSet())
        bytes = read_stored(vector_id, GetActiveSnapshot(), count);
    if (bytes == NULL)
        bytes = read_stored(vector_id, SnapshotSelf, count);
    if (bytes == NULL)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("deletion vector %lld does not exist", (long long)vector_id)));
    return bytes;
}

static roaring_bitmap_t *
cached_vector(int64 vector_id)
{
    static bool registered = false;
    CachedVector *entry;
    bool found;

    if (!registered) {
        RegisterXactCallback(forget_cache, NULL);
        registered = true;
    }
    if (cache == NULL) {
        HASHCTL control = {
            .keysize = sizeof(int64), .entrysize = sizeof(CachedVector), .hcxt = TopMemoryContext};

        cache =
            hash_create("mastering deletion vectors", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    }
    entry = hash_search(cache, &vector_id, HASH_FIND, NULL);
    if (entry == NULL) {
        int64 count;
        bytea *bytes = read_vector(vector_id, &count);
        roaring_bitmap_t *bitmap = deserialize(bytes);

        entry = hash_search(cache, &vector_id, HASH_ENTER, &found);
        entry->bitmap = bitmap;
        cache_bytes += VARSIZE_ANY_EXHDR(bytes);
        pfree(bytes);
    }
    return entry->bitmap;
}

bool
mastering_vector_contains(int64 vector_id, int32 row_no)
{
    return roaring_bitmap_contains(cached_vector(vector_id), (uint32)row_no);
}

double
mastering_deletion_count(int64 vector_id)
{
    return (double)roaring_bitmap_get_cardinality(cached_vector(vector_id));
}

typedef struct LastVector {
    int64 id;
    roaring_bitmap_t *bitmap;
} LastVector;

static bool
row_is_deleted(FmgrInfo *flinfo, int64 vector_id, int32 row_no)
{
    LastVector *last = flinfo->fn_extra;

    if (last == NULL) {
        last = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(LastVector));
        flinfo->fn_extra = last;
    }
    if (last->bitmap == NULL || last->id != vector_id) {
        last->bitmap = cached_vector(vector_id);
        last->id = vector_id;
    }
    return roaring_bitmap_contains(last->bitmap, (uint32)row_no);
}

/* is_deleted(vector, row_no): whether a stored vector holds the row number. */
MASTERING_FUNCTION(mastering_is_deleted)
{
    PG_RETURN_BOOL(row_is_deleted(fcinfo->flinfo, PG_GETARG_INT64(0), PG_GETARG_INT32(1)));
}

/* is_deleted(segments, vectors, segment_id, row_no): the same where the segment is not known at plan time. */
MASTERING_FUNCTION(mastering_is_deleted_in)
{
    ArrayType *segments = PG_GETARG_ARRAYTYPE_P(0);
    ArrayType *vectors = PG_GETARG_ARRAYTYPE_P(1);
    int32 segment_id = PG_GETARG_INT32(2);
    int count = ArrayGetNItems(ARR_NDIM(segments), ARR_DIMS(segments));

    if (count != ArrayGetNItems(ARR_NDIM(vectors), ARR_DIMS(vectors)) || ARR_HASNULL(segments) ||
        ARR_HASNULL(vectors))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("segments and vectors must be as many, and none of them null")));
    for (int i = 0; i < count; i++)
        if (((int32 *)ARR_DATA_PTR(segments))[i] == segment_id)
            PG_RETURN_BOOL(
                row_is_deleted(fcinfo->flinfo, ((int64 *)ARR_DATA_PTR(vectors))[i], PG_GETARG_INT32(3)));
    PG_RETURN_BOOL(false);
}

/* The aggregate deletion_vector_agg(row_no): its state is freed with the context that it was made in. */
static void
free_bitmap(void *argument)
{
    roaring_bitmap_free(argument);
}

MASTERING_FUNCTION(mastering_deletion_vector_add)
{
    MemoryContext aggregate_context;
    roaring_bitmap_t *bitmap;

    if (!AggCheckCallContext(fcinfo, &aggregate_context))
        elog(ERROR, "deletion_vector_add called outside an aggregate");
    if (PG_ARGISNULL(0)) {
        MemoryContextCallback *callback =
            MemoryContextAlloc(aggregate_context, sizeof(MemoryContextCallback));

        bitmap = roaring_bitmap_create();
        if (bitmap == NULL)
            ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
        callback->func = free_bitmap;
        callback->arg = bitmap;
        MemoryContextRegisterResetCallback(aggregate_context, callback);
    } else
        bitmap = (roaring_bitmap_t *)PG_GETARG_POINTER(0);
    if (!PG_ARGISNULL(1)) {
        if (PG_GETARG_INT32(1) < 0)
            ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                            errmsg("row number %d is negative", PG_GETARG_INT32(1))));
        roaring_bitmap_add(bitmap, (uint32)PG_GETARG_INT32(1));
    }
    PG_RETURN_POINTER(bitmap);
}

static bytea *
serialize(roaring_bitmap_t *bitmap)
{
    Size size = roaring_bitmap_portable_size_in_bytes(bitmap);
    bytea *bytes = palloc(VARHDRSZ + size);

    SET_VARSIZE(bytes, VARHDRSZ + size);
    roaring_bitmap_portable_serialize(bitmap, VARDATA(bytes));
    return bytes;
}

MASTERING_FUNCTION(mastering_deletion_vector_final)
{
    roaring_bitmap_t *bitmap;

    if (PG_ARGISNULL(0))
        PG_RETURN_NULL();
    bitmap = (roaring_bitmap_t *)PG_GETARG_POINTER(0);
    roaring_bitmap_run_optimize(bitmap);
    PG_RETURN_BYTEA_P(serialize(bitmap));
}

/* deletion_vector_union(a, b): rows that either removes. */
MASTERING_FUNCTION(mastering_deletion_vector_union)
{
    roaring_bitmap_t *left = deserialize(PG_GETARG_BYTEA_PP(0));
    roaring_bitmap_t *right = roaring_bitmap_portable_deserialize_safe(
        VARDATA_ANY(PG_GETARG_BYTEA_PP(1)), VARSIZE_ANY_EXHDR(PG_GETARG_BYTEA_PP(1)));
    bytea *result;

    if (right == NULL) {
        roaring_bitmap_free(left);
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid deletion vector")));
    }
    roaring_bitmap_or_inplace(left, right);
    roaring_bitmap_free(right);
    roaring_bitmap_run_optimize(left);
    result = serialize(left);
    roaring_bitmap_free(left);
    PG_RETURN_BYTEA_P(result);
}

/* deletion_vector_count(vector): how many rows it removes. */
MASTERING_FUNCTION(mastering_deletion_vector_count)
{
    roaring_bitmap_t *bitmap = deserialize(PG_GETARG_BYTEA_PP(0));
    int64 count = (int64)roaring_bitmap_get_cardinality(bitmap);

    roaring_bitmap_free(bitmap);
    PG_RETURN_INT64(count);
}

/* deletion_vector_rows(vector, less): the rows that one stored vector removes and another (0: none) does not.
 */
MASTERING_FUNCTION(mastering_deletion_vector_rows)
{
    int64 vector = PG_GETARG_INT64(0), less = PG_GETARG_INT64(1);
    roaring_bitmap_t *rows, *mine;
    MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
    Datum *numbers;
    uint32 *values;
    uint64 count;

    mine = roaring_bitmap_copy(cached_vector(vector));
    rows = mine;
    if (rows == NULL)
        ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
    callback->func = free_bitmap;
    callback->arg = mine;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    if (less != 0)
        roaring_bitmap_andnot_inplace(rows, cached_vector(less));
    count = roaring_bitmap_get_cardinality(rows);
    values = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(count, 1), sizeof(uint32)));
    roaring_bitmap_to_uint32_array(rows, values);
    numbers = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(count, 1), sizeof(Datum)));
    for (uint64 i = 0; i < count; i++)
        numbers[i] = Int32GetDatum((int32)values[i]);
    PG_RETURN_ARRAYTYPE_P(construct_array(numbers, (int)count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}
