/*
 * page_reader.c: see page_reader.h.
 *
 * Parts of some thousand records go round. While the main thread fills one, a job of the threads works on the
 * three before it, each in its own stage, and no stage waits for another:
 *   taken apart: the tuples of each page become values, normalised and hashed where they are in the copy;
 *   looked up:   the values of each column become codes, each column on one thread;
 *   written:     the codes of some records become their rows.
 * Between two jobs the main thread reads the values that need PostgreSQL (all but texts of ASCII) and makes
 * room in the dictionaries, so that threads allocate nothing.
 */
#include "compat.h"

#include "access/heapam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/tupmacs.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "engine/big_memory.h"
#include "engine/page_reader.h"
#include "engine/progress.h"
#include "kernel/parallel.h"
#include "kernel/short_text.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "settings.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define PARTS 4
#define MOST_PAGES_A_PART 128
#define LEAST_PAGES_A_PART 32 /* where memory is scarce */
#define MUCH_MEMORY ((Size)256 * 1024 * 1024)
#define PAGES_AN_ITEM 8
#define VALUES_A_PAGE 768 /* of a part, of all columns, but the records of one page fit into any */
#define LOOK_UPS 8        /* of one column between two steps of one */
#define CACHE_LINE 64
#define LONG_TEXT 65536     /* bytes of a value that does not wait for its turn */
#define MEMORY_OF_A_PART 16 /* the part of a run's memory that values outside the pages of one may take */
#define LEAST_BYTES_A_PART ((Size)1024 * 1024)
#define MORE_THAN_EXPECTED 1.2
#define MEMORY_EXPECTED 4 /* the part of it that values may take before they are there */
#define CODES_EXPECTED 8  /* the same of what is kept by code, until as much is there */
#define MOST_COPIES 8     /* of values of a page: columns that share attributes */

/* What the code of a value says before it is looked up; otherwise the width of its characters. */
#define VALUE_FOR_MAIN_THREAD PG_UINT32_MAX
#define VALUE_SHORT 8 /* of bytes, at most SHORT_TEXT of them, and SHORT_TEXT_ROOM may be read */

typedef struct page_value {
    const void *chars; /* NULL: the code is there; for the main thread, where the value is in the page */
    uint64 hash;
    uint32 length;
    uint32 code;
} page_value;

/* A column of the table that is read. */
typedef struct read_attribute {
    int16 length;
    char alignment;
    uint8 boundary; /* the same in bytes */
    bool by_value;
    bool shared;   /* by several columns of the store: none may normalise it in place */
    int first_use; /* column of the store; -1: none */
} read_attribute;

typedef struct read_column {
    int attribute;
    int next_use; /* of the same attribute; -1: none */
    value_reader *reader;
    bool plain; /* texts of ASCII need no PostgreSQL */
    normalize_mode mode;
    double expected;   /* values among all records, by statistics; 0: nobody knows */
    uint32 had_values; /* before the last part was looked up */
} read_column;

/* What became of the records of a page. */
typedef struct page_facts {
    uint32 first_row; /* in the part */
    bool for_main_thread;
    bool null_id;
} page_facts;

typedef struct page_part {
    char *pages;
    char *copies; /* of shared attributes */
    OffsetNumber *lines;
    page_facts facts[MOST_PAGES_A_PART + 1];
    uint32 page_count, row_count;
    uint32 first_record;
    page_value *values;   /* by column and row */
    uint32 *codes;        /* the same, once they were looked up: what goes into rows lies close */
    Size *bytes;          /* by page and column: of characters to be kept */
    MemoryContext others; /* characters that are not in a page */
} page_part;

typedef struct page_reader {
    const page_reading *reading;
    record_store *store;
    TableScanDesc scan;
    int attribute_count; /* up to the last one that is read */
    read_attribute *attributes;
    read_column *columns;
    int id_attribute;
    Oid id_type;
    int column_count;             /* those of the store, and the source behind them */
    Size copies_size;             /* of a page */
    uint32 most_pages, most_rows; /* of a part */
    Size most_bytes;              /* of a part's values that are not in its pages */
    Size long_bytes;              /* that are kept of a record with such values, at most; 0: there are none */
    uint64 records; /* taken so far: a record's number is its place since the store was emptied */
    BlockNumber blocks_done;
    page_part parts[PARTS];

    /* The job; NULL: nothing in that stage. */
    page_part *apart, *look_up, *write;
    int apart_items, look_up_items, write_items;
} page_reader;

