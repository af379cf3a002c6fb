/*
 * space.c: what must be known before the rows of a segment may go, and what a statement must know when they
 * went.
 *
 * TRUNCATE is not transactional to other snapshots: whoever plans on an old head afterwards would find its
 * segments empty. So a segment is emptied only when no head that any open snapshot can see names it:
 * reachable_heads() reads every version of every head row that VACUUM would have to keep, for whatever
 * reason it would (open transactions, replication slots, standbys with hot_standby_feedback). A plan that was
 * made holds a lock on its segments, which TRUNCATE respects.
 *
 * A standby without feedback has snapshots that nobody here knows of, and our own statements name segments
 * that they read from catalogs a moment ago. Both check, once the segments are locked, that these are still
 * what the statement takes them for, and fail with 40001 rather than read nothing.
 */
#include "compat.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/toast_internals.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
#include "storage/head.h"
#include "storage/space.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/*
 * The whole value, or NULL where parts of it are gone. A row that VACUUM may remove is not removed at once,
 * and the parts of a long value lie in a table of their own, with a VACUUM of its own: they can go before the
 * row, also while it is read. Then nobody can see the row any more.
 */
static struct varlena *
whole_value(struct varlena *value)
{
    struct varatt_external pointer;
    struct varlena *stored;
    Relation table, index;
    SysScanDesc scan;
    ScanKeyData key;
    HeapTuple chunk;
    int32 size, filled = 0;
    Oid index_id;

    if (!VARATT_IS_EXTERNAL_ONDISK(value))
        return PG_DETOAST_DATUM_COPY(PointerGetDatum(value));
    VARATT_EXTERNAL_GET_POINTER(pointer, value);
    size = VARATT_EXTERNAL_GET_EXTSIZE(pointer);
    stored = palloc(size + VARHDRSZ);
    if (VARATT_EXTERNAL_IS_COMPRESSED(pointer))
        SET_VARSIZE_COMPRESSED(stored, size + VARHDRSZ);
    else
        SET_VARSIZE(stored, size + VARHDRSZ);

    table = table_open(pointer.va_toastrelid, AccessShareLock);
    index_id =
        toast_get_valid_index(pointer.va_toastrelid, AccessShareLock); /* locked until the transaction ends */
    index = index_open(index_id, NoLock);
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(pointer.va_valueid));
    scan = systable_beginscan_ordered(table, index, SnapshotAny, 1, &key);
    while ((chunk = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL) {
        bool isnull;
        struct varlena *part =
            (struct varlena *)DatumGetPointer(fastgetattr(chunk, 3, table->rd_att, &isnull));

        if (isnull || (int32)VARSIZE_ANY_EXHDR(part) > size - filled)
            break;
        memcpy(VARDATA(stored) + filled, VARDATA_ANY(part), VARSIZE_ANY_EXHDR(part));
        filled += VARSIZE_ANY_EXHDR(part);
    }
    systable_endscan_ordered(scan);
    index_close(index, NoLock);
    table_close(table, AccessShareLock);
    return filled == size ? detoast_attr(stored) : NULL;
}

/* reachable_heads(): environment and versions of every version of a head row that some snapshot may see. */
MASTERING_FUNCTION(mastering_reachable_heads)
{
    ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
    Relation table;
    TupleTableSlot *slot;
    TableScanDesc scan;
    SnapshotData snapshot;
    AttrNumber environment, versions;

    InitMaterializedSRF(fcinfo, 0);
    table = table_open(mastering_relation("head"), AccessShareLock);
    environment = get_attnum(RelationGetRelid(table), "environment");
    versions = get_attnum(RelationGetRelid(table), "versions");
    InitNonVacuumableSnapshot(snapshot, GlobalVisTestFor(table));
    slot = table_slot_create(table, NULL);
    scan = table_beginscan(table, &snapshot, 0, NULL);
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        Datum values[2];
        bool nulls[2];

        values[0] = slot_getattr(slot, environment, &nulls[0]);
        values[1] = slot_getattr(slot, versions, &nulls[1]);
        if (!nulls[1]) {
            struct varlena *value = (struct varlena *)DatumGetPointer(values[1]);

            if (table_tuple_satisfies_snapshot(table, slot, GetActiveSnapshot()))
                value = PG_DETOAST_DATUM_COPY(values[1]);
            else
                value = whole_value(value);
            if (value == NULL)
                continue;
            values[1] = PointerGetDatum(value);
        }
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    table_close(table, AccessShareLock);
    return (Datum)0;
}

/* Whether the segment is still what it is under the statement's snapshot. */
static bool
segment_is_valid(Relation table, Relation index, TupleTableSlot *slot, int32 segment_id)
{
    Snapshot snapshots[] = {ActiveSnapshotSet() ? GetActiveSnapshot() : NULL, SnapshotSelf};
    bool valid = false, found = false;

    for (int i = 0; i < 2 && !found; i++) {
        IndexScanDesc scan;
        ScanKeyData key;

        if (snapshots[i] == NULL)
            continue;
        ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(segment_id));
        scan = index_beginscan(table, index, snapshots[i], 1, 0);
        index_rescan(scan, &key, 1, NULL, 0);
        if (index_getnext_slot(scan, ForwardScanDirection, slot)) {
            found = true;
            valid = snapshots[i] == SnapshotSelf || table_tuple_satisfies_snapshot(table, slot, SnapshotSelf);
        }
        index_endscan(scan);
        ExecClearTuple(slot);
    }
    return valid;
}

void
mastering_check_segments(PlannedStmt *plan)
{
    Oid namespace = mastering_namespace();
    Relation table = table_open(mastering_relation("segment"), AccessShareLock);
    Relation index = index_open(RelationGetPrimaryKeyIndex(table), AccessShareLock);
    TupleTableSlot *slot = table_slot_create(table, NULL);
    ListCell *cell;
    int position = 0;

    foreach (cell, plan->rtable) {
        RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
        int32 segment_id;
        char *name;
        bool valid = true;

        position++;
        if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_RELATION ||
            list_member_int(plan->resultRelations, position) || get_rel_namespace(rte->relid) != namespace)
            continue;
        name = get_rel_name(rte->relid);
        if (sscanf(name, "segment_%d", &segment_id) == 1)
            valid = segment_is_valid(table, index, slot, segment_id);
        if (!valid)
            ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                            errmsg("could not serialize access: a state that is read was removed"),
                            errdetail("Garbage collection has emptied segment %d since.", segment_id),
                            errhint("Begin a new transaction. A standby keeps old states for its readers "
                                    "with hot_standby_feedback.")));
        pfree(name);
    }
    ExecDropSingleTupleTableSlot(slot);
    index_close(index, AccessShareLock);
    table_close(table, AccessShareLock);
}
