/*
 * lookup.c: lookup(env, entity, record, n), behind its door: one record against what an environment
 * publishes, in real time.
 *
 * A session keeps what does not change from one call to the next: of a model, by the artifacts it is made
 * of, the document as the engine wants it and the plans that evaluate its expressions (as the environment's
 * owner); of a published state, by the generation of the environment's head, which segments it consists of.
 * Segments never change, so this is right whenever a snapshot sees that generation; whether the caller may
 * ask, and which generation it is, is looked at with each call.
 *
 * Steps: the keys of the record, by the model's rules; the rows that have them, by the key index
 * (key_chunks.h); these records' values; their weights; the clusters of the best ones.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "engine/key_chunks.h"
#include "engine/probe.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "kernel/fixed_point.h"
#include "miscadmin.h"
#include "sql/lookup_cache.h"
#include "sql/row_places.h"
#include "sql/segment_rows.h"
#include "storage/deletion_vector.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

/* Rows of one key that are scored at most, and of all keys together: the keys that fewest have come first. */
#define MOST_OF_A_KEY 1000
#define MOST_CANDIDATES 3000
/* More chunks that begin with a key are not read: they have more rows than are wanted. */
#define MOST_CHUNKS 8

typedef struct asked_key {
    int32 rule;
    int64 key;
    uint32 rows; /* found, up to one more than MOST_OF_A_KEY */
} asked_key;

typedef struct found_row {
    int32 part; /* segment of the state */
    placed_row at;
    uint32 asked; /* the key that found it */
} found_row;

typedef struct candidate {
    char *source, *key;
    int64 weight;
    uint64 pattern;
} candidate;

/* ---- the record's keys ---- */

static void
check_record(Jsonb *record, const lookup_model *model)
{
    JsonbIterator *iterator;
    JsonbIteratorToken token;
    JsonbValue name;
    int depth = 0;

    if (!JB_ROOT_IS_OBJECT(record))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("a record to look up is an object of attributes and values"),
                        errhint("Write {\"name\": \"Ann Lee\", \"city\": \"Ulm\"}.")));
    iterator = JsonbIteratorInit(&record->root);
    while ((token = JsonbIteratorNext(&iterator, &name, false)) != WJB_DONE) {
        bool known = false;

        if (token == WJB_BEGIN_OBJECT || token == WJB_BEGIN_ARRAY)
            depth++;
        else if (token == WJB_END_OBJECT || token == WJB_END_ARRAY)
            depth--;
        if (token != WJB_KEY || depth > 1)
            continue;
        for (int i = 0; i < model->attribute_count && !known; i++)
            known = strlen(model->attributes[i]) == name.val.string.len &&
                    memcmp(model->attributes[i], name.val.string.val, name.val.string.len) == 0;
        if (!known) {
            StringInfoData names;

            initStringInfo(&names);
            for (int i = 0; i < model->attribute_count; i++)
                appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", model->attributes[i]);
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                            errmsg("entity \"%s\" has no attribute \"%.*s\"", model->entity,
                                   name.val.string.len, name.val.string.val),
                            errdetail("It has %s.", names.data)));
        }
    }
}

/* The record's values under the model's expressions, made as the environment's owner. */
static probe *
begin_probe(lookup_model *model, Jsonb *record, MemoryContext context)
{
    Datum argument = JsonbPGetDatum(record);
    bool read_only = XactReadOnly;
    SPITupleTable *rows;
    Datum *values;
    bool *nulls;
    Disguise before;

    PG_TRY();
    {
        before = put_on(model->owner, model->search_path);
        XactReadOnly = true;
        if (SPI_execute_plan(model->record_plan, &argument, NULL, true, 2) != SPI_OK_SELECT ||
            SPI_processed != 1)
            elog(ERROR, "a record to look up gave " UINT64_FORMAT " rows", SPI_processed);
        take_off(before);
    }
    PG_FINALLY();
    {
        XactReadOnly = read_only;
    }
    PG_END_TRY();
    rows = SPI_tuptable;
    if (model->probe->readers == NULL)
        probe_model_set_types(model->probe, rows->tupdesc);
    for (int i = 0; i < model->probe->column_count; i++)
        if (TupleDescAttr(rows->tupdesc, i)->atttypid != model->probe->columns[i].type) {
            char *expression = pstrdup(model->probe->columns[i].expression);

            lookup_forget_all(); /* the model goes, too */
            ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                            errmsg("the type of %s has changed since this session first used it", expression),
                            errhint("Call it again.")));
        }
    values = MemoryContextAlloc(context, sizeof(Datum) * Max(rows->tupdesc->natts, 1));
    nulls = MemoryContextAlloc(context, sizeof(bool) * Max(rows->tupdesc->natts, 1));
    heap_deform_tuple(rows->vals[0], rows->tupdesc, values, nulls);
    return probe_begin(model->probe, context, values, nulls);
}

