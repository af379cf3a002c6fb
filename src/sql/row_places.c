/*
 * row_places.c: see row_places.h. Also key_chunk_placed(entries, segment): a chunk of keys with the places of
 * its rows.
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "engine/key_chunks.h"
#include "miscadmin.h"
#include "sql/row_places.h"
#include "storage/bufmgr.h"
#include "storage/head.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Pages that the operating system is told of before they are wanted. */
#define PAGES_AHEAD 32

/* ---- making ---- */

/* The first row of a page; the rows behind it have the next numbers, but in the one page where numbers begin
 * anew, should the rows have been written in turned order. */
typedef struct page_rows {
    int32 first;
    BlockNumber block;
    OffsetNumber line;
} page_rows;

typedef struct segment_pages {
    int32 segment;
    page_rows *pages;
    Size count;
} segment_pages;

static int
compare_pages(const void *a, const void *b)
{
    const page_rows *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

static AttrNumber
row_column_of(Relation table)
{
    TupleDesc columns = RelationGetDescr(table);

    for (int i = 0; i < columns->natts; i++)
        if (strcmp(NameStr(TupleDescAttr(columns, i)->attname), "#row") == 0)
            return (AttrNumber)(i + 1);
    elog(ERROR, "\"%s\" has no row numbers", RelationGetRelationName(table));
}

/* One row of each page is looked at: those of a segment are written in the order of their numbers. */
static segment_pages *
read_pages(int32 segment, MemoryContext context)
{
    Relation table = table_open(mastering_relation(psprintf("segment_%d", segment)), AccessShareLock);
    AttrNumber row_column = row_column_of(table);
    TupleTableSlot *slot = table_slot_create(table, NULL);
    IndexFetchTableData *fetch = table_index_fetch_begin(table);
    BlockNumber blocks = RelationGetNumberOfBlocks(table);
    BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
    segment_pages *result = MemoryContextAllocZero(context, sizeof(segment_pages));

    result->segment = segment;
    result->pages = MemoryContextAllocHuge(context, mul_size(Max(blocks, 1), sizeof(page_rows)));
    for (BlockNumber block = 0; block < blocks; block++) {
        Buffer buffer;
        OffsetNumber lines;
        ItemPointerData place;

        CHECK_FOR_INTERRUPTS();
        if (block % PAGES_AHEAD == 0)
            for (BlockNumber next = block; next < blocks && next < block + PAGES_AHEAD; next++)
                (void)PrefetchBuffer(table, MAIN_FORKNUM, next);
        buffer = ReadBufferExtended(table, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
        LockBuffer(buffer, BUFFER_LOCK_SHARE);
        lines = PageGetMaxOffsetNumber(BufferGetPage(buffer));
        LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
        for (OffsetNumber line = FirstOffsetNumber; line <= lines; line++) {
            bool again = false, all_dead = false, is_null;

            ItemPointerSet(&place, block, line);
            if (!table_index_fetch_tuple(fetch, &place, GetActiveSnapshot(), slot, &again, &all_dead))
                continue;
            result->pages[result->count++] =
                (page_rows){DatumGetInt32(slot_getattr(slot, row_column, &is_null)), block, line};
            break;
        }
        ReleaseBuffer(buffer);
    }
    table_index_fetch_end(fetch);
    ExecDropSingleTupleTableSlot(slot);
    FreeAccessStrategy(strategy);
    table_close(table, NoLock);
    qsort(result->pages, result->count, sizeof(page_rows), compare_pages);
    return result;
}

static uint32
place_in_pages(const segment_pages *pages, int32 row)
{
    Size low = 0, high = pages->count;
    const page_rows *page;

    while (low < high) {
        Size middle = low + (high - low) / 2;

        if (pages->pages[middle].first <= row)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NO_PLACE;
    page = pages->pages + low - 1;
    if (row - page->first > MaxHeapTuplesPerPage - page->line)
        return NO_PLACE;
    return row_place(page->block, (OffsetNumber)(page->line + (row - page->first)));
}

/* key_chunk_placed(entries, segment): a chunk with the places of its rows in a segment of records. */
MASTERING_FUNCTION(mastering_key_chunk_placed)
{
    const bytea *entries = PG_GETARG_BYTEA_PP(0);
    int32 segment = PG_GETARG_INT32(1);
    int count = key_chunk_count(entries);
    segment_pages *pages = fcinfo->flinfo->fn_extra;
    Size size = (Size)count * KEY_ENTRY_BYTES;
    bytea *placed = palloc(VARHDRSZ + size);
    uint8 *bytes = (uint8 *)VARDATA(placed);

    if (pages == NULL || pages->segment != segment) {
        pages = read_pages(segment, fcinfo->flinfo->fn_mcxt);
        fcinfo->flinfo->fn_extra = pages;
    }
    SET_VARSIZE(placed, VARHDRSZ + size);
    memcpy(bytes, VARDATA_ANY(entries), size);
    for (int i = 0; i < count; i++)
        key_entry_write_place(bytes + i * KEY_ENTRY_BYTES,
                              place_in_pages(pages, key_entry_row(bytes + i * KEY_ENTRY_BYTES)));
    PG_RETURN_BYTEA_P(placed);
}

/* ---- trying ---- */

bool
placed_row_read(segment_rows *rows, AttrNumber row_column, placed_row wanted)
{
    ItemPointerData place = row_place_pointer(wanted.place);
    bool is_null;

    /* Beyond the end of the table there is no page to look at. */
    return wanted.place != NO_PLACE && ItemPointerGetBlockNumber(&place) < rows->blocks &&
           segment_read(rows, &place) &&
           DatumGetInt32(slot_getattr(rows->slot, row_column, &is_null)) == wanted.row;
}

static int
compare_placed(const void *a, const void *b)
{
    const placed_row *x = a, *y = b;

    return x->place < y->place ? -1 : x->place > y->place;
}

static int
compare_pointers(const void *a, const void *b)
{
    return ItemPointerCompare(unconstify(ItemPointerData *, (const ItemPointerData *)a),
                              unconstify(ItemPointerData *, (const ItemPointerData *)b));
}

/* Where the index says that a row lies. */
static void
find_by_index(segment_rows *rows, int32 row, ItemPointerData *places, Size *found)
{
    static const char *const columns[] = {"#row"};
    ScanKeyData key;

    segment_rows_use_index(rows, 1, columns);
    segment_key(rows, &key, 0, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(row));
    segment_begin(rows, &key);
    while (segment_next(rows, ForwardScanDirection))
        places[(*found)++] = rows->slot->tts_tid;
}

ItemPointerData *
placed_rows_find(int32 segment, placed_row *wanted, Size count, Size *found)
{
    segment_rows rows;
    AttrNumber row_column;
    ItemPointerData *places;
    Size unknown = 0, ahead = 0;

    for (Size i = 0; i < count; i++)
        unknown += wanted[i].place == NO_PLACE;
    if (unknown > count / 8 || count > PLACED_ROWS_AT_MOST)
        return NULL;
    segment_rows_open_table(&rows, segment);
    if (count >= rows.blocks) {
        segment_rows_close(&rows);
        return NULL;
    }
    row_column = segment_rows_column(&rows, "#row");
    places = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(count, 1), sizeof(ItemPointerData)));
    *found = 0;
    qsort(wanted, count, sizeof(placed_row), compare_placed);
    for (Size i = 0; i < count; i++) {
        CHECK_FOR_INTERRUPTS();
        for (; ahead < count && ahead < i + PAGES_AHEAD; ahead++)
            if (wanted[ahead].place != NO_PLACE)
                segment_ask_for(&rows, wanted[ahead].place >> PLACE_LINE_BITS);
        if (placed_row_read(&rows, row_column, wanted[i]))
            places[(*found)++] = rows.slot->tts_tid;
        else
            find_by_index(&rows, wanted[i].row, places, found);
    }
    qsort(places, *found, sizeof(ItemPointerData), compare_pointers);
    segment_rows_close(&rows);
    return places;
}
