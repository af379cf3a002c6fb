/*
 * record_store.c: reads a query into rows of codes; see record_store.h.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "engine/big_memory.h"
#include "engine/elements.h"
#include "engine/json_reader.h"
#include "engine/page_reader.h"
#include "engine/progress.h"
#include "engine/record_order.h"
#include "engine/record_sample.h"
#include "engine/record_store.h"
#include "engine/spool.h"
#include "engine/value_batch.h"
#include "engine/value_reader.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "kernel/parallel.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

/* Keys of one record in one array; more says nothing and costs quadratically. */
#define MAX_LIST_LENGTH 1024
#define ID_SLICE (256 * 1024)
#define MOST_EXPECTED 1e8 /* records that an estimate alone makes room for */

/* Whether memory is full is asked again after so many records, or so many characters. */
#define RECORDS_A_LOOK 4096
#define BYTES_A_LOOK ((Size)1024 * 1024)

typedef struct store_receiver {
    DestReceiver receiver;
    value_batch *batch;
    record_store *store;
    value_reader **readers; /* by column */
    value_reader *source_reader;
    value_reader *id_reader; /* of ids that are not integers */
    FmgrInfo id_output;
    int source_attribute; /* -1: none */
    int probe_attribute;  /* -1: nobody asked */
    Size allocated;       /* records */
    Size expected;        /* records, by the planner; 0: nothing is known */
    Size id_slice_left;
    char *id_slice;
    MemoryContext row_context;
    Size id_bytes;    /* of all ids */
    Size bytes_asked; /* of ids and values, when it was asked whether memory is full */
    uint64 cut_lists;
    bool sources_too;      /* may go into the spool */
    Size limit;            /* of memory, beyond which records go into the spool; 0: none */
    record_sample *sample; /* that is made of the records; NULL: all are wanted */
} store_receiver;

int
record_store_column(store_column *columns, int *count, const char *expression, value_form form,
                    const char *path, bool allow_list)
{
    for (int i = 0; i < *count; i++)
        if (strcmp(columns[i].expression, expression) == 0 && columns[i].form == form &&
            columns[i].allow_list == allow_list)
            return i;
    columns[*count] = (store_column){
        .expression = expression, .path = path, .form = form, .allow_list = allow_list, .type = InvalidOid};
    return (*count)++;
}

/* ---- receiving ---- */

static void
grow_records(store_receiver *state)
{
    record_store *store = state->store;
    Size records = state->allocated == 0 ? Max(state->expected, 1024) : mul_size(state->allocated, 2);
    Size row_bytes = mul_size(records, mul_size(store->records.stride, sizeof(uint32)));

    if (state->allocated == 0) {
        store->records.rows = big_alloc(store->data, row_bytes);
        if (store->id_type == INT8OID)
            store->integer_ids = big_alloc(store->data, mul_size(records, sizeof(int64)));
        else
            store->text_ids = big_alloc(store->data, mul_size(records, sizeof(char *)));
        if (state->probe_attribute >= 0)
            store->is_probe = big_alloc(store->data, mul_size(records, sizeof(bool)));
    } else {
        value_batch_wait(state->batch);
        store->records.rows = big_realloc((void *)store->records.rows, row_bytes);
        if (store->integer_ids != NULL)
            store->integer_ids = big_realloc(store->integer_ids, mul_size(records, sizeof(int64)));
        else
            store->text_ids = big_realloc(store->text_ids, mul_size(records, sizeof(char *)));
        if (store->is_probe != NULL)
            store->is_probe = big_realloc(store->is_probe, mul_size(records, sizeof(bool)));
    }
    state->allocated = records;
}

/* For so many records in all, of those that are not in the spool. */
static void
make_room(void *caller, Size records)
{
    store_receiver *state = caller;
    record_store *store = state->store;

    if (records + (store->spool == NULL ? 0 : store->spool->count) > PG_INT32_MAX)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("more than %d records in one run", PG_INT32_MAX)));
    while (state->allocated < records)
        grow_records(state);
}

static char *
keep_id(store_receiver *state, const char *text)
{
    Size size = strlen(text) + 1;
    char *kept;

    state->id_bytes += size;
    if (size > ID_SLICE / 4)
        return MemoryContextStrdup(state->store->data, text);
    if (size > state->id_slice_left) {
        state->id_slice = MemoryContextAlloc(state->store->data, ID_SLICE);
        state->id_slice_left = ID_SLICE;
    }
    kept = memcpy(state->id_slice, text, size);
    state->id_slice += size;
    state->id_slice_left -= size;
    return kept;
}