static int
list_keys(const probe *probe, asked_key **asked)
{
    const match_spec *spec = probe->model->spec;
    uint64 *keys = palloc(sizeof(uint64) * MAX_KEYS_OF_RECORD);
    int count = 0;

    *asked = NULL;
    for (int rule = 0; rule < spec->rule_count; rule++) {
        uint32 found = probe_keys(probe, rule, keys);

        if (found == 0)
            continue;
        *asked = *asked == NULL ? palloc(sizeof(asked_key) * found)
                                : repalloc(*asked, sizeof(asked_key) * (count + found));
        for (uint32 i = 0; i < found; i++)
            (*asked)[count++] = (asked_key){rule + 1, (int64)keys[i], 0};
    }
    pfree(keys);
    return count;
}

/* ---- who has them ---- */

static const asked_key *sorting_by;

/* Rows of rare keys first, then by place: what is cut does not hang on the order in which segments were read.
 */
static int
compare_rarity(const void *a, const void *b)
{
    const found_row *x = a, *y = b;
    uint32 rows_x = sorting_by[x->asked].rows, rows_y = sorting_by[y->asked].rows;

    if (rows_x != rows_y)
        return rows_x < rows_y ? -1 : 1;
    if (x->asked != y->asked)
        return x->asked < y->asked ? -1 : 1;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->at.row < y->at.row ? -1 : x->at.row > y->at.row;
}

static int
compare_place(const void *a, const void *b)
{
    const found_row *x = a, *y = b;

    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->at.row < y->at.row ? -1 : x->at.row > y->at.row;
}

typedef struct row_list {
    found_row *all;
    uint32 count, room;
} row_list;

/* The rows that have a key, of those in the chunk that was read last. */
static void
add_rows_of_chunk(const segment_rows *chunks, AttrNumber column, int32 part, asked_key *asked, uint32 n,
                  row_list *rows)
{
    bool isnull;
    bytea *entries = DatumGetByteaPP(slot_getattr(chunks->slot, column, &isnull));
    const uint8 *bytes = (const uint8 *)VARDATA_ANY(entries);
    int end = key_chunk_count(entries);

    for (int e = key_chunk_find(bytes, end, asked[n].key);
         e < end && key_entry_key(bytes + e * KEY_ENTRY_BYTES) == asked[n].key &&
         asked[n].rows <= MOST_OF_A_KEY;
         e++) {
        if (asked[n].rows++ == MOST_OF_A_KEY)
            break;
        if (rows->count == rows->room) {
            rows->room *= 2;
            rows->all = repalloc_huge(rows->all, sizeof(found_row) * rows->room);
        }
        rows->all[rows->count++] = (found_row){
            part,
            {key_entry_row(bytes + e * KEY_ENTRY_BYTES), key_entry_place(bytes + e * KEY_ENTRY_BYTES)},
            n};
    }
}

static void
set_chunk_keys(const segment_rows *chunks, ScanKeyData *keys, const asked_key *asked, bool before)
{
    segment_key(chunks, &keys[0], 0, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(asked->rule));
    segment_key(chunks, &keys[1], 1, before ? BTLessStrategyNumber : BTEqualStrategyNumber,
                before ? F_INT8LT : F_INT8EQ, Int64GetDatum(asked->key));
}

/*
 * The rows of the chunks in which a key may lie: the last one that begins before it, and those that begin
 * with it. places: those of this key and segment. Where one of them has nothing to see, for a chunk was
 * written again without a record that was erased, the index is asked once more, row by row.
 */
