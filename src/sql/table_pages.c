/*
 * table_pages.c: see table_pages.h.
 *
 * A page is new, and nobody knows of it until it is whole: it is filled in private memory, and under the lock
 * of its buffer it is copied, marked and logged in one critical section. The record of the log is the one
 * that heap_multi_insert writes for a page that it begins, so that replay, and what reads the log, know it.
 * Tables whose rows are decoded from the log go the other way.
 *
 * The table is extended by many pages at once, for to write each page as zeros first, so that it is there,
 * would take longer than all else: their space is reserved, their buffers are locked, and the last one is
 * written. Who scans the table then waits for a page until it is filled.
 *
 * All values have 8 bytes; a tuple's head is 24, with or without NULLs, for tables have at most 8 columns
 * here.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* fallocate */
#endif
#include "compat.h"

#include <fcntl.h>

#include "access/heapam.h"
#include "access/heapam_xlog.h"
#include "access/hio.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/catalog.h"
#include "catalog/pg_type.h"
#include "common/relpath.h"
#include "engine/big_memory.h"
#include "kernel/logistic.h"
#include "kernel/parallel.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "sql/table_pages.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/fd.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "storage/proc.h"
#include "storage/smgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define PAGES_AT_ONCE 128
#define PAGES_AN_ITEM 8
#define PAGES_A_STEP 64   /* by which the table is extended at once, at most */
#define MUCH_OF_BUFFERS 8 /* an eighth of them */
#define RECORDS_AHEAD 32  /* whose clusters are fetched while others are written */
#define TUPLE_HEAD MAXALIGN(SizeofHeapTupleHeader + 1)
#define MOST_COLUMNS 8

/* A page, and what the log needs of it. */
typedef struct made_page {
    char *page;
    char *log;
    Size log_size;
    BlockNumber block; /* where its tuples say they are */
    int rows;
} made_page;

typedef struct page_maker {
    const record_store *store;
    const clustering *clusters;
    Relation relation;
    int columns;                /* of the table */
    int contents[MOST_COLUMNS]; /* which value of CLUSTER_COLUMNS; -1: none, the column was dropped */
    uint32 rows_a_page;
    int pages_a_step;         /* by which the table is extended at once, at most */
    int file;                 /* the table's, in which space is reserved; -1: none is open */
    BlockNumber segment;      /* which of them */
    uint32 first;             /* record of the first page that threads make */
    BlockNumber block;        /* where that page is, if nobody else extends the table meanwhile */
    Size tuple_size;          /* of a row without NULLs */
    Size less_alone;          /* of that, in the row of a record alone: what has no weakest link */
    bool of_clusters;         /* it has columns for what is kept by cluster */
    HeapTupleHeaderData head; /* of a row without NULLs */
    bool logged;
    XLogRecPtr logged_to;
    made_page *pages;                 /* that they make */
    made_page sets[2][PAGES_AT_ONCE]; /* these are one of two: the main thread adds the others meanwhile */
} page_maker;

bool
table_pages_can(const table_writer *writer, const record_store *store)
{
    Relation relation = table_writer_relation(writer);
    TupleDesc columns = RelationGetDescr(relation);
    int32 typmod;

    if (store->integer_ids == NULL || table_writer_id_type(writer, &typmod) != INT8OID ||
        columns->natts > MOST_COLUMNS || relation->rd_tableam != GetHeapamTableAmRoutine() ||
        RelationIsLogicallyLogged(relation))
        return false;
    return true;
}

/* ---- threads ---- */

/* Whether a row has no weakest link: that its size says so is asked only where there is a column for it. */
static inline bool
lacks_link(const page_maker *maker, uint32 record)
{
    return maker->less_alone > 0 && maker->clusters->size[maker->clusters->cluster[record]] == 1;
}