/* Takes a record's id; false when the record is not wanted. */
static bool
receive_id(store_receiver *state, Oid type, Datum value, bool is_null)
{
    record_store *store = state->store;
    uint32 record = store->records.count;
    int64 integer = 0;
    char *text = NULL;

    if (is_null)
        record_store_null_id();
    if (store->integer_ids != NULL)
        integer = type == INT2OID   ? DatumGetInt16(value)
                  : type == INT4OID ? DatumGetInt32(value)
                                    : DatumGetInt64(value);
    else
        text = OutputFunctionCall(&state->id_output, value);
    if (state->sample != NULL && !record_sample_takes(state->sample, integer, text))
        return false;
    if (text == NULL)
        store->integer_ids[record] = integer;
    else
        store->text_ids[record] = keep_id(state, text);
    return true;
}

/* Reads a value of a column; false when it is missing. */
static bool
read_value(store_receiver *state, int i, Datum value, text_view *text)
{
    value_state read = value_reader_read(state->readers[i], value, text);

    if (read == VALUE_UNREADABLE)
        state->store->columns[i].unreadable++;
    return read == VALUE_READ;
}

/* By content: codes are numbered as values arrive, and which keys of a record are cut must not depend on
 * that. */
static int
compare_codes(const void *a, const void *b, void *context)
{
    const dictionary *values = context;
    uint32 x = *(const uint32 *)a, y = *(const uint32 *)b;

    if (values->hashes[x] != values->hashes[y])
        return values->hashes[x] < values->hashes[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* An array as the place of its list of distinct codes. */
static uint32
receive_list(store_receiver *state, int i, Datum value)
{
    record_store *store = state->store;
    ArrayType *array = DatumGetArrayTypeP(value);
    int16 length;
    bool by_value;
    char alignment;
    Datum *elements;
    bool *nulls;
    int count, used = 0;
    uint32 *codes;
    Size place;

    get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &alignment);
    deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, alignment, &elements, &nulls, &count);
    if (count > MAX_LIST_LENGTH) {
        state->cut_lists++;
        count = MAX_LIST_LENGTH;
    }
    codes = palloc((Size)Max(count, 1) * sizeof(uint32));
    for (int e = 0; e < count; e++) {
        text_view text;

        if (!nulls[e] && read_value(state, i, elements[e], &text))
            codes[used++] = dictionary_add(store->columns[i].values, text);
    }
    qsort_arg(codes, used, sizeof(uint32), compare_codes, store->columns[i].values);
    for (int e = 0, kept = 0; e < used; e++) {
        if (kept == 0 || codes[kept - 1] != codes[e])
            codes[kept++] = codes[e];
        if (e == used - 1)
            used = kept;
    }
    if (used == 0)
        return 0;

    if (store->lists_used + used + 1 > PG_UINT32_MAX)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many keys in arrays"),
                        errhint("Use a blocking expression that gives fewer keys a record.")));
    while (store->lists_used + used + 1 > store->lists_allocated) {
        store->lists_allocated = store->lists_allocated == 0 ? 4096 : store->lists_allocated * 2;
        store->lists = store->lists == NULL
                           ? big_alloc(store->data, store->lists_allocated * sizeof(uint32))
                           : big_realloc(store->lists, mul_size(store->lists_allocated, sizeof(uint32)));
    }
    if (store->lists_used == 0)
        store->lists_used = 1;
    place = store->lists_used;
    store->lists[place] = (uint32)used;
    memcpy(&store->lists[place + 1], codes, used * sizeof(uint32));
    store->lists_used += used + 1;
    return (uint32)place;
}

void
record_store_clear(record_store *store)
{
    for (int i = 0; i < store->column_count; i++)
        store->columns[i].long_values += store->columns[i].values->long_values;
    MemoryContextReset(store->data);
    for (int i = 0; i < store->column_count; i++)
        store->columns[i].values = dictionary_create(store->data);
    store->records.rows = NULL;
    store->records.count = 0;
    store->integer_ids = NULL;
    store->text_ids = NULL;
    store->is_probe = NULL;
}