/* ---- what can be read ---- */

bool
page_reader_can(const PlannedStmt *statement)
{
    const SeqScan *scan = (const SeqScan *)statement->planTree;
    ListCell *cell;

    if (statement->commandType != CMD_SELECT || statement->rowMarks != NIL || statement->subplans != NIL ||
        statement->hasModifyingCTE || !IsA(scan, SeqScan))
        return false;
    if (scan->scan.plan.qual != NIL || scan->scan.plan.initPlan != NIL || scan->scan.plan.parallel_aware)
        return false;
    foreach (cell, scan->scan.plan.targetlist) {
        const TargetEntry *entry = lfirst(cell);
        const Var *variable = (const Var *)entry->expr;

        if (entry->resjunk || !IsA(variable, Var) || variable->varno != (int)scan->scan.scanrelid ||
            variable->varattno <= 0 || variable->varlevelsup != 0)
            return false;
    }
    return true;
}

/* Columns added to the table later have values that its older tuples do not. */
static bool
any_missing_values(TupleDesc columns, int count)
{
    for (int i = 0; i < count; i++)
        if (TupleDescAttr(columns, i)->atthasmissing)
            return true;
    return false;
}

/* The number of columns, the source among them, that read an attribute which others read too. */
static int
count_shared(const List *targets)
{
    Bitmapset *once = NULL, *twice = NULL;
    int shared = 0;
    ListCell *cell;

    for_each_from(cell, targets, 1)
    {
        int attribute = ((Var *)((TargetEntry *)lfirst(cell))->expr)->varattno;

        if (bms_is_member(attribute, once))
            twice = bms_add_member(twice, attribute);
        once = bms_add_member(once, attribute);
    }
    for_each_from(cell, targets, 1) shared +=
        bms_is_member(((Var *)((TargetEntry *)lfirst(cell))->expr)->varattno, twice);
    return shared;
}

static int
last_attribute(const List *targets)
{
    int last = 0;
    ListCell *cell;

    foreach (cell, targets)
        last = Max(last, ((Var *)((TargetEntry *)lfirst(cell))->expr)->varattno);
    return last;
}

bool
page_reader_fits(QueryDesc *query, const record_store *store)
{
    const List *targets = query->plannedstmt->planTree->targetlist;
    Relation relation = ((SeqScanState *)query->planstate)->ss.ss_currentRelation;
    Oid id_type = TupleDescAttr(query->tupDesc, 0)->atttypid;
    int last = last_attribute(targets);

    if (relation->rd_tableam != GetHeapamTableAmRoutine() || !IsMVCCSnapshot(query->estate->es_snapshot) ||
        last > RelationGetDescr(relation)->natts || any_missing_values(RelationGetDescr(relation), last))
        return false;
    for (int i = 0; i < store->column_count; i++)
        if (store->columns[i].allow_list &&
            OidIsValid(get_base_element_type(TupleDescAttr(query->tupDesc, i + 1)->atttypid)))
            return false;
    return (id_type == INT2OID || id_type == INT4OID || id_type == INT8OID) &&
           list_length(targets) == store->column_count + (store->source_slot >= 0 ? 2 : 1) &&
           count_shared(targets) <= MOST_COPIES;
}