static void
make_tuple(const page_maker *maker, uint32 record, bool alone, HeapTupleHeader tuple)
{
    const clustering *clusters = maker->clusters;
    uint32 cluster = clusters->cluster[record];
    int64 id = maker->store->integer_ids[record], name = maker->store->integer_ids[cluster];
    char *place = (char *)tuple + TUPLE_HEAD;
    bits8 present = 0;

    memcpy(tuple, &maker->head, SizeofHeapTupleHeader);
    for (int i = 0; i < maker->columns; i++) {
        int c = maker->contents[i];
        int64 number = c == 0 ? id : name;

        if (c < 0 || (c == 3 && alone))
            continue;
        if (c == 2)
            number = clusters->size[cluster];
        else if (c == 3) {
            double share = weight_to_bits(clusters->weakest_link[cluster]);

            memcpy(&number, &share, sizeof number);
        }
        memcpy(place, &number, sizeof number);
        place += sizeof number;
        present |= (bits8)(1 << i);
    }
    tuple->t_bits[0] = 0;
    if (present != (1 << maker->columns) - 1) {
        tuple->t_infomask |= HEAP_HASNULL;
        tuple->t_bits[0] = present;
    }
}

/* The same for the log; returns where the next one goes. */
static char *
log_tuple(char *log, HeapTupleHeader tuple, Size size)
{
    xl_multi_insert_tuple *head = (xl_multi_insert_tuple *)SHORTALIGN(log);

    head->datalen = (uint16)(size - SizeofHeapTupleHeader);
    head->t_infomask = tuple->t_infomask;
    head->t_infomask2 = tuple->t_infomask2;
    head->t_hoff = tuple->t_hoff;
    log = (char *)head + SizeOfMultiInsertTuple;
    memcpy(log, (char *)tuple + SizeofHeapTupleHeader, head->datalen);
    return log + head->datalen;
}

/* The record that names a cluster lies anywhere. */
FETCH_INLINE void
fetch_cluster(const page_maker *maker, uint32 record)
{
    uint32 cluster = maker->clusters->cluster[record];

    __builtin_prefetch(&maker->store->integer_ids[cluster]);
    if (maker->of_clusters) {
        __builtin_prefetch(&maker->clusters->size[cluster]);
        __builtin_prefetch(&maker->clusters->weakest_link[cluster]);
    }
}

static void
make_page(const page_maker *maker, uint32 p)
{
    uint32 first = maker->first + p * maker->rows_a_page,
           end = Min(first + maker->rows_a_page, maker->store->records.count);
    made_page *made = &maker->pages[p];
    PageHeader header = (PageHeader)made->page;
    char *log = made->log;
    LocationIndex upper;

    PageInit(made->page, BLCKSZ, 0);
    made->block = maker->block + p;
    upper = header->pd_upper;
    for (uint32 record = first; record < end; record++) {
        bool alone = lacks_link(maker, record);
        Size size = maker->tuple_size - (alone ? maker->less_alone : 0);
        HeapTupleHeader tuple;

        if (record + RECORDS_AHEAD < maker->store->records.count)
            fetch_cluster(maker, record + RECORDS_AHEAD);
        upper -= size;
        tuple = (HeapTupleHeader)(made->page + upper);
        make_tuple(maker, record, alone, tuple);
        ItemPointerSet(&tuple->t_ctid, made->block, (OffsetNumber)(record - first + 1));
        ItemIdSetNormal(&header->pd_linp[record - first], upper, size);
        if (maker->logged)
            log = log_tuple(log, tuple, size);
    }
    header->pd_upper = upper;
    header->pd_lower += (end - first) * sizeof(ItemIdData);
    made->rows = (int)(end - first);
    made->log_size = (Size)(log - made->log);
}

/* How many pages there are from that record on, at most as many as are made at once. */
static uint32
pages_from(const page_maker *maker, uint32 first)
{
    uint32 left = maker->store->records.count - first;

    return Min(PAGES_AT_ONCE, (left + maker->rows_a_page - 1) / maker->rows_a_page);
}

static void
make_some_pages(void *context, int64_t item, int thread)
{
    const page_maker *maker = context;
    uint32 pages = pages_from(maker, maker->first);

    for (uint32 p = (uint32)item * PAGES_AN_ITEM; p < Min(((uint32)item + 1) * PAGES_AN_ITEM, pages); p++)
        make_page(maker, p);
}

/* ---- the main thread ---- */