static void
read_chunks(segment_rows *chunks, AttrNumber column, asked_key *asked, const segment_place *places,
            uint32 count, uint32 before, row_list *rows)
{
    for (uint32 i = 0; i < count;) {
        bool first = i < before;
        uint32 end = first ? before : count, n = places[i].n, seen = 0;
        ScanKeyData keys[SEGMENT_KEYS];

        while (i < end && segment_read(chunks, &places[i].at)) {
            add_rows_of_chunk(chunks, column, places[i].part, asked, n, rows);
            seen++;
            i++;
        }
        if (i == end)
            continue;
        set_chunk_keys(chunks, keys, &asked[n], first);
        segment_begin(chunks, keys);
        for (uint32 again = 0; again < (first ? 1 : MOST_CHUNKS) &&
                               segment_next(chunks, first ? BackwardScanDirection : ForwardScanDirection);
             again++)
            if (again >= seen)
                add_rows_of_chunk(chunks, column, places[i].part, asked, n, rows);
        i = end;
    }
}

static const char *const chunk_columns[] = {"rule", "first"}, *const member_columns[] = {"#source", "#key"};

/* Once for each state: the upper pages of all indexes are asked for before the first of them is waited for.
 */
static void
ask_for_indexes(lookup_state *state)
{
    segment_rows rows;

    for (int part = 0; part < state->part_count; part++) {
        segment_rows_open(&rows, state->parts[part].keys, 2, chunk_columns);
        segment_expect_upper(&rows);
        segment_rows_close(&rows);
    }
    for (int m = 0; m < state->member_count; m++) {
        segment_rows_open(&rows, state->members[m].segment, 2, member_columns);
        segment_expect_upper(&rows);
        segment_rows_close(&rows);
    }
    state->asked_for_indexes = true;
}

/* The distinct rows that have one of the keys, in the order of their places. */
static uint32
find_rows(lookup_state *state, asked_key *asked, int asked_count, found_row **result)
{
    int parts = state->part_count;
    segment_rows *chunks = palloc(sizeof(segment_rows) * Max(parts, 1));
    AttrNumber *entries = palloc(sizeof(AttrNumber) * Max(parts, 1));
    Size pairs = mul_size(Max(asked_count, 1), Max(parts, 1));
    uint32 *ends = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(pairs, sizeof(uint32)));
    uint32 *befores = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(pairs, sizeof(uint32)));
    segment_places places = {0};
    row_list rows = {palloc(sizeof(found_row) * 1024), 0, 1024};
    uint32 kept = 0, start = 0;

    if (!state->asked_for_indexes)
        ask_for_indexes(state);
    for (int part = 0; part < parts; part++) {
        segment_rows_open(&chunks[part], state->parts[part].keys, 2, chunk_columns);
        entries[part] = segment_rows_column(&chunks[part], "entries");
    }
    for (int n = 0; n < asked_count; n++)
        for (int part = 0; part < parts; part++)
            segment_expect(&chunks[part],
                           (Datum[]){Int32GetDatum(asked[n].rule), Int64GetDatum(asked[n].key)});
    for (Size n = 0; n < (Size)asked_count; n++)
        for (Size part = 0; part < (Size)parts; part++) {
            ScanKeyData keys[SEGMENT_KEYS];

            set_chunk_keys(&chunks[part], keys, &asked[n], true);
            befores[n * parts + part] =
                segment_find(&chunks[part], keys, BackwardScanDirection, 1, &places, (int32)part, (uint32)n);
            set_chunk_keys(&chunks[part], keys, &asked[n], false);
            (void)segment_find(&chunks[part], keys, ForwardScanDirection, MOST_CHUNKS, &places, (int32)part,
                               (uint32)n);
            ends[n * parts + part] = places.count;
        }
    for (Size i = 0; i < (Size)asked_count * parts; start = ends[i++])
        read_chunks(&chunks[i % parts], entries[i % parts], asked, places.all + start, ends[i] - start,
                    befores[i], &rows);
    for (int part = 0; part < parts; part++)
        segment_rows_close(&chunks[part]);
    if (rows.count > MOST_CANDIDATES) {
        sorting_by = asked;
        qsort(rows.all, rows.count, sizeof(found_row), compare_rarity);
        rows.count = MOST_CANDIDATES;
    }
    qsort(rows.all, rows.count, sizeof(found_row), compare_place);
    for (uint32 i = 0; i < rows.count; i++)
        if (kept == 0 || compare_place(&rows.all[kept - 1], &rows.all[i]) != 0)
            rows.all[kept++] = rows.all[i];
    *result = rows.all;
    return kept;
}