/* What the store takes of memory. Arrays double, and of pages that nobody touched yet there are none: of a
 * hundred million records that is a quarter of what was asked for. */
static Size
memory_used(const store_receiver *state)
{
    const record_store *store = state->store;
    Size record_size = store->records.stride * sizeof(uint32) + sizeof(int64),
         untouched = (state->allocated - store->records.count) * record_size;

    for (int i = 0; i < store->column_count; i++)
        untouched += dictionary_untouched(store->columns[i].values);
    return MemoryContextMemAllocated(store->data, true) - untouched;
}

static bool
is_full(void *caller)
{
    const store_receiver *state = caller;

    return state->limit > 0 && memory_used(state) > state->limit;
}

/* What was read so far goes into files. */
static void
spill(void *caller)
{
    store_receiver *state = caller;
    record_store *store = state->store;

    value_batch_finish(state->batch);
    for (int i = 0; i < store->column_count; i++)
        dictionary_see(store->columns[i].values);
    if (store->spool == NULL)
        store->spool = spool_create(store->context, store->column_count, state->limit);
    store->spool->memory += memory_used(state);
    spool_add(store->spool, store);
    record_store_clear(store);
    state->allocated = 0;
    state->id_slice_left = 0;
    grow_records(state);
}

/* Leaves so many records out of the sample that the others fit. */
static void
fit_sample(store_receiver *state)
{
    Size room;

    value_batch_finish(state->batch);
    room = record_sample_fit(state->sample, state->store);
    if (room > 0) {
        state->allocated = room;
        state->id_slice_left = 0;
    }
}

/* Told of after each record. */
static void
look_at_memory(store_receiver *state)
{
    record_store *store = state->store;
    Size bytes = value_batch_bytes(state->batch) + state->id_bytes;

    if (store->records.count % RECORDS_A_LOOK != 0 && bytes - state->bytes_asked < BYTES_A_LOOK)
        return;
    state->bytes_asked = bytes;
    progress_done(store->records.count + (store->spool == NULL ? 0 : store->spool->count));
    if (state->sample != NULL)
        fit_sample(state);
    else if (is_full(state))
        spill(state);
}

static bool
receive_record(TupleTableSlot *slot, DestReceiver *self)
{
    store_receiver *state = (store_receiver *)self;
    record_store *store = state->store;
    MemoryContext before;
    uint32 *row;

    slot_getallattrs(slot);
    make_room(state, (Size)store->records.count + 1);

    MemoryContextReset(state->row_context);
    before = MemoryContextSwitchTo(state->row_context);
    if (!receive_id(state, TupleDescAttr(slot->tts_tupleDescriptor, 0)->atttypid, slot->tts_values[0],
                    slot->tts_isnull[0])) {
        MemoryContextSwitchTo(before);
        return true;
    }
    row = (uint32 *)store->records.rows + (Size)store->records.count * store->records.stride;
    for (int i = 0; i < store->column_count; i++) {
        Datum value = slot->tts_values[i + 1];

        row[i] = 0;
        if (slot->tts_isnull[i + 1])
            continue;
        if (store->columns[i].is_list)
            row[i] = receive_list(state, i, value);
        else
            value_batch_add(state->batch, state->readers[i], i, store->records.count, value);
    }
    if (store->source_slot >= 0) {
        text_view text;

        row[store->source_slot] = 0;
        if (!slot->tts_isnull[state->source_attribute] &&
            value_reader_read(state->source_reader, slot->tts_values[state->source_attribute], &text) ==
                VALUE_READ)
            row[store->source_slot] = dictionary_add(store->sources, text);
    }
    if (store->is_probe != NULL)
        store->is_probe[store->records.count] = !slot->tts_isnull[state->probe_attribute] &&
                                                DatumGetBool(slot->tts_values[state->probe_attribute]);
    MemoryContextSwitchTo(before);
    store->records.count++;
    look_at_memory(state);
    return true;
}