/* Where each column of the query is in the table. */
static void
find_attributes(page_reader *reader, QueryDesc *query)
{
    const List *targets = query->plannedstmt->planTree->targetlist;
    TupleDesc table = RelationGetDescr(((SeqScanState *)query->planstate)->ss.ss_currentRelation);

    reader->column_count = list_length(targets) - 1;
    reader->attribute_count = last_attribute(targets);
    reader->attributes = palloc0(reader->attribute_count * sizeof(read_attribute));
    reader->columns = palloc0(Max(reader->column_count, 1) * sizeof(read_column));
    for (int i = 0; i < reader->attribute_count; i++) {
        const FormData_pg_attribute *attribute = TupleDescAttr(table, i);

        reader->attributes[i] = (read_attribute){.length = attribute->attlen,
                                                 .alignment = attribute->attalign,
                                                 .boundary = (uint8)att_align_nominal(1, attribute->attalign),
                                                 .by_value = attribute->attbyval,
                                                 .first_use = -1};
    }
    reader->id_attribute = ((Var *)((TargetEntry *)linitial(targets))->expr)->varattno - 1;
    reader->id_type = TupleDescAttr(query->tupDesc, 0)->atttypid;
    if (count_shared(targets) > 0)
        reader->copies_size = (Size)count_shared(targets) * BLCKSZ + SHORT_TEXT_ROOM;
    for (int i = reader->column_count - 1; i >= 0; i--) {
        read_column *column = &reader->columns[i];
        read_attribute *attribute;

        column->attribute = ((Var *)((TargetEntry *)list_nth(targets, i + 1))->expr)->varattno - 1;
        attribute = &reader->attributes[column->attribute];
        column->reader =
            i < reader->store->column_count ? reader->reading->readers[i] : reader->reading->source_reader;
        column->plain = value_reader_takes_plain(column->reader, &column->mode);
        column->next_use = attribute->first_use;
        attribute->shared = attribute->first_use >= 0;
        attribute->first_use = i;
    }
}

/* Emptying the store makes new ones. */
static inline dictionary *
dictionary_of(const page_reader *reader, int column)
{
    const record_store *store = reader->store;

    return column < store->column_count ? store->columns[column].values : store->sources;
}

/* The different values of a column among so many records, by the table's statistics; 0: nobody knows. */
static double
expected_values(Oid relation, AttrNumber attribute, double records)
{
    HeapTuple tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relation), Int16GetDatum(attribute),
                                      BoolGetDatum(false));
    double values = 0;

    if (HeapTupleIsValid(tuple)) {
        values = ((Form_pg_statistic)GETSTRUCT(tuple))->stadistinct;
        ReleaseSysCache(tuple);
    }
    return Min(values < 0 ? -values * records : values, records);
}

/*
 * Room in the dictionaries, which are empty. Estimates are rather too low than too high; but they may be as
 * old as they like, and anybody may set those of a table of their own: they take a part of a run's memory at
 * most.
 */
static void
expect_values(page_reader *reader, Oid relation)
{
    double records = (double)reader->reading->expected, all = 0, share;

    for (int i = 0; i < reader->column_count; i++) {
        read_column *column = &reader->columns[i];

        column->expected = expected_values(relation, (AttrNumber)(column->attribute + 1), records);
        column->expected = Min(column->expected * MORE_THAN_EXPECTED, records);
        all += column->expected;
    }
    share = (double)mastering_memory_budget() / MEMORY_EXPECTED / (Max(all, 1) * DICTIONARY_EXPECTED_BYTES);
    for (int i = 0; i < reader->column_count && records > 0; i++)
        dictionary_expect(dictionary_of(reader, i), (uint32)(reader->columns[i].expected * Min(share, 1)));
}

/*
 * How many values a column will have, rather too many than too few: new ones come the more seldom the more
 * there are, so no faster than in the part that was looked up last. Statistics say less, as long as they may
 * be right. part: the next one; 0: nobody knows.
 */
static uint32
forecast_values(const page_reader *reader, int i, const page_part *part)
{
    const read_column *column = &reader->columns[i];
    double count = dictionary_of(reader, i)->count, left, forecast;
    double share = (double)mastering_memory_budget() / CODES_EXPECTED / reader->column_count;

    if (reader->write == NULL || reader->reading->expected <= part->first_record ||
        count < column->had_values)
        return 0;
    left = (double)(reader->reading->expected - part->first_record) / reader->write->row_count;
    forecast = (count - column->had_values) * left * MORE_THAN_EXPECTED;
    if (column->expected > count)
        forecast = Min(forecast, column->expected * 2 - count);
    return (uint32)Min(count + forecast + reader->most_rows, Max(share / DICTIONARY_CODE_BYTES, 2 * count));
}

/* Nothing is left for others to do before they look something up, and no room for what will not come. */
static void
settle_all(page_reader *reader)
{
    for (int i = 0; i < reader->column_count; i++) {
        dictionary_settle(dictionary_of(reader, i));
        dictionary_trim(dictionary_of(reader, i));
    }
}