/* ---- their values and weights ---- */

/*
 * The compared values of a record: source, key, attributes. Where some are computed, the caller has become
 * the environment's owner.
 */
static void
add_candidate(lookup_model *model, probe *probe, Datum *all, const bool *all_nulls, Datum *values,
              bool *nulls)
{
    if (model->computed_plan != NULL) {
        char *parameter_nulls = palloc(model->attribute_count + 2);
        int computed = 0;

        for (int i = 0; i < model->attribute_count + 2; i++)
            parameter_nulls[i] = all_nulls[i] ? 'n' : ' ';
        if (SPI_execute_plan(model->computed_plan, all, parameter_nulls, true, 2) != SPI_OK_SELECT ||
            SPI_processed != 1)
            elog(ERROR, "the expressions of a record gave " UINT64_FORMAT " rows", SPI_processed);
        for (int i = 0; i < model->probe->compared_count; i++)
            if (model->probe->attributes[i] < 0)
                values[i] =
                    SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, ++computed, &nulls[i]);
        pfree(parameter_nulls);
    }
    for (int i = 0; i < model->probe->compared_count; i++)
        if (model->probe->attributes[i] >= 0) {
            values[i] = all[model->probe->attributes[i]];
            nulls[i] = all_nulls[model->probe->attributes[i]];
        }
    probe_add(probe, values, nulls);
    if (model->computed_plan != NULL)
        SPI_freetuptable(SPI_tuptable);
}

/* Columns of a store are nearly always in the order of the attributes. */
static void
find_columns(const lookup_state *state, lookup_part *part, const segment_rows *records)
{
    const lookup_model *model = state->model;
    TupleDesc columns = RelationGetDescr(records->table);
    AttrNumber *numbers =
        MemoryContextAlloc(state->context, sizeof(AttrNumber) * (model->attribute_count + 2));
    int at = 0;

    for (int i = 0; i < model->attribute_count + 2; i++) {
        const char *name = i == 0 ? "#source" : i == 1 ? "#key" : model->attributes[i - 2];

        if (at >= columns->natts || strcmp(NameStr(TupleDescAttr(columns, at)->attname), name) != 0)
            at = segment_rows_column(records, name) - 1;
        numbers[i] = (AttrNumber)++at;
    }
    part->columns = numbers;
}

/* By the index, where the place of a row is not known, or another one lies there. */
static bool
read_by_index(segment_rows *records, int32 row)
{
    static const char *const row_column[] = {"#row"};
    ScanKeyData key;

    segment_rows_use_index(records, 1, row_column);
    segment_key(records, &key, 0, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(row));
    segment_begin(records, &key);
    return segment_next(records, ForwardScanDirection);
}