static void
start_receiving(DestReceiver *self, int operation, TupleDesc description)
{
    store_receiver *state = (store_receiver *)self;
    record_store *store = state->store;
    Oid id_type = TupleDescAttr(description, 0)->atttypid;

    if (id_type == INT2OID || id_type == INT4OID || id_type == INT8OID)
        store->id_type = INT8OID;
    else {
        Oid function;
        bool is_varlena;

        store->id_type = id_type;
        getTypeOutputInfo(id_type, &function, &is_varlena);
        fmgr_info_cxt(function, &state->id_output, store->context);
    }
    for (int i = 0; i < store->column_count; i++) {
        store_column *column = &store->columns[i];
        Oid type = TupleDescAttr(description, i + 1)->atttypid, element = get_base_element_type(type);

        column->type = type;
        column->is_list = column->allow_list && OidIsValid(element);
        column->values = dictionary_create(store->data);
        if (column->is_list)
            state->limit = 0;
        state->readers[i] =
            value_reader_create(store->context, column->is_list ? element : type, column->form);
    }
    if (store->source_slot >= 0) {
        state->source_reader = value_reader_create(
            store->context, TupleDescAttr(description, state->source_attribute)->atttypid, FORM_NONE);
        store->sources = dictionary_create(store->context);
        if (!state->sources_too)
            state->limit = 0;
    }
    if (state->probe_attribute >= 0)
        state->limit = 0;
    grow_records(state);
}

static void
finish_receiving(DestReceiver *self)
{
    value_batch_finish(((store_receiver *)self)->batch);
}

static void
ignore_receiver(DestReceiver *self)
{
}

/* ---- ids ---- */

const char *
record_store_id(const record_store *store, uint32 record, char *buffer)
{
    if (store->integer_ids == NULL)
        return store->text_ids[record];
    pg_lltoa(store->integer_ids[record], buffer);
    return buffer;
}

int
record_store_compare_ids(const record_store *store, uint32 a, uint32 b)
{
    Size length_a, length_b;

    if (store->integer_ids != NULL)
        return store->integer_ids[a] < store->integer_ids[b] ? -1
                                                             : store->integer_ids[a] > store->integer_ids[b];
    length_a = strlen(store->text_ids[a]);
    length_b = strlen(store->text_ids[b]);
    if (length_a != length_b)
        return length_a < length_b ? -1 : 1;
    return memcmp(store->text_ids[a], store->text_ids[b], length_a);
}

void
record_store_null_id(void)
{
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("the query returned a record whose \"id\" is NULL"),
                    errhint("Leave such records out (WHERE id IS NOT NULL) or give them an id, for "
                            "example with row_number().")));
}

void
record_store_duplicate_id(const char *id)
{
    ereport(ERROR,
            (errcode(ERRCODE_CARDINALITY_VIOLATION),
             errmsg("the query returned id \"%s\" more than once", id),
             errhint("Make \"id\" unique, for example source || ':' || key, or remove the duplicates with "
                     "DISTINCT ON (id).")));
}

/* ---- reading ---- */

#define RECORDS_COUNTED_AT_ONCE (4 * 1024 * 1024)

typedef struct value_count {
    record_store *store;
    Size first, end; /* records */
} value_count;

static void
count_column(void *context, int64_t column, int thread)
{
    const value_count *count = context;
    const store_column *counted = &count->store->columns[column];
    Size stride = count->store->records.stride;
    const uint32 *code = count->store->records.rows + count->first * stride + column;

    if (counted->is_list)
        return;
    for (Size record = count->first; record < count->end; record++, code += stride)
        counted->values->records[*code]++;
}

/* The records of each value, where they were not counted as they came: values of arrays were. */
static void
count_values(record_store *store, int threads)
{
    value_count count = {.store = store};

    for (int i = 0; i < store->column_count; i++)
        if (!store->columns[i].is_list)
            memset(store->columns[i].values->records, 0, store->columns[i].values->count * sizeof(uint32));
    for (; count.first < store->records.count; count.first = count.end) {
        count.end = Min(store->records.count, count.first + RECORDS_COUNTED_AT_ONCE);
        parallel_for(threads, store->column_count, count_column, &count);
        CHECK_FOR_INTERRUPTS();
    }
    for (int i = 0; i < store->column_count; i++)
        store->columns[i].values->records[0] = 0;
}

void
record_store_finish_values(record_store *store)
{
    for (int i = 0; i < store->column_count; i++) {
        const store_column *column = &store->columns[i];
        dictionary *values = column->values;

        if (column->form == FORM_NUMBER) {
            values->numbers = big_alloc(store->data, mul_size(values->count, sizeof(double)));
            for (uint32 code = 1; code < values->count; code++) {
                values->numbers[code] = value_number(values->texts[code]);
                if ((code & 0xffff) == 0)
                    CHECK_FOR_INTERRUPTS();
            }
        } else if (column->form == FORM_DATE) {
            values->dates = big_alloc(store->data, mul_size(values->count, sizeof(calendar_date)));
            for (uint32 code = 1; code < values->count; code++) {
                values->dates[code] = value_date(values->texts[code]);
                if ((code & 0xffff) == 0)
                    CHECK_FOR_INTERRUPTS();
            }
        }
    }
}

