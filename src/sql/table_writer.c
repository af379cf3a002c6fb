/*
 * table_writer.c: see table_writer.h.
 */
#include "compat.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "rewrite/prs2lock.h"
#include "sql/table_writer.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/rls.h"

#define ROWS_AT_ONCE 1000

struct table_writer {
    Relation relation;
    int attributes[CLUSTER_COLUMNS]; /* place of each value in a row of the table; -1: it has no such column
                                      */
    BulkInsertState bulk;
    CommandId command;
    MemoryContext rows; /* copies of the values that wait */
    TupleTableSlot *slots[ROWS_AT_ONCE];
    int waiting;
    bool checked; /* again, before the first row */
};

static const char *const column_names[CLUSTER_COLUMNS] = {"id", "cluster_id", "size", "weakest_link"};

static void
refuse(Relation relation, const char *reason)
{
    ereport(
        ERROR,
        (errcode(ERRCODE_WRONG_OBJECT_TYPE),
         errmsg("rows cannot be put into \"%s\" directly", RelationGetRelationName(relation)),
         errdetail("%s", reason),
         errhint("Use INSERT INTO %s SELECT id, cluster_id FROM mastering.dedupe_as(...), or write into a "
                 "table without it and add it afterwards.",
                 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
                                            RelationGetRelationName(relation)))));
}

/*
 * Refuses what INSERT would do more for than to put rows there. What the catalog's row says of indexes,
 * triggers and rules, that there may be some, stays true until VACUUM after they were dropped: they are
 * looked for.
 */
static void
check_table(Relation relation)
{
    const TupleConstr *constraints = RelationGetDescr(relation)->constr;

    if (relation->rd_rel->relkind != RELKIND_RELATION)
        refuse(relation, "It is not a plain table.");
    if (RELATION_IS_OTHER_TEMP(relation))
        refuse(relation, "It is a temporary table of another session.");
    if (relation->rd_rel->relispartition)
        refuse(relation, "It is a partition.");
    if (RelationGetIndexList(relation) != NIL)
        refuse(relation, "It has an index.");
    if (relation->trigdesc != NULL)
        refuse(relation, "It has a trigger or a foreign key.");
    if (relation->rd_rules != NULL && relation->rd_rules->numLocks > 0)
        refuse(relation, "It has a rule.");
    if (check_enable_rls(RelationGetRelid(relation), InvalidOid, false) == RLS_ENABLED)
        refuse(relation, "It has row security.");
    if (constraints != NULL && (constraints->num_check > 0 || constraints->has_generated_stored))
        refuse(relation, "It has a CHECK constraint or a generated column.");
}

static void
require_type(Relation relation, const char *column, Oid type, Oid wanted)
{
    if (type != wanted)
        ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                        errmsg("column \"%s\" of \"%s\" has type %s", column,
                               RelationGetRelationName(relation), format_type_be(type)),
                        errhint("Make it %s.", format_type_be(wanted))));
}

/* Finds the columns by their names. */
static void
find_columns(table_writer *writer)
{
    Relation relation = writer->relation;
    TupleDesc columns = RelationGetDescr(relation);

    for (int c = 0; c < CLUSTER_COLUMNS; c++)
        writer->attributes[c] = -1;
    for (int i = 0; i < columns->natts; i++) {
        const FormData_pg_attribute *attribute = TupleDescAttr(columns, i);
        int found = 0;

        if (attribute->attisdropped)
            continue;
        while (found < CLUSTER_COLUMNS && strcmp(NameStr(attribute->attname), column_names[found]) != 0)
            found++;
        if (found == CLUSTER_COLUMNS)
            refuse(relation, psprintf("Nothing is known of its column \"%s\".", NameStr(attribute->attname)));
        if (attribute->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
            refuse(relation, psprintf("Its column \"%s\" is GENERATED ALWAYS AS IDENTITY.",
                                      NameStr(attribute->attname)));
        if (found == 3 && attribute->attnotnull)
            refuse(relation, "Column \"weakest_link\" is NULL for a record alone.");
        writer->attributes[found] = i;
    }
    if (writer->attributes[0] < 0 || writer->attributes[1] < 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("table \"%s\" does not have the columns \"id\" and \"cluster_id\"",
                        RelationGetRelationName(relation)),
                 errhint("CREATE TABLE ... (id bigint, cluster_id bigint), or of the type of the ids.")));
    require_type(relation, "cluster_id", TupleDescAttr(columns, writer->attributes[1])->atttypid,
                 TupleDescAttr(columns, writer->attributes[0])->atttypid);
    /* Limits of a length are those of both columns only when they are the same. */
    if (TupleDescAttr(columns, writer->attributes[0])->atttypmod !=
        TupleDescAttr(columns, writer->attributes[1])->atttypmod)
        refuse(relation, "Its columns \"id\" and \"cluster_id\" have different limits.");
    if (writer->attributes[2] >= 0)
        require_type(relation, "size", TupleDescAttr(columns, writer->attributes[2])->atttypid, INT8OID);
    if (writer->attributes[3] >= 0)
        require_type(relation, "weakest_link", TupleDescAttr(columns, writer->attributes[3])->atttypid,
                     FLOAT8OID);
}

