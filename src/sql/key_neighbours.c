/*
 * key_neighbours.c: key_neighbours(asked, key_segments, record_segments, vectors, own, known, fetched): the
 * rows of a version that have one of many keys, how large the blocks of these keys are, and, where few of a
 * segment are going to be fetched, where they lie (sql/row_places.h).
 *
 * Of each segment of records there is a segment of keys (engine/key_chunks.h). The keys that are asked for
 * are sorted once. Where they are few beside a segment's chunks, the chunks that may hold them are found by
 * the index on (rule, first), which lies in memory where the chunks do not, and are then fetched in the order
 * in which they lie, the next ones announced to the operating system. Where they are many, the chunks are
 * read one after the other. Either way a chunk is read once, and what it shares with the keys is noted in
 * sets of row numbers and in counters of the keys: nothing goes through the executor entry by entry.
 *
 * Segments are never changed but by an erasure, which takes entries out of a chunk and leaves its first key.
 */
#include "compat.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "engine/key_chunks.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "sql/chunk_places.h"
#include "sql/row_places.h"
#include "sql/segment_rows.h"
#include "storage/bufmgr.h"
#include "storage/deletion_vector.h"
#include "tcop/dest.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* A chunk fetched on its own costs as much as some five that are read in a row. */
#define CHUNKS_READ_PER_LOOKUP 5
/* Chunks that the operating system is told of before they are wanted. */
#define CHUNKS_AHEAD 32

/* A set of row numbers. */
typedef struct row_set {
    uint64 *words;
    Size count;
} row_set;

/* A segment of records and that of its keys. */
typedef struct part {
    int32 key_segment, record_segment;
    int64 vector; /* of the records that are gone; 0: none */
    row_set found, own, known;
    Size new_count;     /* found and not known */
    placed_row *placed; /* these, and where they were, unless they are too many */
    Size placed_room;
} part;

typedef struct search {
    DestReceiver receiver;
    Oid types[2]; /* of the columns that are received */
    asked_key *asked;
    Size count, room;
    part *parts;
    int part_count;
    Size set;              /* which set of the parts is received: its place in them */
    MemoryContext context; /* of the sets */
} search;

/* ---- sets of rows ---- */

static void
row_set_add(MemoryContext context, row_set *set, int32 row)
{
    Size word = (uint32)row / 64;

    if (word >= set->count) {
        Size count = Max(word + 1, set->count * 2);

        set->words = set->words == NULL ? MemoryContextAllocHuge(context, count * sizeof(uint64))
                                        : repalloc_huge(set->words, count * sizeof(uint64));
        memset(set->words + set->count, 0, (count - set->count) * sizeof(uint64));
        set->count = count;
    }
    set->words[word] |= UINT64_C(1) << row % 64;
}

static inline bool
row_set_has(const row_set *set, int32 row)
{
    Size word = (uint32)row / 64;

    return word < set->count && (set->words[word] >> row % 64 & 1) != 0;
}

/* ---- what is asked ---- */

static int
compare_asked(const void *a, const void *b)
{
    const asked_key *x = a, *y = b;

    if (x->rule != y->rule)
        return x->rule < y->rule ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

static void
start_receiving(DestReceiver *self, int operation, TupleDesc description)
{
    const search *search = (struct search *)self;

    for (int i = 0; i < 2; i++)
        if (description->natts != 2 || TupleDescAttr(description, i)->atttypid != search->types[i])
            ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                            errmsg("a query for keys or rows gives columns %s and %s",
                                   format_type_be(search->types[0]), format_type_be(search->types[1]))));
}

static void
ignore_receiver(DestReceiver *self)
{
}

