/*
 * lookup_ahead.c: what a session's first look-up reads of tables and indexes that are small, or of which it
 * needs the first pages.
 *
 * After a restart none of them is in memory, and each page is waited for on its own, while somebody types. So
 * they are announced to the operating system at once, before the first of them is read. It is a hint: what
 * is not there, or is larger than thought, is read when it is needed.
 */
#include "compat.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "sql/lookup_ahead.h"
#include "storage/bufmgr.h"
#include "storage/head.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* A relation of more pages is not read as a whole by anybody who looks up. */
#define MOST_PAGES 32

static void
ask_for_all(Relation relation)
{
    BlockNumber count = RelationGetNumberOfBlocks(relation);

    for (BlockNumber block = 0; block < count && count <= MOST_PAGES; block++)
        (void)PrefetchBuffer(relation, MAIN_FORKNUM, block);
}

/* The page that says where the root is, and the last one: there the root of an index lies that was built at
 * once. */
static void
ask_for_ends(Relation index)
{
    BlockNumber count = RelationGetNumberOfBlocks(index);

    if (count == 0)
        return;
    (void)PrefetchBuffer(index, MAIN_FORKNUM, 0);
    (void)PrefetchBuffer(index, MAIN_FORKNUM, count - 1);
}

static void
visit_indexes(Relation table, void (*ask)(Relation index))
{
    List *indexes = RelationGetIndexList(table);
    ListCell *cell;

    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);

        ask(index);
        index_close(index, AccessShareLock);
    }
    list_free(indexes);
}

static void
ask_for_index_and_all(Relation index)
{
    ask_for_ends(index);
    ask_for_all(index);
}

/* Long values lie in a table beside it, whose index leads to them. */
static void
ask_for_table(Oid oid, bool long_values)
{
    Relation table = try_relation_open(oid, AccessShareLock);
    Oid beside;

    if (table == NULL)
        return;
    ask_for_all(table);
    visit_indexes(table, ask_for_index_and_all);
    beside = table->rd_rel->reltoastrelid;
    relation_close(table, AccessShareLock);
    if (long_values && OidIsValid(beside))
        ask_for_table(beside, false);
}

void
lookup_ahead_of_rights(void)
{
    static const char *const names[] = {"environment", "head", "configuration", "artifact"};
    static const Oid catalog_indexes[] = {ProcedureOidIndexId, ProcedureNameArgsNspIndexId,
                                          TriggerRelidNameIndexId};

    if (effective_io_concurrency == 0)
        return;
    for (size_t i = 0; i < lengthof(catalog_indexes); i++) {
        Relation index = index_open(catalog_indexes[i], AccessShareLock);

        ask_for_index_and_all(index);
        index_close(index, AccessShareLock);
    }
    for (size_t i = 0; i < lengthof(names); i++) {
        Oid oid = get_relname_relid(names[i], mastering_namespace());

        if (OidIsValid(oid))
            ask_for_table(oid, true);
    }
}