table_writer *
table_writer_open(Oid relation)
{
    table_writer *writer = palloc0(sizeof(table_writer));
    AclResult allowed;

    PreventCommandIfParallelMode("dedupe_into()");
    writer->relation = try_table_open(relation, RowExclusiveLock);
    if (writer->relation == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relation)));
    if (!writer->relation->rd_islocaltemp)
        PreventCommandIfReadOnly("dedupe_into()");
    allowed = pg_class_aclcheck(relation, GetUserId(), ACL_INSERT);
    if (allowed != ACLCHECK_OK)
        aclcheck_error(allowed, get_relkind_objtype(writer->relation->rd_rel->relkind),
                       RelationGetRelationName(writer->relation));
    check_table(writer->relation);
    find_columns(writer);
    writer->bulk = GetBulkInsertState();
    writer->command = GetCurrentCommandId(true);
    writer->rows =
        AllocSetContextCreate(CurrentMemoryContext, "mastering rows that wait", ALLOCSET_DEFAULT_SIZES);
    return writer;
}

Oid
table_writer_id_type(const table_writer *writer, int32 *typmod)
{
    const FormData_pg_attribute *id =
        TupleDescAttr(RelationGetDescr(writer->relation), writer->attributes[0]);

    *typmod = id->atttypmod;
    return id->atttypid;
}

Relation
table_writer_relation(const table_writer *writer)
{
    return writer->relation;
}

int
table_writer_attribute(const table_writer *writer, int value)
{
    return writer->attributes[value];
}

CommandId
table_writer_command(const table_writer *writer)
{
    return writer->command;
}

void
table_writer_check(table_writer *writer)
{
    if (!writer->checked) /* the query of the records may call what makes a trigger */
        check_table(writer->relation);
    writer->checked = true;
}

static void
write_waiting(table_writer *writer)
{
    MemoryContext before;

    if (writer->waiting == 0)
        return;
    table_writer_check(writer);
    before = MemoryContextSwitchTo(writer->rows);
    table_multi_insert(writer->relation, writer->slots, writer->waiting, writer->command,
                       TABLE_INSERT_SKIP_FSM, writer->bulk);
    MemoryContextSwitchTo(before);
    for (int i = 0; i < writer->waiting; i++)
        ExecClearTuple(writer->slots[i]);
    writer->waiting = 0;
    MemoryContextReset(writer->rows);
    CHECK_FOR_INTERRUPTS();
}

void
table_writer_put(table_writer *writer, const Datum *values, const bool *nulls)
{
    TupleDesc columns = RelationGetDescr(writer->relation);
    TupleTableSlot *slot;

    if (writer->slots[writer->waiting] == NULL) {
        MemoryContext before = MemoryContextSwitchTo(GetMemoryChunkContext(writer));

        writer->slots[writer->waiting] = table_slot_create(writer->relation, NULL);
        MemoryContextSwitchTo(before);
    }
    slot = writer->slots[writer->waiting];
    ExecClearTuple(slot);
    memset(slot->tts_isnull, true, columns->natts * sizeof(bool)); /* those that were dropped */
    for (int c = 0; c < CLUSTER_COLUMNS; c++) {
        int place = writer->attributes[c];

        if (place < 0)
            continue;
        slot->tts_isnull[place] = nulls[c];
        slot->tts_values[place] = values[c];
        if (!nulls[c] && !TupleDescAttr(columns, place)->attbyval) {
            MemoryContext before = MemoryContextSwitchTo(writer->rows);

            slot->tts_values[place] = datumCopy(values[c], false, TupleDescAttr(columns, place)->attlen);
            MemoryContextSwitchTo(before);
        }
    }
    ExecStoreVirtualTuple(slot);
    if (++writer->waiting == ROWS_AT_ONCE)
        write_waiting(writer);
}

void
table_writer_close(table_writer *writer)
{
    write_waiting(writer);
    for (int i = 0; i < ROWS_AT_ONCE && writer->slots[i] != NULL; i++)
        ExecDropSingleTupleTableSlot(writer->slots[i]);
    FreeBulkInsertState(writer->bulk);
    table_finish_bulk_insert(writer->relation, TABLE_INSERT_SKIP_FSM);
    table_close(writer->relation, NoLock);
    MemoryContextDelete(writer->rows);
    pfree(writer);
}
