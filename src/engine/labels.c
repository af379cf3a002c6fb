/*
 * labels.c: see labels.h.
 */
#include "compat.h"

#include "engine/dictionary.h"
#include "engine/labels.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define FETCH_ROWS 10000

/* Ids of a run by content. */
static dictionary *
id_dictionary(match_run *run, uint32 **records)
{
    dictionary *ids = dictionary_create(run->context);
    uint32 count = run->store->records.count;
    char buffer[24];

    *records = MemoryContextAllocHuge(run->context, mul_size(add_size(count, 1), sizeof(uint32)));
    for (uint32 record = 0; record < count; record++) {
        const char *id = record_store_id(run->store, record, buffer);
        uint32 code = dictionary_add(ids, (text_view){id, (uint32)strlen(id), 1});

        (*records)[code] = record;
        if ((record & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    return ids;
}

static bool
find_record(const dictionary *ids, const uint32 *records, const char *id, uint32 *record)
{
    uint32 code = dictionary_find(ids, (text_view){id, (uint32)strlen(id), 1});

    if (code == 0)
        return false;
    *record = records[code];
    return true;
}

/* The numbers of the named columns of a query, in order; names ends with NULL. */
static void
find_columns(TupleDesc description, const char *const *names, int *numbers, const char *what)
{
    for (int i = 0; names[i] != NULL; i++) {
        numbers[i] = SPI_fnumber(description, names[i]);
        if (numbers[i] <= 0)
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                            errmsg("the query of %s has no column \"%s\"", what, names[i])));
    }
}

typedef void (*row_consumer)(HeapTuple row, TupleDesc description, const int *columns, void *context);

static void
read_rows(const char *query, const char *const *names, const char *what, row_consumer consume, void *context)
{
    int columns[4];
    SPIPlanPtr plan;
    Portal portal;
    MemoryContext row_context;

    SPI_connect();
    row_context = AllocSetContextCreate(CurrentMemoryContext, "mastering row", ALLOCSET_DEFAULT_SIZES);
    plan = SPI_prepare(query, 0, NULL);
    if (plan == NULL || !SPI_is_cursor_plan(plan))
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
                        errmsg("the query of %s must be one SELECT statement", what)));
    portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
    find_columns(portal->tupDesc, names, columns, what);
    for (;;) {
        SPI_cursor_fetch(portal, true, FETCH_ROWS);
        if (SPI_processed == 0)
            break;
        for (uint64 i = 0; i < SPI_processed; i++) {
            MemoryContext before = MemoryContextSwitchTo(row_context);

            consume(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, context);
            MemoryContextSwitchTo(before);
            MemoryContextReset(row_context);
        }
        SPI_freetuptable(SPI_tuptable);
    }
    SPI_cursor_close(portal);
    SPI_finish();
}

/* ---- labels of pairs ---- */

typedef struct label_reading {
    MemoryContext context;
    const dictionary *ids;
    const uint32 *records;
    label_list *list;
    size_t allocated, undecided_allocated;
} label_reading;

static void
add_label(MemoryContext context, label **labels, size_t *count, size_t *allocated, label label)
{
    if (*count == *allocated) {
        *allocated = *allocated == 0 ? 256 : *allocated * 2;
        *labels = *labels == NULL ? MemoryContextAllocHuge(context, mul_size(*allocated, sizeof(label)))
                                  : repalloc_huge(*labels, mul_size(*allocated, sizeof(label)));
    }
    (*labels)[(*count)++] = label;
}