/* The candidates among the rows of one segment. */
static uint32
read_part(lookup_state *state, probe *probe, const found_row *rows, uint32 count, candidate *candidates)
{
    lookup_model *model = state->model;
    lookup_part *part = &state->parts[rows->part];
    int width = model->attribute_count + 2;
    int compared = Max(model->probe->column_count, 1);
    Datum *all = palloc(sizeof(Datum) * width), *values = palloc(sizeof(Datum) * compared);
    bool *all_nulls = palloc(sizeof(bool) * width), *nulls = palloc(sizeof(bool) * compared);
    AttrNumber last = 0, row_column;
    segment_rows records;
    Disguise before = {0};
    uint32 read = 0;

    segment_rows_open_table(&records, part->records);
    row_column = segment_rows_column(&records, "#row");
    if (part->columns == NULL)
        find_columns(state, part, &records);
    for (int i = 0; i < width; i++)
        last = Max(last, part->columns[i]);
    for (uint32 i = 0; i < count; i++)
        if (rows[i].at.place != NO_PLACE)
            segment_ask_for(&records, rows[i].at.place >> PLACE_LINE_BITS);
    if (model->computed_plan != NULL) /* once: to set what is pinned, and back, takes longer than a record */
        before = put_on(model->owner, model->search_path);
    for (uint32 i = 0; i < count; i++) {
        if ((part->vector != 0 && mastering_vector_contains(part->vector, rows[i].at.row)) ||
            (!placed_row_read(&records, row_column, rows[i].at) && !read_by_index(&records, rows[i].at.row)))
            continue;
        slot_getsomeattrs(records.slot, last);
        for (int c = 0; c < width; c++) {
            all[c] = records.slot->tts_values[part->columns[c] - 1];
            all_nulls[c] = records.slot->tts_isnull[part->columns[c] - 1];
        }
        add_candidate(model, probe, all, all_nulls, values, nulls);
        candidates[read++] = (candidate){TextDatumGetCString(all[0]), TextDatumGetCString(all[1]), 0, 0};
    }
    if (model->computed_plan != NULL)
        take_off(before);
    segment_rows_close(&records);
    return read;
}

static uint32
read_candidates(lookup_state *state, probe *probe, const found_row *rows, uint32 count, candidate *candidates)
{
    bool read_only = XactReadOnly;
    volatile uint32 read = 0; /* an error may jump over its change */

    PG_TRY();
    {
        XactReadOnly = true;
        for (uint32 start = 0, end; start < count; start = end) {
            for (end = start; end < count && rows[end].part == rows[start].part; end++)
                ;
            read += read_part(state, probe, rows + start, end - start, candidates + read);
            CHECK_FOR_INTERRUPTS();
        }
    }
    PG_FINALLY();
    {
        XactReadOnly = read_only;
    }
    PG_END_TRY();
    return read;
}

/* Best first; ties by source and key, as bytes. */
static int
compare_candidates(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    int order;

    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    order = strcmp(x->source, y->source);
    return order != 0 ? order : strcmp(x->key, y->key);
}

/* ---- the answer ---- */

static Datum
explanation(const probe_model *model, uint64 pattern)
{
    JsonbParseState *parse = NULL;
    JsonbValue *result;

    pushJsonbValue(&parse, WJB_BEGIN_OBJECT, NULL);
    for (int c = 0; c < model->spec->comparison_count; c++) {
        char *name = model->spec->comparisons[c].name;
        JsonbValue key = {.type = jbvString}, level = {.type = jbvNumeric};

        if (name == NULL)
            name = model->spec->comparisons[c].column != NULL ? model->spec->comparisons[c].column
                                                              : model->spec->comparisons[c].expression;
        key.val.string.val = name;
        key.val.string.len = strlen(name);
        level.val.numeric = int64_to_numeric(pattern_level(&model->scorer.comparisons[c], pattern));
        pushJsonbValue(&parse, WJB_KEY, &key);
        pushJsonbValue(&parse, WJB_VALUE, &level);
    }
    result = pushJsonbValue(&parse, WJB_END_OBJECT, NULL);
    return JsonbPGetDatum(JsonbValueToJsonb(result));
}

/* The clusters of the best ones; without: those that have none. */
static void
find_clusters(const lookup_state *state, const Datum *sources, const Datum *keys, uint32 count,
              Datum *clusters, bool *without)
{
    int segments = state->member_count;
    segment_rows *members = palloc(sizeof(segment_rows) * Max(segments, 1));
    segment_places places = {0};

    for (int m = 0; m < segments; m++)
        segment_rows_open(&members[m], state->members[m].segment, 2, member_columns);
    for (uint32 i = 0; i < count; i++)
        for (int m = 0; m < segments; m++)
            segment_expect(&members[m], (Datum[]){sources[i], keys[i]});
    for (uint32 i = 0; i < count; i++) {
        without[i] = true;
        for (int m = 0; m < segments; m++) {
            ScanKeyData wanted[SEGMENT_KEYS];

            segment_key(&members[m], &wanted[0], 0, BTEqualStrategyNumber, F_TEXTEQ, sources[i]);
            segment_key(&members[m], &wanted[1], 1, BTEqualStrategyNumber, F_TEXTEQ, keys[i]);
            (void)segment_find(&members[m], wanted, ForwardScanDirection, PG_UINT32_MAX, &places, m, i);
        }
    }
    for (uint32 i = 0; i < places.count; i++) {
        const segment_place *place = &places.all[i];
        segment_rows *rows = &members[place->part];
        int64 vector = state->members[place->part].vector;
        bool isnull;

        if (!segment_read(rows, &place->at) ||
            (vector != 0 &&
             mastering_vector_contains(vector, DatumGetInt32(slot_getattr(
                                                   rows->slot, segment_rows_column(rows, "#row"), &isnull)))))
            continue;
        clusters[place->n] = Int64GetDatum(DatumGetInt64(
            slot_getattr(rows->slot, segment_rows_column(rows, "#cluster"), &without[place->n])));
    }
    for (int m = 0; m < segments; m++)
        segment_rows_close(&members[m]);
}