static bool
receive_asked(TupleTableSlot *slot, DestReceiver *self)
{
    search *search = (struct search *)self;

    slot_getallattrs(slot);
    if (slot->tts_isnull[0] || slot->tts_isnull[1])
        return true;
    if (search->count == search->room) {
        search->room *= 2;
        search->asked = repalloc_huge(search->asked, mul_size(search->room, sizeof(asked_key)));
    }
    search->asked[search->count++] =
        (asked_key){DatumGetInt32(slot->tts_values[0]), DatumGetInt64(slot->tts_values[1]), 0, 0};
    return true;
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
    search *search = (struct search *)self;

    slot_getallattrs(slot);
    if (slot->tts_isnull[0] || slot->tts_isnull[1])
        return true;
    for (int p = 0; p < search->part_count; p++)
        if (search->parts[p].record_segment == DatumGetInt32(slot->tts_values[0]))
            row_set_add(search->context, (row_set *)((char *)(search->parts + p) + search->set),
                        DatumGetInt32(slot->tts_values[1]));
    return true;
}

static void
run_query(const char *query, search *search)
{
    SPIExecuteOptions options = {.read_only = false, .dest = &search->receiver};
    MemoryContext caller = CurrentMemoryContext;
    int result;

    SPI_connect();
    result = SPI_execute_extended(query, &options);
    if (result < 0)
        elog(ERROR, "keys or rows could not be read: %s", SPI_result_code_string(result));
    SPI_finish();
    MemoryContextSwitchTo(caller);
}

static void
read_asked(search *search, const char *query)
{
    Size kept = 0;

    search->room = 1024;
    search->asked = palloc(search->room * sizeof(asked_key));
    search->types[0] = INT4OID;
    search->types[1] = INT8OID;
    search->receiver.receiveSlot = receive_asked;
    run_query(query, search);
    qsort(search->asked, search->count, sizeof(asked_key), compare_asked);
    for (Size i = 0; i < search->count; i++)
        if (kept == 0 || compare_asked(search->asked + kept - 1, search->asked + i) != 0)
            search->asked[kept++] = search->asked[i];
    search->count = kept;
}

/* Of a query, where there is one. */
static void
read_set(search *search, FunctionCallInfo fcinfo, int argument, Size set)
{
    if (PG_ARGISNULL(argument))
        return;
    search->set = set;
    search->types[0] = search->types[1] = INT4OID;
    search->receiver.receiveSlot = receive_row;
    run_query(text_to_cstring(PG_GETARG_TEXT_PP(argument)), search);
}

/* ---- chunks ---- */

static void
note_entry(const search *search, part *part, asked_key *asked, const uint8 *entry)
{
    int32 row = key_entry_row(entry);

    if (part->vector != 0 && mastering_vector_contains(part->vector, row))
        return;
    asked->size++;
    asked->own += row_set_has(&part->own, row);
    if (row_set_has(&part->found, row))
        return;
    row_set_add(search->context, &part->found, row);
    if (row_set_has(&part->known, row))
        return;
    if (part->new_count++ >= PLACED_ROWS_AT_MOST)
        return;
    if (part->new_count > part->placed_room) {
        part->placed_room = Max(part->placed_room * 2, 1024);
        part->placed = part->placed == NULL
                           ? MemoryContextAllocHuge(search->context, part->placed_room * sizeof(placed_row))
                           : repalloc_huge(part->placed, mul_size(part->placed_room, sizeof(placed_row)));
    }
    part->placed[part->new_count - 1] = (placed_row){row, key_entry_place(entry)};
}