/* A word about what was not as it should be. */
static void
report_columns(const record_store *store, value_reader *const *readers)
{
    for (int i = 0; i < store->column_count; i++) {
        const store_column *column = &store->columns[i];
        uint64 long_values = column->long_values + column->values->long_values;
        uint64 cut = readers[i] != NULL ? value_reader_cut(readers[i]) : 0;

        if (long_values > 0)
            ereport(NOTICE, (errmsg_plural("%s: " UINT64_FORMAT " value is longer than %d characters",
                                           "%s: " UINT64_FORMAT " values are longer than %d characters",
                                           (unsigned long)long_values, column->expression, long_values,
                                           COMPARED_CHARACTERS),
                             errdetail("Beyond that only equality counts.")));
        if (column->unreadable > 0)
            ereport(NOTICE, (errmsg_plural("%s: " UINT64_FORMAT " value is no %s and counts as missing",
                                           "%s: " UINT64_FORMAT " values are no %s and count as missing",
                                           (unsigned long)column->unreadable, column->expression,
                                           column->unreadable, value_form_name(column->form))));
        if (cut > 0)
            ereport(WARNING,
                    (errmsg("%s: " UINT64_FORMAT " records have more than %d elements, or more than %d "
                            "characters in them",
                            column->expression, cut, MAX_ELEMENTS, ELEMENT_CHARACTERS),
                     errdetail("The others, in the order of their text, are not compared."),
                     errhint("Compare fewer: column[1:%d], or what the elements have in common as a key.",
                             MAX_ELEMENTS)));
    }
}

/* SELECT id, expressions, source FROM (query). */
static char *
reading_query(const query_shape *shape, const store_column *columns, int column_count, bool want_source,
              bool only_some)
{
    StringInfoData sql;

    initStringInfo(&sql);
    appendStringInfoString(&sql, "SELECT record.id");
    for (int i = 0; i < column_count; i++)
        appendStringInfo(&sql, columns[i].is_plain ? ", record.%s" : ", (%s\n)", columns[i].expression);
    if (want_source)
        appendStringInfoString(&sql, ", record.source");
    if (shape->want_probes)
        appendStringInfoString(&sql, ", record.\"#probe\"");
    appendStringInfo(&sql, "\nFROM (%s\n) AS record", shape->query);
    /* Not a cast: for some types (char, inet) that gives another text than the one an id is known by. */
    if (only_some)
        appendStringInfoString(&sql, "\nWHERE pg_catalog.format('%s', record.id) COLLATE pg_catalog.\"C\" "
                                     "OPERATOR(pg_catalog.=) ANY ($1)");
    return sql.data;
}

/* What is compared by elements has some; an array that is compared as one text is worth a word. */
static void
check_elements(const store_column *column, Oid type)
{
    json_node node = {{.type = jbvNull}, column->path};

    if (((int)column->form & FORM_ELEMENTS) != 0 && !type_has_elements(type))
        json_error(
            &node,
            psprintf("%s is of type %s, which has no elements", column->expression, format_type_be(type)),
            "Elements are those of an array, or of a jsonb array.",
            "Leave \"elements\" out, or say what stands between the elements of the text: "
            "\"separator\": \";\".");
    if (((int)column->form & FORM_ELEMENTS) == 0 && OidIsValid(get_base_element_type(type)) &&
        strncmp(column->path, "$.comparisons", strlen("$.comparisons")) == 0)
        ereport(NOTICE, (errmsg("%s is an array and is compared as one text", column->expression),
                         errdetail("At %s.", column->path),
                         errhint("Add \"elements\": \"best\" to compare its elements.")));
}