static void
make_parts(page_reader *reader)
{
    int columns = Max(reader->column_count, 1);

    /* Each part costs a change of threads. */
    reader->most_pages = mastering_memory_budget() < MUCH_MEMORY ? LEAST_PAGES_A_PART : MOST_PAGES_A_PART;
    reader->most_rows = Max(reader->most_pages * VALUES_A_PAGE / (uint32)columns, MaxHeapTuplesPerPage);
    reader->most_bytes = Max(mastering_memory_budget() / MEMORY_OF_A_PART, LEAST_BYTES_A_PART);
    for (int p = 0; p < PARTS; p++) {
        page_part *part = &reader->parts[p];

        part->pages = palloc(reader->most_pages * BLCKSZ);
        part->lines = palloc(reader->most_rows * sizeof(OffsetNumber));
        part->values = palloc((Size)reader->most_rows * columns * sizeof(page_value));
        part->codes = palloc((Size)reader->most_rows * columns * sizeof(uint32));
        part->bytes = palloc((Size)reader->most_pages * columns * sizeof(Size));
        if (reader->copies_size > 0)
            part->copies =
                MemoryContextAllocHuge(reader->reading->context, reader->most_pages * reader->copies_size);
        part->others = AllocSetContextCreate(reader->reading->context, "mastering values not in pages",
                                             ALLOCSET_DEFAULT_SIZES);
    }
}

/* ---- the main thread: pages ---- */

/* Of tables without values outside their pages nobody looks for them. */
static Size
bytes_of_long_values(const page_reader *reader, Relation table)
{
    Relation outside;
    Size bytes = 0;

    if (!OidIsValid(table->rd_rel->reltoastrelid))
        return 0;
    outside = table_open(table->rd_rel->reltoastrelid, AccessShareLock);
    if (RelationGetNumberOfBlocks(outside) > 0)
        for (int i = 0; i < reader->column_count; i++)
            if (reader->attributes[reader->columns[i].attribute].length == -1)
                bytes += COMPARED_CHARACTERS;
    table_close(outside, AccessShareLock);
    return bytes;
}

/* The records of a page that have values elsewhere. */
static uint32
count_long_records(Page page, const OffsetNumber *lines, uint32 count)
{
    uint32 found = 0;

    for (uint32 i = 0; i < count; i++)
        found += (((HeapTupleHeader)PageGetItem(page, PageGetItemId(page, lines[i])))->t_infomask &
                  HEAP_HASEXTERNAL) != 0;
    return found;
}

/* Takes a page with its visible tuples. Returns what is kept, at most, of values that are elsewhere. */
static Size
take_page(page_reader *reader, page_part *part, BlockNumber block)
{
    HeapScanDesc scan = (HeapScanDesc)reader->scan;
    uint32 rows = part->row_count;
    char *page = part->pages + (Size)part->page_count * BLCKSZ;

    heapgetpage(reader->scan, block);
    if (scan->rs_ntuples == 0)
        return 0;
    /* The pin keeps the tuples where they are, and what is in them stays as it is. */
    memcpy(page, BufferGetPage(scan->rs_cbuf), BLCKSZ);
    memcpy(part->lines + rows, scan->rs_vistuples, scan->rs_ntuples * sizeof(OffsetNumber));
    part->facts[part->page_count] = (page_facts){.first_row = rows};
    part->row_count += (uint32)scan->rs_ntuples;
    part->facts[++part->page_count].first_row = part->row_count;
    if (pgstat_should_count_relation(reader->scan->rs_rd))
        reader->scan->rs_rd->pgstat_info->t_counts.t_tuples_returned += scan->rs_ntuples;
    return reader->long_bytes == 0
               ? 0
               : reader->long_bytes * count_long_records(page, part->lines + rows, (uint32)scan->rs_ntuples);
}

/* Fills a part with the next pages; no rows: there are no more. */
static void
fill_part(page_reader *reader, page_part *part)
{
    HeapScanDesc scan = (HeapScanDesc)reader->scan;
    Size bytes = 0;

    part->page_count = part->row_count = 0;
    MemoryContextReset(part->others);
    while (reader->blocks_done < scan->rs_nblocks && part->page_count < reader->most_pages &&
           part->row_count + MaxHeapTuplesPerPage <= reader->most_rows && bytes < reader->most_bytes) {
        CHECK_FOR_INTERRUPTS();
        bytes +=
            take_page(reader, part,
                      (BlockNumber)(((uint64)scan->rs_startblock + reader->blocks_done) % scan->rs_nblocks));
        reader->blocks_done++;
    }
}