/* The place of the first asked key that is not less. */
static Size
find_asked(const search *search, int32 rule, int64 key)
{
    asked_key wanted = {rule, key, 0, 0};
    Size low = 0, high = search->count;

    while (low < high) {
        Size middle = low + (high - low) / 2;

        if (compare_asked(search->asked + middle, &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes what a chunk has of the asked keys of a rule from one place to another. */
static void
match_chunk(search *search, part *part, int32 rule, const bytea *entries, Size next, Size end)
{
    const uint8 *bytes = (const uint8 *)VARDATA_ANY(entries);
    int count = key_chunk_count(entries), at = 0;

    for (; next < end && search->asked[next].rule == rule; next++) {
        int64 key = search->asked[next].key;

        at += key_chunk_find(bytes + at * KEY_ENTRY_BYTES, count - at, key);
        if (at == count)
            break;
        for (; at < count && key_entry_key(bytes + at * KEY_ENTRY_BYTES) == key; at++)
            note_entry(search, part, search->asked + next, bytes + at * KEY_ENTRY_BYTES);
    }
}

static Datum
column(TupleTableSlot *slot, AttrNumber attribute)
{
    bool is_null;
    Datum value = slot_getattr(slot, attribute, &is_null);

    if (is_null)
        elog(ERROR, "a chunk of keys has no value in column %d", attribute);
    return value;
}

/* A chunk as it lies in its page, which is how it is written; or a copy, to be freed. */
static const bytea *
entries_of(TupleTableSlot *slot, AttrNumber attribute, bytea **copy)
{
    Datum chunk = column(slot, attribute);
    bytea *entries = DatumGetByteaPP(chunk);

    *copy = (Pointer)entries == DatumGetPointer(chunk) ? NULL : entries;
    return entries;
}

static void
free_copy(bytea **copy)
{
    if (*copy != NULL)
        pfree(*copy);
}

static AttrNumber
column_number(Relation relation, const char *name)
{
    AttrNumber number = get_attnum(RelationGetRelid(relation), name);

    if (number == InvalidAttrNumber)
        elog(ERROR, "\"%s\" is no segment of keys", RelationGetRelationName(relation));
    return number;
}

static void
read_chunks(search *search, part *part, Relation relation)
{
    AttrNumber first = column_number(relation, "first"), rule = column_number(relation, "rule"),
               entries = column_number(relation, "entries");
    TupleTableSlot *slot = table_slot_create(relation, NULL);
    TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, NULL);
    bytea *copy;

    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        int32 of_rule = DatumGetInt32(column(slot, rule));

        CHECK_FOR_INTERRUPTS();
        match_chunk(search, part, of_rule, entries_of(slot, entries, &copy),
                    find_asked(search, of_rule, DatumGetInt64(column(slot, first))), search->count);
        free_copy(&copy);
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
}

/* The index on (rule, first); InvalidOid where there is none. */
static Oid
chunk_index(Relation relation)
{
    AttrNumber rule = column_number(relation, "rule"), first = column_number(relation, "first");
    List *indexes = RelationGetIndexList(relation);
    ListCell *cell;
    Oid found = InvalidOid;

    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);

        if (index->rd_index->indisvalid && IndexRelationGetNumberOfKeyAttributes(index) == 2 &&
            index->rd_index->indkey.values[0] == rule && index->rd_index->indkey.values[1] == first)
            found = lfirst_oid(cell);
        index_close(index, AccessShareLock);
    }
    list_free(indexes);
    return found;
}

static void
look_up_chunks(search *search, part *part, Relation relation, Oid index_oid)
{
    AttrNumber entries = column_number(relation, "entries");
    Relation index = index_open(index_oid, AccessShareLock);
    TupleTableSlot *slot = table_slot_create(relation, NULL);
    IndexFetchTableData *fetch;
    Size count, ahead = 0;
    bytea *copy;
    wanted_chunk *wanted = chunk_places(relation, index, search->asked, search->count, &count);

    fetch = table_index_fetch_begin(relation);
    for (Size i = 0, end; i < count; i = end) {
        bool call_again = false, all_dead = false;
        ItemPointerData place = wanted[i].place;
        const bytea *chunk;

        CHECK_FOR_INTERRUPTS();
        for (; ahead < count && ahead < i + CHUNKS_AHEAD; ahead++) {
            BlockNumber block = ItemPointerGetBlockNumber(&wanted[ahead].place);

            if (ahead == 0 || ItemPointerGetBlockNumber(&wanted[ahead - 1].place) != block)
                (void)PrefetchBuffer(relation, MAIN_FORKNUM, block);
        }
        for (end = i + 1; end < count && ItemPointerEquals(&wanted[end].place, &wanted[i].place); end++)
            ;
        if (!table_index_fetch_tuple(fetch, &place, GetActiveSnapshot(), slot, &call_again, &all_dead))
            continue; /* as it was before an erasure */
        chunk = entries_of(slot, entries, &copy);
        for (Size w = i; w < end; w++)
            match_chunk(search, part, search->asked[wanted[w].asked].rule, chunk, wanted[w].asked,
                        wanted[w].asked + 1);
        free_copy(&copy);
    }
    table_index_fetch_end(fetch);
    ExecDropSingleTupleTableSlot(slot);
    if (wanted != NULL)
        pfree(wanted);
    index_close(index, AccessShareLock);
}

static void
search_part(search *search, part *part)
{
    char name[NAMEDATALEN];
    Oid oid, index;
    Relation relation;

    snprintf(name, sizeof name, "segment_%d", part->key_segment);
    oid = get_relname_relid(name, get_namespace_oid("mastering", false));
    if (!OidIsValid(oid))
        elog(ERROR, "there is no segment %d", part->key_segment);
    relation = table_open(oid, AccessShareLock);
    index = chunk_index(relation);
    /* Four chunks lie in a page. */
    if (OidIsValid(index) &&
        search->count * CHUNKS_READ_PER_LOOKUP < (Size)RelationGetNumberOfBlocks(relation) * 4)
        look_up_chunks(search, part, relation, index);
    else
        read_chunks(search, part, relation);
    table_close(relation, NoLock);
}

/* ---- the answer ---- */

static ArrayType *
make_array(Oid type, Size width, Size count)
{
    Size bytes = ARR_OVERHEAD_NONULLS(1) + count * width;
    ArrayType *array;

    if (count == 0)
        return construct_empty_array(type);
    if (!AllocSizeIsValid(bytes))
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("too many records share keys with those that changed")));
    array = palloc0(bytes);
    SET_VARSIZE(array, bytes);
    array->ndim = 1;
    array->elemtype = type;
    ARR_DIMS(array)[0] = (int)count;
    ARR_LBOUND(array)[0] = 1;
    return array;
}