static void
check_columns_exist(const query_shape *shape, store_column *columns, int column_count)
{
    for (int i = 0; i < column_count; i++) {
        char *plain = query_plain_column(columns[i].expression, columns[i].path);
        Oid type;

        if (plain != NULL) {
            query_check_column(shape, plain, columns[i].path);
            columns[i].expression = quote_identifier(plain);
            columns[i].is_plain = true;
            type = TupleDescAttr(shape->columns, query_column(shape, plain))->atttypid;
        } else
            type = query_check_expression(shape, columns[i].expression, columns[i].path);
        if (get_typtype(type) == TYPTYPE_COMPOSITE || type == RECORDOID) {
            json_node node = {{.type = jbvNull}, columns[i].path};

            if (strcmp(columns[i].path, "$") == 0) /* nobody named it: suggest takes all there are */
                ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                                errmsg("column %s of the query is a row, not a value", columns[i].expression),
                                errhint("Select one of its fields instead, or leave it out.")));
            json_error(&node, psprintf("%s is a row, not a value", columns[i].expression), NULL,
                       "Take one of its fields.");
        }
        check_elements(&columns[i], type);
    }
}

/* The records that a scan of a whole table will give, about, unless they would go into a spool. */
static Size
expected_records(const store_receiver *state, const Plan *plan)
{
    Size record_size = state->store->records.stride * sizeof(uint32) + sizeof(int64);
    double records = Min(plan->plan_rows * 1.01, MOST_EXPECTED);

    return state->limit > 0 && records * record_size > state->limit / 4 ? 0 : (Size)records;
}

/* Reads the query by the pages of its table (page_reader.h); false when it is not one to be read so. */
static bool
read_by_pages(store_receiver *state, SPIPlanPtr plan, MemoryContext reading, int threads)
{
    page_reading pages = {.store = state->store,
                          .readers = state->readers,
                          .threads = threads,
                          .context = reading,
                          .caller = state,
                          .make_room = make_room,
                          .is_full = is_full,
                          .empty = spill};
    CachedPlan *planned = SPI_plan_get_cached_plan(plan);
    PlannedStmt *statement = planned == NULL ? NULL : linitial_node(PlannedStmt, planned->stmt_list);
    bool fits = statement != NULL && ActiveSnapshotSet() && page_reader_can(statement);

    if (fits) {
        QueryDesc *query = CreateQueryDesc(
            statement, ((CachedPlanSource *)linitial(SPI_plan_get_plan_sources(plan)))->query_string,
            GetActiveSnapshot(), InvalidSnapshot, None_Receiver, NULL, NULL, 0);

        ExecutorStart(query, 0);
        fits = page_reader_fits(query, state->store);
        if (fits) {
            state->expected = expected_records(state, statement->planTree);
            start_receiving(&state->receiver, CMD_SELECT, query->tupDesc);
            pages.source_reader = state->source_reader;
            pages.expected = state->expected;
            page_reader_read(&pages, query);
        }
        ExecutorFinish(query);
        ExecutorEnd(query);
        FreeQueryDesc(query);
    }
    if (planned != NULL)
        ReleaseCachedPlan(planned, NULL);
    return fits;
}