/* ---- threads: tuples ---- */

static void
set_plain_value(page_reader *reader, const read_column *column, page_value *value, char *bytes, uint32 length,
                char **copies)
{
    text_view text;

    if (reader->attributes[column->attribute].shared && column->mode != NORMALIZE_NONE) {
        bytes = memcpy(*copies, bytes, length);
        *copies += length;
    }
    text = (text_view){bytes, normalize_ascii_in_place(column->mode, bytes, length), 1};
    if (text.length == 0) { /* an empty text is a missing value */
        *value = (page_value){NULL, 0, 0, 0};
        return;
    }
    *value = (page_value){bytes, dictionary_hash(text), text.length, 1};
}

/* The same of a short text behind which there is SHORT_TEXT_ROOM; false: it needs more. */
static inline bool
set_short_value(const read_column *column, page_value *value, char *bytes, uint32 length)
{
    uint64 together, hash;

    if (column->mode != NORMALIZE_NONE &&
        short_text_fold(bytes, length, column->mode == NORMALIZE_TEXT) != SHORT_TEXT_FOLDED)
        return false;
    hash = hash_combine(hash_short(bytes, length, &together), 1);
    if ((together & UINT64CONST(0x8080808080808080)) != 0)
        return false;
    *value = (page_value){length == 0 ? NULL : bytes, hash, length, length == 0 ? 0 : VALUE_SHORT};
    return true;
}

/* The same in a copy. */
static inline bool
set_short_copy(const read_column *column, page_value *value, const char *bytes, uint32 length, char **copies)
{
    if (!set_short_value(column, value, memcpy(*copies, bytes, length), length))
        return false;
    *copies += length;
    return true;
}

/* An attribute of a tuple as the values of the columns that read it; NULL: it is NULL. */
static inline void
set_values(page_reader *reader, page_part *part, uint32 row, int first_use, char *datum, const char *page_end,
           page_facts *facts, Size *bytes, char **copies)
{
    for (int i = first_use; i >= 0; i = reader->columns[i].next_use) {
        const read_column *column = &reader->columns[i];
        page_value *value = &part->values[(Size)i * reader->most_rows + row];

        if (datum == NULL) {
            *value = (page_value){NULL, 0, 0, 0};
            continue;
        }
        if (column->plain && !VARATT_IS_COMPRESSED(datum) && !VARATT_IS_EXTERNAL(datum)) {
            uint32 length = (uint32)VARSIZE_ANY_EXHDR(datum);

            if (length <= SHORT_TEXT && column->mode != NORMALIZE_DIGITS) {
                bool shared = column->mode != NORMALIZE_NONE && reader->attributes[column->attribute].shared;

                if (shared ? set_short_copy(column, value, VARDATA_ANY(datum), length, copies)
                           : page_end - VARDATA_ANY(datum) >= SHORT_TEXT_ROOM &&
                                 set_short_value(column, value, VARDATA_ANY(datum), length)) {
                    bytes[i] += length + sizeof(uint64);
                    continue;
                }
            }
            if (value_bytes_are_plain(VARDATA_ANY(datum), length)) {
                set_plain_value(reader, column, value, VARDATA_ANY(datum), length, copies);
                bytes[i] += Min(value->length, COMPARED_CHARACTERS) + KEPT_BESIDE(value->length);
                continue;
            }
        }
        *value = (page_value){datum, 0, 0, VALUE_FOR_MAIN_THREAD};
        facts->for_main_thread = true;
    }
}

static inline int64
id_of(Oid type, const char *datum)
{
    return type == INT2OID   ? *(const int16 *)datum
           : type == INT4OID ? *(const int32 *)datum
                             : *(const int64 *)datum;
}

/* Where the attribute begins, and where the next one may. Most have a fixed length, or are short texts. */
static inline char *
next_datum(const read_attribute *attribute, char *data, uint32 *offset)
{
    char *datum = data + *offset;

    if (attribute->length > 0) {
        datum = data + TYPEALIGN(attribute->boundary, *offset);
        *offset = (uint32)(datum - data) + (uint32)attribute->length;
        return datum;
    }
    if (attribute->length == -1 && VARATT_IS_1B(datum) && !VARATT_IS_1B_E(datum)) {
        *offset += VARSIZE_1B(datum);
        return datum;
    }
    *offset = (uint32)att_align_pointer(*offset, attribute->alignment, attribute->length, datum);
    datum = data + *offset;
    *offset = (uint32)att_addlength_pointer(*offset, attribute->length, datum);
    return datum;
}