static XLogRecPtr
log_page(const made_page *made, Buffer buffer)
{
    xl_heap_multi_insert record = {.flags = XLH_INSERT_LAST_IN_MULTI, .ntuples = (uint16)made->rows};
    XLogRecPtr place;

    XLogBeginInsert();
    XLogRegisterData((char *)&record, SizeOfHeapMultiInsert);
    XLogRegisterBuffer(0, buffer, REGBUF_STANDARD | REGBUF_WILL_INIT);
    XLogRegisterBufData(0, made->log, (int)made->log_size);
    XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
    place = XLogInsert(RM_HEAP2_ID, XLOG_HEAP2_MULTI_INSERT | XLOG_HEAP_INIT_PAGE);
    PageSetLSN(BufferGetPage(buffer), place);
    return place;
}

/*
 * Reserves space on the disk for pages from that one on, all of one file, which does not get longer by that;
 * false where that cannot be done. A table that ends behind pages that were never written would take their
 * space when they are written: by whom, and with what error, nobody could say.
 */
static bool
reserve_space(page_maker *maker, BlockNumber first, int pages)
{
#ifdef FALLOC_FL_KEEP_SIZE
    Relation relation = maker->relation;
    off_t start = (off_t)(first % RELSEG_SIZE) * BLCKSZ;

    if (maker->file < 0 || maker->segment != first / RELSEG_SIZE) {
        char *path = relpathbackend(relation->rd_node, relation->rd_backend, MAIN_FORKNUM);

        if (maker->file >= 0)
            (void)CloseTransientFile(maker->file);
        maker->segment = first / RELSEG_SIZE;
        maker->file = OpenTransientFile(maker->segment == 0 ? path : psprintf("%s.%u", path, maker->segment),
                                        O_RDWR | PG_BINARY);
        if (maker->file < 0)
            return false;
    }
    while (fallocate(maker->file, FALLOC_FL_KEEP_SIZE, start, (off_t)pages * BLCKSZ) != 0) {
        if (errno == ENOSPC || errno == EDQUOT)
            ereport(ERROR, (errcode_for_file_access(),
                            errmsg("could not extend table \"%s\": %m", RelationGetRelationName(relation)),
                            errhint("Check free disk space.")));
        if (errno != EINTR) /* no such call here, or none for this file: what is written tells more */
            return false;
    }
    return true;
#else
    return false;
#endif
}

/*
 * How many of so many pages the table can be extended by at once, from its end: one where they have no space,
 * for that will be written, and one where a file begins, for it is not there yet.
 */
static int
pages_at_once(page_maker *maker, BlockNumber end, int pages)
{
    BlockNumber left = RELSEG_SIZE - end % RELSEG_SIZE; /* of the file */

    if (left == RELSEG_SIZE && end > 0)
        return 1;
    pages = (int)Min((BlockNumber)pages, left);
    return pages > 1 && reserve_space(maker, end, pages) ? pages : 1;
}

/*
 * Looks at the buffers beside this one: the next one is likely to be one of them, as free ones are taken in
 * their order or, where a table gave them back, the other way round. Around a page that is read the system
 * maps others, too; one that is written it maps alone, at a microsecond each.
 */
static inline void
map_neighbours(Buffer buffer)
{
    if (buffer > 0 && buffer < NBuffers)
        (void)*(const volatile char *)BufferGetPage(buffer + 1);
    if (buffer > 1)
        (void)*(const volatile char *)BufferGetPage(buffer - 1);
}

/*
 * Extends the table by so many pages or fewer, whose number it returns; their buffers are pinned, locked and
 * zero. Nobody can ask for a page behind the end, so all are locked before the table ends behind them.
 */