/* sample: NULL, or what the records are to be one of; then there is one thread. */
static record_store *
read_records(MemoryContext context, const query_shape *shape, const store_column *columns, int column_count,
             bool want_source, const char *const only_ids[2], int threads, Size limit, bool sources_too,
             record_sample *sample)
{
    record_store *store = MemoryContextAllocZero(context, sizeof(record_store));
    MemoryContext reading;
    store_receiver state = {
        .receiver = {receive_record, start_receiving, finish_receiving, ignore_receiver, DestNone}};
    SPIExecuteOptions options = {0};
    SPIPlanPtr plan;
    Oid argument_type = TEXTARRAYOID;

    store->context = context;
    store->data = AllocSetContextCreate(context, "mastering records", ALLOCSET_DEFAULT_SIZES);
    /*
     * After store->data: of the children of a context the latest goes first, and until this one has gone,
     * after an error, threads may be writing to the dictionaries (see abandon() in value_batch.c).
     */
    reading = AllocSetContextCreate(context, "mastering reading", ALLOCSET_DEFAULT_SIZES);
    store->column_count = column_count;
    store->columns = MemoryContextAllocZero(context, sizeof(store_column) * Max(column_count, 1));
    memcpy(store->columns, columns, sizeof(store_column) * column_count);
    check_columns_exist(shape, store->columns, column_count);
    store->source_slot = want_source && shape->has_source ? column_count : -1;
    store->records.stride = (uint32)Max(column_count + (store->source_slot >= 0 ? 1 : 0), 1);

    state.store = store;
    state.limit = limit;
    state.sources_too = sources_too;
    state.sample = sample;
    state.readers = MemoryContextAllocZero(context, sizeof(value_reader *) * Max(column_count, 1));
    state.source_attribute = column_count + 1;
    state.probe_attribute = shape->want_probes ? column_count + (store->source_slot >= 0 ? 2 : 1) : -1;
    state.batch = value_batch_create(reading, store, threads);
    state.row_context = AllocSetContextCreate(reading, "mastering row", ALLOCSET_DEFAULT_SIZES);

    SPI_connect();
    plan = SPI_prepare_cursor(
        reading_query(shape, store->columns, column_count, store->source_slot >= 0, only_ids != NULL),
        only_ids != NULL ? 1 : 0, &argument_type, CURSOR_OPT_PARALLEL_OK);
    if (plan == NULL)
        elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    options.read_only = true;
    options.dest = &state.receiver;
    if (only_ids != NULL) {
        ParamListInfo parameters = makeParamList(1);
        Datum ids[2] = {CStringGetTextDatum(only_ids[0]), CStringGetTextDatum(only_ids[1])};

        parameters->params[0].value =
            PointerGetDatum(construct_array(ids, 2, TEXTOID, -1, false, TYPALIGN_INT));
        parameters->params[0].isnull = false;
        parameters->params[0].pflags = PARAM_FLAG_CONST;
        parameters->params[0].ptype = TEXTARRAYOID;
        options.params = parameters;
    }
    if (only_ids != NULL || shape->want_probes || sample != NULL ||
        !read_by_pages(&state, plan, reading, threads)) {
        int result = SPI_execute_plan_extended(plan, &options);

        if (result < 0)
            elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(result));
    }
    SPI_finish();

    if (store->spool != NULL)
        spill(&state);
    if (sample != NULL)
        fit_sample(&state);
    MemoryContextDelete(reading);
    report_columns(store, state.readers);
    if (store->spool != NULL) {
        record_store_clear(store);
        spool_sort(store->spool);
        store->records.count = store->spool->count;
    } else {
        if (!store->values_counted)
            count_values(store, threads);
        record_store_renumber(store, threads);
        record_store_finish_values(store);
    }
    store->whole_count = store->records.count + (sample == NULL ? 0 : sample->left_out);
    if (limit > 0 && state.limit == 0 && MemoryContextMemAllocated(store->data, true) > limit * 2)
        ereport(WARNING, (errmsg("the records take more memory than mastering.work_mem allows"),
                          errdetail("They take about %zu MB. A query with arrays among its blocking keys, or "
                                    "with a column \"source\" and no trained model, is not done in passes.",
                                    MemoryContextMemAllocated(store->data, true) / 1024 / 1024),
                          errhint("Raise mastering.work_mem, or let the query return fewer records.")));
    if (state.cut_lists > 0)
        ereport(WARNING,
                (errmsg(UINT64_FORMAT " records have more than %d keys in an array; the rest is left out",
                        state.cut_lists, MAX_LIST_LENGTH)));
    return store;
}

record_store *
record_store_read(MemoryContext context, const query_shape *shape, const store_column *columns,
                  int column_count, bool want_source, const char *const only_ids[2], int threads)
{
    return record_store_read_within(context, shape, columns, column_count, want_source, only_ids, threads, 0,
                                    false);
}

record_store *
record_store_read_within(MemoryContext context, const query_shape *shape, const store_column *columns,
                         int column_count, bool want_source, const char *const only_ids[2], int threads,
                         Size limit, bool sources_too)
{
    return read_records(context, shape, columns, column_count, want_source, only_ids, threads, limit,
                        sources_too, NULL);
}

record_store *
record_store_read_sample(MemoryContext context, const query_shape *shape, const store_column *columns,
                         int column_count, bool want_source, Size most)
{
    return read_records(context, shape, columns, column_count, want_source, NULL, 1, 0, false,
                        record_sample_create(context, column_count, most));
}

value_table
record_store_values(const record_store *store, int slot)
{
    const dictionary *values = store->columns[slot].values;

    return (value_table){.texts = values->texts,
                         .numbers = values->numbers,
                         .dates = values->dates,
                         .profiles = values->profiles,
                         .planes = values->planes};
}