static void
take_tuple_apart(page_reader *reader, page_part *part, uint32 row, HeapTupleHeader tuple,
                 const char *page_end, page_facts *facts, Size *bytes, char **copies)
{
    int attributes = Min(reader->attribute_count, HeapTupleHeaderGetNatts(tuple));
    bool has_nulls = (tuple->t_infomask & HEAP_HASNULL) != 0;
    char *data = (char *)tuple + tuple->t_hoff;
    uint32 offset = 0;

    for (int i = 0; i < attributes; i++) {
        const read_attribute *attribute = &reader->attributes[i];
        char *datum = NULL;

        if (!has_nulls || !att_isnull(i, tuple->t_bits))
            datum = next_datum(attribute, data, &offset);
        if (i == reader->id_attribute) {
            if (datum == NULL)
                facts->null_id = true;
            else
                reader->store->integer_ids[part->first_record + row] = id_of(reader->id_type, datum);
        }
        if (attribute->first_use >= 0)
            set_values(reader, part, row, attribute->first_use, datum, page_end, facts, bytes, copies);
    }
    for (int i = attributes; i < reader->attribute_count; i++) {
        if (i == reader->id_attribute)
            facts->null_id = true;
        set_values(reader, part, row, reader->attributes[i].first_use, NULL, page_end, facts, bytes, copies);
    }
}

static void
take_page_apart(page_reader *reader, page_part *part, uint32 p)
{
    Page page = part->pages + (Size)p * BLCKSZ;
    page_facts *facts = &part->facts[p];
    Size *bytes = &part->bytes[(Size)p * reader->column_count];
    char *copies = part->copies == NULL ? NULL : part->copies + (Size)p * reader->copies_size;
    const char *next = page + 2 * (Size)BLCKSZ; /* of the next page, what was not asked for yet */
    uint32 lines_a_row = BLCKSZ / CACHE_LINE / (facts[1].first_row - facts[0].first_row) + 1;

    memset(bytes, 0, reader->column_count * sizeof(Size));
    for (uint32 row = facts[0].first_row; row < facts[1].first_row; row++) {
        /* The next page was copied on another processor, and is read from its end: some of it at a time. */
        if (p + 1 < part->page_count)
            for (uint32 i = 0; i < lines_a_row && next > page + BLCKSZ; i++)
                __builtin_prefetch(next -= CACHE_LINE);
        take_tuple_apart(reader, part, row,
                         (HeapTupleHeader)PageGetItem(page, PageGetItemId(page, part->lines[row])),
                         page + BLCKSZ, facts, bytes, &copies);
    }
}

/* ---- threads: codes ---- */

/* The place in the table has come: what is there is asked for, and the text that it is compared with. */
static inline uint32
seek_value(const dictionary *dictionary, const page_value *value)
{
    __builtin_prefetch(value->chars);
    return dictionary_seek(dictionary, value->hash, value->length);
}

static inline uint32
add_value(dictionary *dictionary, const page_value *value, uint32 place)
{
    uint32 code =
        value->code == VALUE_SHORT
            ? dictionary_add_short(dictionary, value->chars, value->length, value->hash, place)
            : dictionary_add_sought(dictionary, (text_view){value->chars, value->length, (uint8)value->code},
                                    value->hash, place);

    __builtin_prefetch(&dictionary->records[code], 1);
    return code;
}

/*
 * Each look-up is done in four steps, and what a step asks for has come when the next one is due, LOOK_UPS
 * values later. Of many more that are asked for at once a processor forgets some. The last step comes first:
 * each value leaves its place to the one that is sought next.
 */
