/*
 * segment_rows.c: see segment_rows.h.
 */
#include "compat.h"

#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "sql/segment_rows.h"
#include "storage/bufmgr.h"
#include "storage/head.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* The order in which the B-tree's inner pages are searched. */
struct segment_descent {
    BlockNumber root;
    uint32 level;
    BTScanInsertData search; /* with room for SEGMENT_KEYS keys: it has room for INDEX_MAX_KEYS */
};

AttrNumber
segment_rows_column(const segment_rows *rows, const char *name)
{
    TupleDesc columns = RelationGetDescr(rows->table);

    for (int i = 0; i < columns->natts; i++)
        if (!TupleDescAttr(columns, i)->attisdropped &&
            strcmp(NameStr(TupleDescAttr(columns, i)->attname), name) == 0)
            return (AttrNumber)(i + 1);
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("\"%s\" has no column \"%s\"", RelationGetRelationName(rows->table), name)));
}

static bool
begins_with(Relation index, int count, const AttrNumber *columns)
{
    if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisvalid ||
        index->rd_index->indnkeyatts < count || RelationGetIndexPredicate(index) != NIL)
        return false;
    for (int i = 0; i < count; i++)
        if (index->rd_index->indkey.values[i] != columns[i] ||
            (index->rd_indoption[i] & (INDOPTION_DESC | INDOPTION_NULLS_FIRST)) != 0)
            return false;
    return true;
}

void
segment_rows_open_table(segment_rows *rows, int32 segment)
{
    *rows =
        (segment_rows){.snapshot = GetActiveSnapshot(), .segment = segment, .asked_for = InvalidBlockNumber};
    rows->table = table_open(mastering_relation(psprintf("segment_%d", segment)), AccessShareLock);
    rows->blocks = RelationGetNumberOfBlocks(rows->table);
    rows->fetch = table_index_fetch_begin(rows->table);
    rows->slot = table_slot_create(rows->table, NULL);
}

static bool
open_index(segment_rows *rows, int key_count, const char *const *columns)
{
    AttrNumber numbers[SEGMENT_KEYS];
    List *indexes;
    ListCell *cell;

    Assert(key_count <= SEGMENT_KEYS);
    for (int i = 0; i < key_count; i++)
        numbers[i] = segment_rows_column(rows, columns[i]);
    indexes = RelationGetIndexList(rows->table);
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);

        if (begins_with(index, key_count, numbers)) {
            rows->index = index;
            break;
        }
        index_close(index, NoLock);
    }
    list_free(indexes);
    if (rows->index == NULL)
        return false;
    rows->key_count = key_count;
    rows->scan = index_beginscan(rows->table, rows->index, rows->snapshot, key_count, 0);
    return true;
}

bool
segment_rows_try(segment_rows *rows, int32 segment, int key_count, const char *const *columns)
{
    segment_rows_open_table(rows, segment);
    if (open_index(rows, key_count, columns))
        return true;
    segment_rows_close(rows);
    return false;
}

static void
refuse(int32 segment, int key_count, const char *const *columns)
{
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("\"segment_%d\" has no index on \"%s\"", segment, columns[0]),
                    errhint("CREATE INDEX ON mastering.segment_%d (\"%s\"%s%s%s)", segment, columns[0],
                            key_count > 1 ? ", \"" : "", key_count > 1 ? columns[1] : "",
                            key_count > 1 ? "\"" : "")));
}

void
segment_rows_open(segment_rows *rows, int32 segment, int key_count, const char *const *columns)
{
    if (!segment_rows_try(rows, segment, key_count, columns))
        refuse(segment, key_count, columns);
}

void
segment_rows_use_index(segment_rows *rows, int key_count, const char *const *columns)
{
    if (rows->index == NULL && !open_index(rows, key_count, columns))
        refuse(rows->segment, key_count, columns);
}

/* Locks stay to the end of the transaction, as those of a query do. */
void
segment_rows_close(segment_rows *rows)
{
    ExecDropSingleTupleTableSlot(rows->slot);
    table_index_fetch_end(rows->fetch);
    if (rows->index != NULL) {
        index_endscan(rows->scan);
        index_close(rows->index, NoLock);
    }
    table_close(rows->table, NoLock);
}

void
segment_key(const segment_rows *rows, ScanKeyData *key, int k, StrategyNumber strategy, RegProcedure operator,
            Datum value)
{
    ScanKeyEntryInitialize(key, 0, (AttrNumber)(k + 1), strategy, InvalidOid,
                           rows->index->rd_indcollation[k], operator, value);
}

/* Nothing where the setting says that the disk reads one thing at a time. */
void
segment_ask_for(segment_rows *rows, BlockNumber block)
{
    if (effective_io_concurrency == 0 || block == rows->asked_for || block >= rows->blocks)
        return;
    (void)PrefetchBuffer(rows->table, MAIN_FORKNUM, block);
    rows->asked_for = block;
}

/* NULL where there is nothing above the leaves. */
static segment_descent *
begin_descent(const segment_rows *rows)
{
    segment_descent *descent = palloc0(sizeof(segment_descent));
    Buffer buffer = ReadBuffer(rows->index, BTREE_METAPAGE);
    const BTMetaPageData *meta;

    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    meta = BTPageGetMeta(BufferGetPage(buffer));
    descent->root = meta->btm_fastroot;
    descent->level = meta->btm_magic == BTREE_MAGIC ? meta->btm_fastlevel : 0;
    descent->search.heapkeyspace = meta->btm_version > BTREE_NOVAC_VERSION;
    UnlockReleaseBuffer(buffer);
    descent->search.keysz = rows->key_count;
    return descent;
}