static void
consume_label(HeapTuple row, TupleDesc description, const int *columns, void *context)
{
    label_reading *reading = context;
    label_list *list = reading->list;
    char *id_a = SPI_getvalue(row, description, columns[0]),
         *id_b = SPI_getvalue(row, description, columns[1]);
    char *verdict = SPI_getvalue(row, description, columns[2]);
    bool is_match = false;
    uint32 a, b;

    if (id_a == NULL || id_b == NULL)
        return;
    if (verdict != NULL && !parse_bool(verdict, &is_match))
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("\"is_match\" of the labels is not boolean"),
                 errdetail("Of records \"%s\" and \"%s\" it is \"%s\".", id_a, id_b, verdict),
                 errhint("Write true, false, or NULL where nobody can tell.")));
    if (!find_record(reading->ids, reading->records, id_a, &a) ||
        !find_record(reading->ids, reading->records, id_b, &b)) {
        list->unknown++;
        return;
    }
    if (a == b)
        return;
    if (verdict == NULL)
        add_label(reading->context, &list->undecided, &list->undecided_count, &reading->undecided_allocated,
                  (label){Min(a, b), Max(a, b), false});
    else
        add_label(reading->context, &list->labels, &list->count, &reading->allocated,
                  (label){Min(a, b), Max(a, b), is_match});
}

static int
compare_labels(const void *x, const void *y)
{
    const label *p = x, *q = y;

    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    if (p->b != q->b)
        return p->b < q->b ? -1 : 1;
    return (int)p->is_match - (int)q->is_match;
}

label_list *
labels_read(match_run *run, const char *query)
{
    static const char *const names[] = {"id_a", "id_b", "is_match", NULL};
    label_reading reading = {.context = run->context};
    uint32 *records;
    size_t kept = 0;

    reading.list = MemoryContextAllocZero(run->context, sizeof(label_list));
    reading.ids = id_dictionary(run, &records);
    reading.records = records;
    read_rows(query, names, "labels", consume_label, &reading);
    if (reading.list->count > 0)
        qsort(reading.list->labels, reading.list->count, sizeof(label), compare_labels);
    for (size_t i = 0; i < reading.list->count; i++) {
        label *label = &reading.list->labels[i], *last = &reading.list->labels[kept > 0 ? kept - 1 : 0];

        if (kept > 0 && last->a == label->a && last->b == label->b) {
            char buffer_a[24], buffer_b[24];

            if (last->is_match != label->is_match)
                ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                                errmsg("records \"%s\" and \"%s\" are labelled both as a match and as none",
                                       record_store_id(run->store, label->a, buffer_a),
                                       record_store_id(run->store, label->b, buffer_b)),
                                errhint("Decide which one holds and pass each pair once.")));
            continue;
        }
        reading.list->labels[kept++] = *label;
    }
    reading.list->count = kept;
    if (reading.list->unknown > 0)
        ereport(NOTICE,
                (errmsg(UINT64_FORMAT " labels name records that the query does not return and are left out",
                        reading.list->unknown)));
    return reading.list;
}

static void
note_row(HeapTuple row, TupleDesc description, const int *columns, void *context)
{
    *(bool *)context = true;
}

bool
labels_any(const char *query)
{
    static const char *const names[] = {"id_a", "id_b", "is_match", NULL};
    bool any = false;

    read_rows(query, names, "labels", note_row, &any);
    return any;
}

/* ---- entities ---- */

typedef struct entity_reading {
    const dictionary *ids;
    const uint32 *records;
    dictionary *entities;
    uint32 *by_record;
} entity_reading;

static void
consume_entity(HeapTuple row, TupleDesc description, const int *columns, void *context)
{
    entity_reading *reading = context;
    char *id = SPI_getvalue(row, description, columns[0]),
         *entity = SPI_getvalue(row, description, columns[1]);
    uint32 record;

    if (id == NULL || entity == NULL)
        return;
    if (find_record(reading->ids, reading->records, id, &record))
        reading->by_record[record] =
            dictionary_add(reading->entities, (text_view){entity, (uint32)strlen(entity), 1});
}

uint32 *
entities_read(match_run *run, const char *query)
{
    static const char *const names[] = {"id", "entity_id", NULL};
    entity_reading reading = {0};
    uint32 *records;

    reading.ids = id_dictionary(run, &records);
    reading.records = records;
    reading.entities = dictionary_create(run->context);
    reading.by_record =
        MemoryContextAllocExtended(run->context, mul_size(Max(run->store->records.count, 1), sizeof(uint32)),
                                   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
    read_rows(query, names, "truth", consume_entity, &reading);
    return reading.by_record;
}