static void
look_up_column(page_reader *reader, page_part *part, int column)
{
    dictionary *dictionary = dictionary_of(reader, column);
    const page_value *values = &part->values[(Size)column * reader->most_rows];
    uint32 *codes = &part->codes[(Size)column * reader->most_rows];
    uint32 places[LOOK_UPS] = {0}, count = part->row_count;

    dictionary_settle(dictionary);
    for (uint32 i = 0; i < count + 3 * LOOK_UPS; i++) {
        uint32 sought = i - LOOK_UPS, added = sought - LOOK_UPS, counted = added - LOOK_UPS;

        if (counted < count && values[counted].chars != NULL)
            dictionary->records[codes[counted]]++;
        if (added < count)
            codes[added] = values[added].chars == NULL
                               ? values[added].code
                               : add_value(dictionary, &values[added], places[i % LOOK_UPS]);
        if (sought < count && values[sought].chars != NULL)
            places[i % LOOK_UPS] = seek_value(dictionary, &values[sought]);
        if (i < count)
            dictionary_prefetch_place(dictionary, values[i].hash);
    }
}

/* Some records' rows. Threads that wrote single columns of the same rows would take the cache lines from each
 * other. */
static void
write_rows(page_reader *reader, page_part *part, uint32 item)
{
    uint32 stride = reader->store->records.stride;
    uint32 first = part->facts[item * PAGES_AN_ITEM].first_row,
           end = part->facts[Min((item + 1) * PAGES_AN_ITEM, part->page_count)].first_row;
    uint32 *rows = (uint32 *)reader->store->records.rows + (Size)part->first_record * stride;

    for (int column = 0; column < reader->column_count; column++) {
        const uint32 *codes = &part->codes[(Size)column * reader->most_rows];

        for (uint32 row = first; row < end; row++)
            rows[(Size)row * stride + column] = codes[row];
    }
}

static void
work_on_part(void *context, int64_t item, int thread)
{
    page_reader *reader = context;

    if (item < reader->look_up_items) {
        look_up_column(reader, reader->look_up, (int)item);
        return;
    }
    item -= reader->look_up_items;
    if (item < reader->apart_items) {
        uint32 first = (uint32)item * PAGES_AN_ITEM,
               end = Min(first + PAGES_AN_ITEM, reader->apart->page_count);

        for (uint32 page = first; page < end; page++)
            take_page_apart(reader, reader->apart, page);
        return;
    }
    write_rows(reader, reader->write, (uint32)(item - reader->apart_items));
}

/* ---- the main thread: between jobs ---- */

/* The values that need PostgreSQL. */
static void
read_value(page_reader *reader, page_part *part, int i, page_value *value, Size *bytes)
{
    const read_attribute *attribute = &reader->attributes[reader->columns[i].attribute];
    Datum datum = fetch_att(value->chars, attribute->by_value, attribute->length);
    text_view text;
    value_state read = value_reader_read(reader->columns[i].reader, datum, &text);
    Size size;

    if (read == VALUE_UNREADABLE && i < reader->store->column_count)
        reader->store->columns[i].unreadable++;
    if (read != VALUE_READ) {
        *value = (page_value){NULL, 0, 0, 0};
        return;
    }
    size = (Size)text.length * text.width;
    if (size > LONG_TEXT || MemoryContextMemAllocated(part->others, false) + size > reader->most_bytes) {
        *value = (page_value){NULL, 0, 0, dictionary_add(dictionary_of(reader, i), text)};
        return;
    }
    text.chars = memcpy(MemoryContextAlloc(part->others, Max(size, 1)), text.chars, size);
    *value = (page_value){text.chars, dictionary_hash(text), text.length, text.width};
    *bytes += Min(size, (Size)COMPARED_CHARACTERS * text.width) + KEPT_BESIDE(text.length);
}

static void
read_other_values(page_reader *reader, page_part *part)
{
    int columns = reader->column_count;
    MemoryContext garbage = NULL;

    for (uint32 p = 0; p < part->page_count; p++) {
        const page_facts *facts = &part->facts[p];

        if (facts[0].null_id)
            record_store_null_id();
        if (!facts[0].for_main_thread)
            continue;
        if (garbage == NULL)
            garbage = AllocSetContextCreate(CurrentMemoryContext, "mastering value", ALLOCSET_DEFAULT_SIZES);
        for (int i = 0; i < columns; i++)
            for (uint32 row = facts[0].first_row; row < facts[1].first_row; row++) {
                page_value *value = &part->values[(Size)i * reader->most_rows + row];
                MemoryContext before;

                if (value->code != VALUE_FOR_MAIN_THREAD)
                    continue;
                MemoryContextReset(garbage);
                before = MemoryContextSwitchTo(garbage);
                read_value(reader, part, i, value, &part->bytes[(Size)p * columns + i]);
                MemoryContextSwitchTo(before);
            }
        CHECK_FOR_INTERRUPTS();
    }
    if (garbage != NULL)
        MemoryContextDelete(garbage);
}