/* Of an inner page, the page below it on the way to the keys. */
static BlockNumber
page_below(Relation index, BTScanInsert search, BlockNumber block, uint32 level)
{
    Buffer buffer = ReadBuffer(index, block);
    Page page = BufferGetPage(buffer);
    BTPageOpaque opaque;
    OffsetNumber low, high;
    BlockNumber below = InvalidBlockNumber;

    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    opaque = BTPageGetOpaque(page);
    if (!P_IGNORE(opaque) && !P_ISLEAF(opaque) && opaque->btpo_level == level) {
        low = P_FIRSTDATAKEY(opaque);
        high = OffsetNumberNext(PageGetMaxOffsetNumber(page));
        while (low < high) {
            OffsetNumber middle = low + (high - low) / 2;

            if (_bt_compare(index, search, page, middle) > 0)
                low = OffsetNumberNext(middle);
            else
                high = middle;
        }
        if (low > P_FIRSTDATAKEY(opaque))
            below = BTreeTupleGetDownLink(
                (IndexTuple)PageGetItem(page, PageGetItemId(page, OffsetNumberPrev(low))));
    }
    UnlockReleaseBuffer(buffer);
    return below;
}

static void
set_search(segment_rows *rows, const Datum *values)
{
    if (rows->descent == NULL)
        rows->descent = begin_descent(rows);
    for (int i = 0; i < rows->key_count; i++)
        ScanKeyEntryInitializeWithInfo(&rows->descent->search.scankeys[i], 0, (AttrNumber)(i + 1),
                                       InvalidStrategy, InvalidOid, rows->index->rd_indcollation[i],
                                       index_getprocinfo(rows->index, i + 1, BTORDER_PROC), values[i]);
}

/*
 * The inner pages of an index are few and stay in memory, its leaves are not: each would be waited for. Where
 * a page is split meanwhile, the wrong leaf is asked for, and the right one is read when it is needed.
 */
void
segment_expect(segment_rows *rows, const Datum *values)
{
    BlockNumber block;

    if (effective_io_concurrency == 0)
        return;
    set_search(rows, values);
    block = rows->descent->root;
    for (uint32 level = rows->descent->level; level > 0; level--) {
        block = page_below(rows->index, &rows->descent->search, block, level);
        if (!BlockNumberIsValid(block))
            return;
    }
    if (rows->descent->level > 0)
        (void)PrefetchBuffer(rows->index, MAIN_FORKNUM, block);
}

/* Of a large index that was not read for long not even the inner pages are in memory. */
void
segment_expect_many(segment_rows *rows, const Datum *values, uint32 count)
{
    BlockNumber *blocks;

    if (effective_io_concurrency == 0 || count == 0)
        return;
    set_search(rows, values);
    blocks = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(count, sizeof(BlockNumber)));
    for (uint32 i = 0; i < count; i++)
        blocks[i] = rows->descent->root;
    for (uint32 level = rows->descent->level; level > 0; level--) {
        BlockNumber asked_for = InvalidBlockNumber;

        for (uint32 i = 0; i < count; i++) {
            if (!BlockNumberIsValid(blocks[i]))
                continue;
            set_search(rows, values + (Size)i * rows->key_count);
            blocks[i] = page_below(rows->index, &rows->descent->search, blocks[i], level);
            if (BlockNumberIsValid(blocks[i]) && blocks[i] != asked_for)
                (void)PrefetchBuffer(rows->index, MAIN_FORKNUM, blocks[i]);
            asked_for = blocks[i];
        }
        CHECK_FOR_INTERRUPTS();
    }
    pfree(blocks);
}

void
segment_expect_upper(const segment_rows *rows)
{
    BlockNumber count = RelationGetNumberOfBlocks(rows->index);

    if (effective_io_concurrency == 0 || count == 0)
        return;
    (void)PrefetchBuffer(rows->index, MAIN_FORKNUM, BTREE_METAPAGE);
    (void)PrefetchBuffer(rows->index, MAIN_FORKNUM, count - 1);
}

void
segment_expect_index(Relation index)
{
    BlockNumber count = RelationGetNumberOfBlocks(index);

    if (effective_io_concurrency == 0)
        return;
    for (BlockNumber block = 0; block < count; block++)
        (void)PrefetchBuffer(index, MAIN_FORKNUM, block);
}

uint32
segment_find(segment_rows *rows, ScanKeyData *keys, ScanDirection direction, uint32 most,
             segment_places *places, int32 part, uint32 n)
{
    uint32 found = 0;
    ItemPointer at;

    segment_begin(rows, keys);
    for (; found < most && (at = index_getnext_tid(rows->scan, direction)) != NULL; found++) {
        if (places->count == places->room) {
            places->room = Max(places->room * 2, 64);
            places->all = places->all == NULL
                              ? palloc(sizeof(segment_place) * places->room)
                              : repalloc_huge(places->all, sizeof(segment_place) * places->room);
        }
        places->all[places->count++] = (segment_place){*at, part, n};
        segment_ask_for(rows, ItemPointerGetBlockNumber(at));
    }
    return found;
}

bool
segment_read(segment_rows *rows, const ItemPointerData *place)
{
    ItemPointerData found = *place; /* moves along the row's versions */
    bool again = false, all_dead = false;

    return table_index_fetch_tuple(rows->fetch, &found, rows->snapshot, rows->slot, &again, &all_dead);
}

void
segment_begin(segment_rows *rows, ScanKeyData *keys)
{
    index_rescan(rows->scan, keys, rows->key_count, NULL, 0);
}

bool
segment_next(segment_rows *rows, ScanDirection direction)
{
    return index_getnext_slot(rows->scan, direction, rows->slot);
}