static void
answer(FunctionCallInfo fcinfo, lookup_state *state, const candidate *candidates, uint32 count, bool wide)
{
    ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
    Datum *sources = palloc(sizeof(Datum) * Max(count, 1)), *keys = palloc(sizeof(Datum) * Max(count, 1));
    Datum *clusters = palloc(sizeof(Datum) * Max(count, 1));
    bool *without = palloc(sizeof(bool) * Max(count, 1));

    for (uint32 i = 0; i < count; i++) {
        sources[i] = CStringGetTextDatum(candidates[i].source);
        keys[i] = CStringGetTextDatum(candidates[i].key);
    }
    find_clusters(state, sources, keys, count, clusters, without);
    for (uint32 i = 0; i < count; i++) {
        const candidate *best = &candidates[i];
        Datum values[6] = {without[i] ? (Datum)0 : clusters[i]};
        bool nulls[6] = {without[i], false, false, !wide, !wide, !wide};

        values[1] = Float8GetDatum(probability_from_weight(best->weight));
        values[2] = Float8GetDatum(weight_to_bits(best->weight));
        if (wide) {
            values[3] = sources[i];
            values[4] = keys[i];
            values[5] = explanation(state->model->probe, best->pattern);
        }
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
}

static void
look_up(FunctionCallInfo fcinfo)
{
    MemoryContext context;
    lookup_state *state;
    asked_key *asked;
    found_row *rows;
    candidate *candidates;
    probe *probe;
    int asked_count;
    uint32 count;
    int32 wanted;
    bool wide;

    InitMaterializedSRF(fcinfo, 0);
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("environment and entity must not be NULL")));
    if (PG_ARGISNULL(3) || PG_GETARG_INT32(3) < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("n is the number of records to return, 1 or more")));
    wanted = PG_GETARG_INT32(3);
    SPI_connect();
    context = AllocSetContextCreate(CurrentMemoryContext, "mastering lookup", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    state =
        lookup_state_for(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)), &wide);
    if (PG_ARGISNULL(2))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("a record to look up is an object of attributes and values"),
                        errhint("Write {\"name\": \"Ann Lee\", \"city\": \"Ulm\"}.")));
    check_record(PG_GETARG_JSONB_P(2), state->model);

    probe = begin_probe(state->model, PG_GETARG_JSONB_P(2), context);
    asked_count = list_keys(probe, &asked);
    count = find_rows(state, asked, asked_count, &rows);
    if (count > 0) {
        candidates = palloc(sizeof(candidate) * count);
        probe_expect(probe, count);
        count = read_candidates(state, probe, rows, count, candidates);
        for (uint32 i = 0; i < count; i++)
            probe_score(probe, i, &candidates[i].weight, &candidates[i].pattern);
        qsort(candidates, count, sizeof(candidate), compare_candidates);
        answer(fcinfo, state, candidates, Min(count, (uint32)wanted), wide);
    }
    SPI_finish();
}

MASTERING_FUNCTION(mastering_lookup)
{
    lookup_enter();
    PG_TRY();
    {
        look_up(fcinfo);
    }
    PG_FINALLY();
    {
        lookup_leave();
    }
    PG_END_TRY();
    return (Datum)0;
}