static int
extend_table(page_maker *maker, int pages, BufferAccessStrategy strategy, Buffer *buffers)
{
    static PGAlignedBlock zero; /* stays so */
    Relation relation = maker->relation;
    bool shared = !RELATION_IS_LOCAL(relation);
    BlockNumber end;

    if (shared)
        LockRelationForExtension(relation, ExclusiveLock);
    end = RelationGetNumberOfBlocks(relation);
    if (MaxBlockNumber - end < (BlockNumber)pages)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("cannot extend table \"%s\" beyond %u blocks",
                               RelationGetRelationName(relation), MaxBlockNumber)));
    pages = pages_at_once(maker, end, pages);
    for (int p = 0; p < pages; p++) {
        buffers[p] =
            ReadBufferExtended(relation, MAIN_FORKNUM, end + (BlockNumber)p, RBM_ZERO_AND_LOCK, strategy);
        if (!PageIsNew(BufferGetPage(buffers[p])))
            elog(ERROR, "page %u of relation \"%s\" should be empty but is not",
                 BufferGetBlockNumber(buffers[p]), RelationGetRelationName(relation));
        map_neighbours(buffers[p]);
    }
    smgrextend(RelationGetSmgr(relation), MAIN_FORKNUM, end + (BlockNumber)pages - 1, zero.data, false);
    if (shared)
        UnlockRelationForExtension(relation, ExclusiveLock);
    return pages;
}

static void
fill_page(page_maker *maker, const made_page *made, Buffer buffer)
{
    Page page = BufferGetPage(buffer);
    BlockNumber block = BufferGetBlockNumber(buffer);

    START_CRIT_SECTION();
    memcpy(page, made->page, BLCKSZ);
    for (int i = 0; i < made->rows && block != made->block; i++) {
        HeapTupleHeader tuple = (HeapTupleHeader)PageGetItem(page, PageGetItemId(page, i + 1));

        ItemPointerSet(&tuple->t_ctid, block, (OffsetNumber)(i + 1));
    }
    MarkBufferDirty(buffer);
    if (maker->logged)
        maker->logged_to = log_page(made, buffer);
    END_CRIT_SECTION();
    UnlockReleaseBuffer(buffer);
}

/*
 * Extends the table by pages that were made. The server's process for that writes the log meanwhile, which it
 * would be asked to only when this transaction, or one that does not wait for it, ends.
 */
static void
add_pages(page_maker *maker, const made_page *made, int count, BufferAccessStrategy strategy)
{
    Buffer buffers[PAGES_A_STEP];

    for (int first = 0, pages; first < count; first += pages) {
        CHECK_FOR_INTERRUPTS();
        pages = extend_table(maker, Min(count - first, maker->pages_a_step), strategy, buffers);
        for (int p = 0; p < pages; p++)
            fill_page(maker, &made[first + p], buffers[p]);
        if (maker->logged)
            XLogSetAsyncXactLSN(maker->logged_to);
    }
}

/*
 * By how many pages to extend the table at once: their buffers are pinned and locked together. A session's
 * share of the buffers, or some of the local ones of a temporary table.
 */
static int
step_of(Relation relation)
{
    int most =
        relation->rd_islocaltemp ? num_temp_buffers / 4 : NBuffers / (MaxBackends + NUM_AUXILIARY_PROCS);

    return Max(Min(most, PAGES_A_STEP), 1);
}

/* What would take much of the buffers goes through a few of them; what would not stays there. */
static BufferAccessStrategy
strategy_for(const page_maker *maker)
{
    bool much = maker->store->records.count / maker->rows_a_page > (uint32)NBuffers / MUCH_OF_BUFFERS;

    return much ? GetAccessStrategy(BAS_BULKWRITE) : NULL;
}

