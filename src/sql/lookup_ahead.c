/*
 * lookup_ahead.c: what a session's first look-up reads of tables and indexes that are small.
 *
 * After a restart none of them is in memory, and each page is waited for on its own, while somebody types. So
 * they are announced to the operating system at once, before the first of them is read, each file in one
 * piece: some hundred pages of thirty files are thirty requests for the disk. It is a hint: what is not
 * there, or is larger than thought, is read when it is needed. A file whose middle page PostgreSQL has in its
 * own memory is taken for one that was read not long ago; the first page of an index is there as soon as
 * anything was looked for in it.
 */
#include "compat.h"

#include <fcntl.h>

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "sql/lookup_ahead.h"
#include "storage/bufmgr.h"
#include "storage/fd.h"
#include "storage/head.h"
#include "storage/smgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* A relation of more pages is not read as a whole by anybody who looks up. */
#define MOST_PAGES 64
/* Of the catalogs pages here and there are needed, far more than a few of some: one request of the disk costs
 * less than to wait for each. */
#define MOST_CATALOG_PAGES 512

static void
ask_for_file(SMgrRelation file, BlockNumber most)
{
#if defined(USE_POSIX_FADVISE) && defined(POSIX_FADV_WILLNEED)
    BlockNumber count = smgrnblocks(file, MAIN_FORKNUM);
    char *path;
    int descriptor;

    if (count == 0 || count > most ||
        BufferIsValid(PrefetchSharedBuffer(file, MAIN_FORKNUM, count / 2).recent_buffer))
        return;
    path = relpath(file->smgr_rnode, MAIN_FORKNUM);
    descriptor = OpenTransientFile(path, O_RDONLY | PG_BINARY);
    if (descriptor >= 0) {
        (void)posix_fadvise(descriptor, 0, (off_t)count * BLCKSZ, POSIX_FADV_WILLNEED);
        (void)CloseTransientFile(descriptor);
    }
    pfree(path);
#endif
}

/* Of a large index the page that says where the root is, and the last one: there the root of an index lies
 * that was built at once. */
static void
ask_for(Relation relation)
{
    BlockNumber count = RelationGetNumberOfBlocks(relation);

    ask_for_file(RelationGetSmgr(relation), MOST_PAGES);
    if (relation->rd_rel->relkind == RELKIND_INDEX && count > MOST_PAGES) {
        (void)PrefetchBuffer(relation, MAIN_FORKNUM, 0);
        (void)PrefetchBuffer(relation, MAIN_FORKNUM, count - 1);
    }
}

/* Long values lie in a table beside it, whose index leads to them. */
static void
ask_for_table(Oid oid, bool long_values)
{
    Relation table = try_relation_open(oid, AccessShareLock);
    List *indexes;
    ListCell *cell;
    Oid beside;

    if (table == NULL)
        return;
    ask_for(table);
    indexes = RelationGetIndexList(table);
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);

        ask_for(index);
        index_close(index, AccessShareLock);
    }
    list_free(indexes);
    beside = table->rd_rel->reltoastrelid;
    relation_close(table, AccessShareLock);
    if (long_values && OidIsValid(beside))
        ask_for_table(beside, false);
}

/*
 * A catalog by the file that it was made with: to open it may need catalogs itself. Where it was written anew
 * since (VACUUM FULL), there is no such file.
 */
static void
ask_for_catalog(Oid oid)
{
    SMgrRelation file = smgropen((RelFileNode){MyDatabaseTableSpace, MyDatabaseId, oid}, InvalidBackendId);

    if (smgrexists(file, MAIN_FORKNUM))
        ask_for_file(file, MOST_CATALOG_PAGES);
}

void
lookup_ahead_of_rights(void)
{
    static const char *const names[] = {"environment", "head", "configuration", "artifact",
                                        "deletion_vector"};
    /* In the order in which they are read. */
    static const Oid catalogs[] = {ProcedureRelationId,
                                   ProcedureNameArgsNspIndexId,
                                   ProcedureOidIndexId,
                                   ClassNameNspIndexId,
                                   ClassOidIndexId,
                                   RelationRelationId,
                                   AttributeRelidNumIndexId,
                                   AttributeRelidNameIndexId,
                                   AttributeRelationId,
                                   CastSourceTargetIndexId,
                                   CastRelationId,
                                   AttrDefaultIndexId,
                                   AttrDefaultRelationId,
                                   IndexIndrelidIndexId,
                                   IndexRelidIndexId,
                                   IndexRelationId,
                                   ConstraintRelidTypidNameIndexId,
                                   ConstraintRelationId,
                                   TriggerRelidNameIndexId,
                                   TriggerRelationId,
                                   OperatorNameNspIndexId,
                                   OperatorOidIndexId,
                                   OperatorRelationId,
                                   AccessMethodOperatorIndexId,
                                   AccessMethodOperatorRelationId,
                                   OpclassAmNameNspIndexId,
                                   OperatorClassRelationId,
                                   AccessMethodProcedureIndexId,
                                   AccessMethodProcedureRelationId,
                                   TypeOidIndexId,
                                   TypeNameNspIndexId,
                                   TypeRelationId,
                                   TSConfigNameNspIndexId,
                                   TSConfigOidIndexId,
                                   TSConfigRelationId,
                                   NamespaceOidIndexId,
                                   NamespaceRelationId};

    if (effective_io_concurrency == 0)
        return;
    for (size_t i = 0; i < lengthof(catalogs); i++)
        ask_for_catalog(catalogs[i]);
    for (size_t i = 0; i < lengthof(names); i++) {
        Oid oid = get_relname_relid(names[i], mastering_namespace());

        if (OidIsValid(oid))
            ask_for_table(oid, true);
    }
}