/* The rows that were found and are not known, as arrays of segments and rows, in order. */
static void
answer_rows(const search *search, Datum *segments, Datum *rows)
{
    Size count = 0, used = 0;
    ArrayType *arrays[2];

    for (int p = 0; p < search->part_count; p++)
        count += search->parts[p].new_count;
    for (int i = 0; i < 2; i++)
        arrays[i] = make_array(INT4OID, sizeof(int32), count);
    for (int p = 0; p < search->part_count; p++) {
        const part *part = search->parts + p;

        for (Size w = 0; w < part->found.count; w++)
            for (uint64 left = part->found.words[w] & ~(w < part->known.count ? part->known.words[w] : 0);
                 left != 0; left &= left - 1) {
                ((int32 *)ARR_DATA_PTR(arrays[0]))[used] = part->record_segment;
                ((int32 *)ARR_DATA_PTR(arrays[1]))[used++] = (int32)(w * 64) + pg_rightmost_one_pos64(left);
            }
    }
    *segments = PointerGetDatum(arrays[0]);
    *rows = PointerGetDatum(arrays[1]);
}

/* Of the segments whose rows can be fetched by their places: segment and place of each row. */
static void
answer_places(const search *search, Datum *segments, Datum *places)
{
    ItemPointerData **found = palloc0(sizeof(ItemPointerData *) * Max(search->part_count, 1));
    Size *counts = palloc0(sizeof(Size) * Max(search->part_count, 1)), count = 0, used = 0;
    ArrayType *of_segment, *of_place;

    for (int p = 0; p < search->part_count; p++) {
        const part *part = search->parts + p;

        found[p] = part->new_count == 0 || part->new_count > PLACED_ROWS_AT_MOST
                       ? NULL
                       : placed_rows_find(part->record_segment, part->placed, part->new_count, &counts[p]);
        if (found[p] != NULL)
            count += counts[p];
    }
    of_segment = make_array(INT4OID, sizeof(int32), count);
    of_place = make_array(TIDOID, sizeof(ItemPointerData), count);
    for (int p = 0; p < search->part_count; p++)
        for (Size i = 0; found[p] != NULL && i < counts[p]; i++) {
            ((int32 *)ARR_DATA_PTR(of_segment))[used] = search->parts[p].record_segment;
            ((ItemPointerData *)ARR_DATA_PTR(of_place))[used++] = found[p][i];
        }
    *segments = PointerGetDatum(of_segment);
    *places = PointerGetDatum(of_place);
}