static void
reserve_values(page_reader *reader, const page_part *part)
{
    int columns = reader->column_count;

    for (int i = 0; i < columns; i++) {
        dictionary *dictionary = dictionary_of(reader, i);
        Size bytes = 0;

        for (uint32 p = 0; p < part->page_count; p++)
            bytes += part->bytes[(Size)p * columns + i];
        dictionary_forecast(dictionary, forecast_values(reader, i, part));
        reader->columns[i].had_values = dictionary->count;
        dictionary_make_room(dictionary, part->row_count, bytes);
    }
}

static int
items_of(const page_part *part)
{
    return part == NULL ? 0 : (int)((part->page_count + PAGES_AN_ITEM - 1) / PAGES_AN_ITEM);
}

/* Ends the job and starts the next one: each part goes into its next stage, the new one into the first. */
static void
start_next(page_reader *reader, page_part *part)
{
    record_store *store = reader->store;

    parallel_end();
    CHECK_FOR_INTERRUPTS();
    reader->write = reader->look_up;
    reader->look_up = reader->apart;
    reader->apart = part;
    if (reader->look_up != NULL) {
        read_other_values(reader, reader->look_up);
        reserve_values(reader, reader->look_up);
    }
    if (part != NULL) {
        part->first_record = store->records.count;
        reader->reading->make_room(reader->reading->caller, (Size)store->records.count + part->row_count);
        store->records.count += part->row_count;
    }
    reader->look_up_items = reader->look_up == NULL ? 0 : reader->column_count;
    reader->apart_items = items_of(reader->apart);
    reader->write_items = items_of(reader->write);
    parallel_begin(reader->reading->threads,
                   (int64)reader->look_up_items + reader->apart_items + reader->write_items, work_on_part,
                   reader);
}

/* All that was taken becomes rows. */
static void
finish_all(page_reader *reader)
{
    while (reader->apart != NULL || reader->look_up != NULL)
        start_next(reader, NULL);
    parallel_end();
    reader->write = NULL;
}

/* After an error: no thread may go on with memory that is about to be freed. */
static void
abandon(void *argument)
{
    parallel_abandon(argument);
}

/* The context goes before all others of the reader, for of the children the latest goes first. */
static void
abandon_with(page_reader *reader)
{
    MemoryContext context =
        AllocSetContextCreate(reader->reading->context, "mastering page reader", ALLOCSET_SMALL_SIZES);
    MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));

    callback->func = abandon;
    callback->arg = reader;
    MemoryContextRegisterResetCallback(context, callback);
}

static void
read_pages(page_reader *reader)
{
    const page_reading *reading = reader->reading;

    for (uint32 turn = 0;; turn = (turn + 1) % PARTS) {
        page_part *part = &reader->parts[turn];

        fill_part(reader, part);
        if (part->row_count == 0)
            break;
        start_next(reader, part);
        reader->records += part->row_count;
        progress_done(reader->records);
        if (reading->is_full(reading->caller)) {
            finish_all(reader);
            reading->empty(reading->caller);
        }
    }
    finish_all(reader);
}

void
page_reader_read(const page_reading *reading, QueryDesc *query)
{
    MemoryContext before = MemoryContextSwitchTo(reading->context);
    page_reader *reader = palloc0(sizeof(page_reader));

    reader->reading = reading;
    reader->store = reading->store;
    find_attributes(reader, query);
    expect_values(reader, RelationGetRelid(((SeqScanState *)query->planstate)->ss.ss_currentRelation));
    make_parts(reader);
    abandon_with(reader);
    reader->scan = table_beginscan(((SeqScanState *)query->planstate)->ss.ss_currentRelation,
                                   query->estate->es_snapshot, 0, NULL);
    reader->long_bytes = bytes_of_long_values(reader, reader->scan->rs_rd);
    ereport(DEBUG1,
            (errmsg_internal("table \"%s\" is read by pages", RelationGetRelationName(reader->scan->rs_rd))));
    read_pages(reader);
    settle_all(reader);
    reader->store->values_counted = true;
    table_endscan(reader->scan);
    query->estate->es_processed = reader->records;
    MemoryContextSwitchTo(before);
}
