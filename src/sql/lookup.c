/*
 * lookup.c: lookup(env, entity, record, n), behind its door: one record against what an environment
 * publishes, in real time.
 *
 * A session keeps what does not change from one call to the next: of a model, by the hash of its artifacts,
 * the document as the engine wants it and the plans that evaluate its expressions (as the environment's
 * owner); of a published state, by the generation of the environment's head, the plans that find keys,
 * records and clusters in its segments. Segments never change, so a plan for a generation is right whenever a
 * snapshot sees that generation; whether the caller may ask, and which generation it is, is looked at with
 * each call.
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
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

/* Rows of one key that are scored at most, and of all keys together: the keys that fewest have come first. */
#define MOST_OF_A_KEY 1000
#define MOST_CANDIDATES 3000

typedef struct asked_key {
    int32 rule;
    int64 key;
    uint32 rows; /* found, up to one more than MOST_OF_A_KEY */
} asked_key;

typedef struct found_row {
    int32 part; /* segment of the state */
    int32 row;
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
    return x->row < y->row ? -1 : x->row > y->row;
}

static int
compare_place(const void *a, const void *b)
{
    const found_row *x = a, *y = b;

    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* The distinct rows that have one of the keys, in the order of their places. */
static uint32
find_rows(lookup_state *state, asked_key *asked, int asked_count, found_row **result)
{
    Datum *rules = palloc(sizeof(Datum) * Max(asked_count, 1)),
          *keys = palloc(sizeof(Datum) * Max(asked_count, 1));
    Datum arguments[2];
    found_row *rows;
    uint32 count = 0, room = 1024, kept = 0;

    rows = palloc(sizeof(found_row) * room);
    *result = rows;
    if (asked_count == 0 || state->keys_plan == NULL)
        return 0;
    for (int i = 0; i < asked_count; i++) {
        rules[i] = Int32GetDatum(asked[i].rule);
        keys[i] = Int64GetDatum(asked[i].key);
    }
    arguments[0] =
        PointerGetDatum(construct_array(rules, asked_count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
    arguments[1] = PointerGetDatum(
        construct_array(keys, asked_count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
    if (SPI_execute_plan(state->keys_plan, arguments, NULL, true, 0) != SPI_OK_SELECT)
        elog(ERROR, "keys could not be looked up");
    for (uint64 i = 0; i < SPI_processed; i++) {
        HeapTuple tuple = SPI_tuptable->vals[i];
        TupleDesc descriptor = SPI_tuptable->tupdesc;
        bool isnull;
        int32 part = DatumGetInt32(SPI_getbinval(tuple, descriptor, 1, &isnull));
        uint32 n = (uint32)DatumGetInt64(SPI_getbinval(tuple, descriptor, 2, &isnull)) - 1;
        bytea *entries = DatumGetByteaPP(SPI_getbinval(tuple, descriptor, 3, &isnull));
        const uint8 *bytes = (const uint8 *)VARDATA_ANY(entries);
        int end = (int)(VARSIZE_ANY_EXHDR(entries) / KEY_ENTRY_BYTES);

        for (int e = key_chunk_find(bytes, end, asked[n].key);
             e < end && key_entry_key(bytes + e * KEY_ENTRY_BYTES) == asked[n].key &&
             asked[n].rows <= MOST_OF_A_KEY;
             e++) {
            if (asked[n].rows++ == MOST_OF_A_KEY)
                break;
            if (count == room) {
                room *= 2;
                rows = repalloc_huge(rows, sizeof(found_row) * room);
            }
            rows[count++] = (found_row){part, key_entry_row(bytes + e * KEY_ENTRY_BYTES), n};
        }
    }
    SPI_freetuptable(SPI_tuptable);
    if (count > MOST_CANDIDATES) {
        sorting_by = asked;
        qsort(rows, count, sizeof(found_row), compare_rarity);
        count = MOST_CANDIDATES;
    }
    qsort(rows, count, sizeof(found_row), compare_place);
    for (uint32 i = 0; i < count; i++)
        if (kept == 0 || compare_place(&rows[kept - 1], &rows[i]) != 0)
            rows[kept++] = rows[i];
    *result = rows;
    return kept;
}

/* ---- their values and weights ---- */

/*
 * The compared values of a record that the session's plans have read: source, key, attributes. Where some are
 * computed, the caller has become the environment's owner.
 */
static void
add_candidate(lookup_model *model, probe *probe, HeapTuple tuple, TupleDesc descriptor, Datum *all,
              bool *all_nulls, Datum *values, bool *nulls)
{
    heap_deform_tuple(tuple, descriptor, all, all_nulls);
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

static uint32
read_candidates(lookup_state *state, probe *probe, const found_row *rows, uint32 count, candidate *candidates)
{
    lookup_model *model = state->model;
    int width = model->attribute_count + 2;
    Datum *all = palloc(sizeof(Datum) * width), *values = palloc(sizeof(Datum) * width * 2);
    bool *all_nulls = palloc(sizeof(bool) * width), *nulls;
    Datum *numbers = palloc(sizeof(Datum) * Max(count, 1));
    bool read_only = XactReadOnly;
    uint32 read = 0;

    values = palloc(sizeof(Datum) * Max(model->probe->column_count, 1));
    nulls = palloc(sizeof(bool) * Max(model->probe->column_count, 1));
    PG_TRY();
    {
        XactReadOnly = true;
        for (uint32 start = 0, end; start < count; start = end) {
            SPITupleTable *table;
            uint64 found;
            Datum argument;
            Disguise before = {0};

            for (end = start; end < count && rows[end].part == rows[start].part; end++)
                numbers[end - start] = Int32GetDatum(rows[end].row);
            argument = PointerGetDatum(
                construct_array(numbers, (int)(end - start), INT4OID, sizeof(int32), true, TYPALIGN_INT));
            if (SPI_execute_plan(state->rows_plans[rows[start].part], &argument, NULL, true, 0) !=
                SPI_OK_SELECT)
                elog(ERROR, "records could not be looked up");
            table = SPI_tuptable;
            found = SPI_processed;
            if (model->computed_plan !=
                NULL) /* once: to set what is pinned, and back, takes longer than a record */
                before = put_on(model->owner, model->search_path);
            for (uint64 i = 0; i < found; i++) {
                add_candidate(model, probe, table->vals[i], table->tupdesc, all, all_nulls, values, nulls);
                candidates[read++] =
                    (candidate){TextDatumGetCString(all[0]), TextDatumGetCString(all[1]), 0, 0};
            }
            if (model->computed_plan != NULL)
                take_off(before);
            SPI_freetuptable(table);
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

static void
answer(FunctionCallInfo fcinfo, lookup_state *state, const candidate *candidates, uint32 count, bool wide)
{
    ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
    Datum *sources = palloc(sizeof(Datum) * Max(count, 1)), *keys = palloc(sizeof(Datum) * Max(count, 1));
    Datum *clusters = palloc(sizeof(Datum) * Max(count, 1)), arguments[2];
    bool *without = palloc(sizeof(bool) * Max(count, 1));

    for (uint32 i = 0; i < count; i++) {
        sources[i] = CStringGetTextDatum(candidates[i].source);
        keys[i] = CStringGetTextDatum(candidates[i].key);
        without[i] = true;
    }
    arguments[0] = PointerGetDatum(construct_array(sources, (int)count, TEXTOID, -1, false, TYPALIGN_INT));
    arguments[1] = PointerGetDatum(construct_array(keys, (int)count, TEXTOID, -1, false, TYPALIGN_INT));
    if (state->members_plan != NULL &&
        SPI_execute_plan(state->members_plan, arguments, NULL, true, 0) == SPI_OK_SELECT)
        for (uint64 i = 0; i < SPI_processed; i++) {
            HeapTuple tuple = SPI_tuptable->vals[i];
            bool isnull;
            int64 n = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull)) - 1;

            clusters[n] = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &without[n]);
        }
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