/* {"rule": [keys of the caller's rows, mean of the binary logarithms of their blocks, the largest block of
 * all]}.
 */
static Datum
answer_blocks(const search *search)
{
    StringInfoData text;

    initStringInfo(&text);
    appendStringInfoChar(&text, '{');
    for (Size start = 0, end; start < search->count; start = end) {
        uint64 own = 0, largest = 0;
        double bits = 0;

        for (end = start; end < search->count && search->asked[end].rule == search->asked[start].rule;
             end++) {
            const asked_key *asked = search->asked + end;

            largest = Max(largest, asked->size);
            own += asked->own;
            if (asked->own > 0)
                bits += asked->own * log2(asked->size);
        }
        if (largest > 0)
            appendStringInfo(&text, "%s\"%d\": [" UINT64_FORMAT ", %.4f, " UINT64_FORMAT "]",
                             text.len > 1 ? ", " : "", search->asked[start].rule, own, bits / Max(own, 1),
                             largest);
    }
    appendStringInfoChar(&text, '}');
    return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

static int
element_count(ArrayType *array)
{
    return ARR_HASNULL(array) ? -1 : ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
}

static void
set_parts(search *search, ArrayType *key_segments, ArrayType *record_segments, ArrayType *vectors)
{
    int count = element_count(key_segments);

    if (count < 0 || element_count(record_segments) != count || element_count(vectors) != count)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("key_segments, record_segments and vectors must be as many, and none of them null")));
    search->part_count = count;
    search->parts = palloc0(sizeof(part) * Max(count, 1));
    for (int p = 0; p < count; p++) {
        search->parts[p].key_segment = ((int32 *)ARR_DATA_PTR(key_segments))[p];
        search->parts[p].record_segment = ((int32 *)ARR_DATA_PTR(record_segments))[p];
        search->parts[p].vector = ((int64 *)ARR_DATA_PTR(vectors))[p];
    }
}

/* key_neighbours(asked, key_segments, record_segments, vectors, own, known, fetched) */
MASTERING_FUNCTION(mastering_key_neighbours)
{
    search search = {.context = CurrentMemoryContext,
                     .receiver = {.rStartup = start_receiving,
                                  .rShutdown = ignore_receiver,
                                  .rDestroy = ignore_receiver,
                                  .mydest = DestNone}};
    Datum values[5];
    bool nulls[5] = {false};
    TupleDesc description;

    if (get_call_result_type(fcinfo, NULL, &description) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "key_neighbours gives a row");
    for (int i = 0; i < 4; i++)
        if (PG_ARGISNULL(i))
            ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                            errmsg("what is asked, and of which segments, must not be null")));
    set_parts(&search, PG_GETARG_ARRAYTYPE_P(1), PG_GETARG_ARRAYTYPE_P(2), PG_GETARG_ARRAYTYPE_P(3));
    read_asked(&search, text_to_cstring(PG_GETARG_TEXT_PP(0)));
    read_set(&search, fcinfo, 4, offsetof(part, own));
    read_set(&search, fcinfo, 5, offsetof(part, known));
    for (int p = 0; p < search.part_count && search.count > 0; p++)
        search_part(&search, search.parts + p);
    answer_rows(&search, &values[0], &values[1]);
    values[2] = answer_blocks(&search);
    nulls[3] = nulls[4] = PG_ARGISNULL(6) || !PG_GETARG_BOOL(6);
    if (!nulls[3])
        answer_places(&search, &values[3], &values[4]);
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(description), values, nulls)));
}