static void
prepare(page_maker *maker, const table_writer *writer)
{
    Relation relation = maker->relation;
    Size free_space = RelationGetTargetPageFreeSpace(relation, HEAP_DEFAULT_FILLFACTOR);
    Size log_size;

    maker->columns = RelationGetDescr(relation)->natts;
    for (int i = 0; i < maker->columns; i++)
        maker->contents[i] = -1;
    maker->tuple_size = TUPLE_HEAD;
    for (int c = 0; c < CLUSTER_COLUMNS; c++)
        if (table_writer_attribute(writer, c) >= 0) {
            maker->contents[table_writer_attribute(writer, c)] = c;
            maker->tuple_size += sizeof(int64);
        }
    maker->less_alone = table_writer_attribute(writer, 3) >= 0 ? sizeof(double) : 0;
    maker->of_clusters = table_writer_attribute(writer, 2) >= 0 || maker->less_alone > 0;
    maker->rows_a_page =
        (uint32)Max((BLCKSZ - SizeOfPageHeaderData - Min(free_space, BLCKSZ - SizeOfPageHeaderData)) /
                        (maker->tuple_size + sizeof(ItemIdData)),
                    1);
    maker->pages_a_step = step_of(relation);
    maker->file = -1;
    maker->logged = RelationNeedsWAL(relation);
    HeapTupleHeaderSetXmin(&maker->head, GetCurrentTransactionId());
    maker->head.t_choice.t_heap.t_field3.t_cid = table_writer_command(writer);
    maker->head.t_infomask = HEAP_XMAX_INVALID;
    HeapTupleHeaderSetNatts(&maker->head, maker->columns);
    maker->head.t_hoff = TUPLE_HEAD;

    log_size = MAXALIGN((maker->tuple_size + SizeOfMultiInsertTuple + 1) * maker->rows_a_page);
    for (int p = 0; p < 2 * PAGES_AT_ONCE; p++) {
        made_page *made = &maker->sets[p / PAGES_AT_ONCE][p % PAGES_AT_ONCE];

        made->page = palloc(BLCKSZ);
        made->log = maker->logged ? palloc(log_size) : NULL;
    }
}

/* Threads make pages while the main thread adds those that they made before. */
static void
make_and_add(page_maker *maker, int threads, BufferAccessStrategy strategy)
{
    uint32 count = maker->store->records.count, made = 0;

    maker->block = RelationGetNumberOfBlocks(maker->relation);
    for (int turn = 0; made > 0 || maker->first < count; turn++) {
        const made_page *ready = maker->sets[1 - turn % 2];
        uint32 next = maker->first < count ? pages_from(maker, maker->first) : 0;

        maker->pages = maker->sets[turn % 2];
        parallel_begin(threads, (next + PAGES_AN_ITEM - 1) / PAGES_AN_ITEM, make_some_pages, maker);
        add_pages(maker, ready, (int)made, strategy);
        parallel_end();
        made = next;
        maker->block += next;
        maker->first += Min(next * maker->rows_a_page, count - maker->first);
    }
}

/* After an error: no thread may go on with memory that is about to be freed. */
static void
abandon(void *maker)
{
    parallel_abandon(maker);
}

/*
 * What threads work with, in a context that goes before the records and their clusters do: of the children of
 * a context the latest goes first.
 */
static page_maker *
create_maker(const record_store *store, MemoryContext *context)
{
    MemoryContextCallback *callback;
    page_maker *maker;

    *context = AllocSetContextCreate(store->context, "mastering pages", ALLOCSET_DEFAULT_SIZES);
    maker = MemoryContextAllocZero(*context, sizeof(page_maker));
    callback = MemoryContextAlloc(*context, sizeof(MemoryContextCallback));
    callback->func = abandon;
    callback->arg = maker;
    MemoryContextRegisterResetCallback(*context, callback);
    maker->store = store;
    return maker;
}

void
table_pages_write(table_writer *writer, const record_store *store, const clustering *clusters, int threads)
{
    MemoryContext context, before;
    page_maker *maker = create_maker(store, &context);
    BufferAccessStrategy strategy;

    maker->clusters = clusters;
    maker->relation = table_writer_relation(writer);
    table_writer_check(writer);
    before = MemoryContextSwitchTo(context);
    prepare(maker, writer);
    MemoryContextSwitchTo(before);
    strategy = strategy_for(maker);
    CheckForSerializableConflictIn(maker->relation, NULL, InvalidBlockNumber);
    make_and_add(maker, threads, strategy);
    /* Who began to read the table after the first check, and saw its end before the first page, is not
     * missed. */
    CheckForSerializableConflictIn(maker->relation, NULL, InvalidBlockNumber);
    pgstat_count_heap_insert(maker->relation, store->records.count);
    if (strategy != NULL)
        FreeAccessStrategy(strategy);
    if (maker->file >= 0)
        (void)CloseTransientFile(maker->file);
    MemoryContextDelete(context);
}
