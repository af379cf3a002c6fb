/*
 * probe.c: see probe.h. What is said here of a value or a key must be what run.c, record_store.c and blocks.c
 * say.
 */
#include "compat.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "engine/elements.h"
#include "engine/name_words.h"
#include "engine/hash_sort.h"
#include "engine/probe.h"
#include "engine/run.h"
#include "engine/term_index.h"
#include "kernel/hash.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define MOST_COLUMNS (MAX_COMPARISONS + MAX_RULES * MAX_KEY_PARTS)

/* ---- the model ---- */

static void
free_workspace(void *argument)
{
    probe_model *model = argument;

    kernel_workspace_free(&model->thread.workspace);
}

/* As in run.c: a plain column that is no array is shared with the comparisons. */
static int
key_part_slot(probe_model *model, const query_shape *shape, const rule_spec *rule, int part)
{
    char *plain = query_plain_column(rule->parts[part], rule->part_paths[part]);
    const char *expression = rule->parts[part];
    bool may_be_list = rule->top_k == 0; /* the terms of an array are those of its text */

    if (plain != NULL) {
        int position = query_column(shape, plain);

        expression = pstrdup(quote_identifier(plain));
        may_be_list = may_be_list && position >= 0 &&
                      OidIsValid(get_base_element_type(TupleDescAttr(shape->columns, position)->atttypid));
    }
    return record_store_column(model->columns, &model->column_count, expression, rule->form,
                               rule->part_paths[part], may_be_list);
}

static int32
scaled_weight(double u, double share, double scale)
{
    return (int32)floor(weight_from_ratio(u, share) * scale + 0.5);
}

/* The share of the records that have a value, as the model says it. */
static double
value_share(const term_frequencies *frequencies, text_view value)
{
    text *name = text_view_to_text(value);
    double share = spec_listed_share(frequencies, VARDATA_ANY(name), (int)VARSIZE_ANY_EXHDR(name));

    pfree(name);
    return share > 0 ? share : frequencies->other;
}

/* What a value's own frequency adds to the weight of an exact level; only that of the record that is asked
 * for matters, as the other has the same value then.
 */
static int32
value_weight(const comparison_spec *comparison, text_view value)
{
    return scaled_weight(comparison->u[LEVEL_EXACT], value_share(&comparison->frequencies, value),
                         comparison->frequencies.scale);
}

static void
set_scorer(probe_model *model)
{
    const match_spec *spec = model->spec;

    model->scorer.comparison_count = spec->comparison_count;
    model->scorer.prior_weight = weight_from_ratio(spec->prior, 1.0 - spec->prior);
    for (int c = 0; c < spec->comparison_count; c++) {
        const comparison_spec *from = &spec->comparisons[c];
        comparison *to = &model->scorer.comparisons[c];

        to->method = from->method;
        to->elements = from->elements;
        to->slot = (uint32)model->comparison_slots[c];
        to->level_count = spec_level_count(from);
        memcpy(to->thresholds, from->thresholds, sizeof to->thresholds);
        to->q = (uint32)from->q;
        to->measure = from->measure;
        to->scale = from->scale;
        to->inner = from->inner;
        to->part_of = from->part_of;
        memcpy(to->weights, from->weights, sizeof to->weights);
        model->weighs_values[c] = from->term_frequency && from->frequencies.other > 0;
    }
    if (!scorer_prepare(&model->scorer))
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("too many levels in all comparisons together")));
}

probe_model *
probe_model_create(MemoryContext parent, Jsonb *document, const query_shape *shape)
{
    MemoryContext context = AllocSetContextCreate(parent, "mastering probe model", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context);
    probe_model *model = palloc0(sizeof(probe_model));
    MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
    match_spec *spec;

    model->context = context;
    model->spec = spec = spec_read_to_ask(document, "model");
    spec_require_trained(spec);
    model->columns = palloc0(sizeof(store_column) * MOST_COLUMNS);
    for (int c = 0; c < spec->comparison_count; c++)
        model->comparison_slots[c] =
            record_store_column(model->columns, &model->column_count, spec->comparisons[c].evaluated,
                                comparison_form(&spec->comparisons[c]), spec->comparisons[c].path, false);
    model->compared_count = model->column_count;
    for (int r = 0; r < spec->rule_count; r++)
        for (int i = 0; i < spec->rules[r].part_count; i++)
            model->rule_slots[r][i] = key_part_slot(model, shape, &spec->rules[r], i);
    model->attributes = palloc(sizeof(int) * Max(model->column_count, 1));
    for (int i = 0; i < model->column_count; i++) {
        char *plain = query_plain_column(model->columns[i].expression, model->columns[i].path);

        model->attributes[i] = -1;
        if (plain == NULL)
            continue;
        query_check_column(shape, plain, model->columns[i].path);
        model->columns[i].is_plain = true;
        model->columns[i].expression = quote_identifier(plain);
        model->attributes[i] = query_column(shape, plain);
    }
    set_scorer(model);
    model->thread.workspace.stop = &InterruptPending;
    callback->func = free_workspace;
    callback->arg = model;
    MemoryContextRegisterResetCallback(context, callback);
    MemoryContextSwitchTo(before);
    return model;
}

char *
probe_model_query(const probe_model *model, const char *source, bool only_computed)
{
    int end = only_computed ? model->compared_count : model->column_count, used = 0;
    StringInfoData sql;

    initStringInfo(&sql);
    appendStringInfoString(&sql, "SELECT ");
    for (int i = 0; i < end; i++) {
        if (only_computed && model->attributes[i] >= 0)
            continue;
        appendStringInfoString(&sql, used++ > 0 ? ", " : "");
        appendStringInfo(&sql, model->columns[i].is_plain ? "record.%s" : "(%s\n)",
                         model->columns[i].expression);
    }
    appendStringInfo(&sql, "\nFROM (%s\n) AS record", source);
    return used > 0 ? sql.data : NULL;
}

void
probe_model_set_types(probe_model *model, TupleDesc types)
{
    value_reader **readers =
        MemoryContextAllocZero(model->context, sizeof(value_reader *) * Max(model->column_count, 1));

    for (int i = 0; i < model->column_count; i++) {
        store_column *column = &model->columns[i];
        Oid element;

        column->type = TupleDescAttr(types, i)->atttypid;
        element = get_base_element_type(column->type);
        column->is_list = column->allow_list && OidIsValid(element);
        readers[i] =
            value_reader_create(model->context, column->is_list ? element : column->type, column->form);
    }
    model->readers = readers; /* all of them, or an error on the way leaves none */
}

/* ---- a probe ---- */

static text_view
keep_text(MemoryContext context, text_view text)
{
    Size size = (Size)Min(text.length, COMPARED_CHARACTERS) * text.width;
    void *characters = MemoryContextAlloc(context, Max(size, 1));

    memcpy(characters, text.chars, size);
    return (text_view){characters, Min(text.length, COMPARED_CHARACTERS), text.width};
}

/* The hashes of a value's parts, for keys. */
static void
read_part(probe *probe, int column, Datum value, bool is_null)
{
    const probe_model *model = probe->model;
    ArrayType *array;
    int16 length;
    bool by_value, *nulls;
    char alignment;
    Datum *elements;
    int count;
    text_view text;

    probe->part_counts[column] = 0;
    if (is_null)
        return;
    if (!model->columns[column].is_list) {
        if (value_reader_read(model->readers[column], value, &text) != VALUE_READ)
            return;
        probe->part_hashes[column] = MemoryContextAlloc(probe->context, sizeof(uint64));
        probe->part_hashes[column][probe->part_counts[column]++] = dictionary_hash(text);
        return;
    }
    array = DatumGetArrayTypeP(value);
    get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &alignment);
    deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, alignment, &elements, &nulls, &count);
    count = Min(count, MAX_KEYS_OF_RECORD);
    probe->part_hashes[column] = MemoryContextAlloc(probe->context, sizeof(uint64) * Max(count, 1));
    for (int e = 0; e < count; e++)
        if (!nulls[e] && value_reader_read(model->readers[column], elements[e], &text) == VALUE_READ)
            probe->part_hashes[column][probe->part_counts[column]++] = dictionary_hash(text);
}

uint32
probe_keys(const probe *probe, int rule, uint64 *keys)
{
    const match_spec *spec = probe->model->spec;
    int parts = spec->rules[rule].part_count;
    uint64 total = 1;

    if (spec->rules[rule].top_k > 0)
        return 0;
    for (int i = 0; i < parts; i++) {
        total *= probe->part_counts[probe->model->rule_slots[rule][i]];
        if (total == 0)
            return 0;
        total = Min(total, MAX_KEYS_OF_RECORD);
    }
    for (uint64 combination = 0; combination < total; combination++) {
        uint64 rest = combination, key = 0;

        for (int i = 0; i < parts; i++) {
            int slot = probe->model->rule_slots[rule][i];

            key = hash_combine(key, probe->part_hashes[slot][rest % probe->part_counts[slot]]);
            rest /= probe->part_counts[slot];
        }
        keys[combination] = key;
    }
    return (uint32)sort_distinct(keys, total);
}

static void
set_value(const probe *probe, int column, uint32 code, text_view kept)
{
    probe_values *values = &probe->values[column];

    values->texts[code] = kept;
    if (values->numbers != NULL)
        values->numbers[code] = value_number(kept);
    if (values->dates != NULL)
        values->dates[code] = value_date(kept);
    if (values->profiles != NULL) {
        values->profiles[code] = text_profile_of(kept);
        values->profiles[code].names = names_signature(kept);
    }
}

static bool
same_whole(text_view a, text_view b)
{
    return a.length == b.length && a.width == b.width &&
           memcmp(a.chars, b.chars, (Size)a.length * a.width) == 0;
}

probe *
probe_begin(const probe_model *model, MemoryContext context, const Datum *values, const bool *nulls)
{
    MemoryContext before = MemoryContextSwitchTo(context);
    probe *made = palloc0(sizeof(probe));
    Size columns = Max(model->column_count, 1);

    made->model = model;
    made->context = context;
    made->value_context = AllocSetContextCreate(context, "mastering probe values", ALLOCSET_DEFAULT_SIZES);
    made->values = palloc0(sizeof(probe_values) * columns);
    made->part_hashes = palloc0(sizeof(uint64 *) * columns);
    made->part_counts = palloc0(sizeof(uint32) * columns);
    MemoryContextSwitchTo(made->value_context);
    for (int i = 0; i < model->column_count; i++) {
        text_view text;

        read_part(made, i, values[i], nulls[i]);
        if (i >= model->compared_count || nulls[i])
            continue;
        if (value_reader_read(model->readers[i], values[i], &text) == VALUE_READ) {
            Size size = (Size)text.length * text.width;
            void *characters = MemoryContextAlloc(context, Max(size, 1));

            memcpy(characters, text.chars, size);
            made->values[i].whole = (text_view){characters, text.length, text.width};
        }
    }
    MemoryContextSwitchTo(before);
    MemoryContextReset(made->value_context);
    return made;
}

static void *
room_for(const probe *probe, Size size)
{
    return MemoryContextAllocHuge(probe->context, mul_size((Size)probe->room + 2, size));
}

void
probe_expect(probe *probe, uint32 candidates)
{
    const probe_model *model = probe->model;

    probe->room = candidates;
    for (int c = 0; c < model->spec->comparison_count; c++) {
        int slot = model->comparison_slots[c];
        const comparison *comparison = &model->scorer.comparisons[c];
        probe_values *values = &probe->values[slot];

        if (values->texts == NULL) {
            values->texts = room_for(probe, sizeof(text_view));
            values->code = room_for(probe, sizeof(uint32));
        }
        if (model->columns[slot].form == FORM_NUMBER && values->numbers == NULL)
            values->numbers = room_for(probe, sizeof(double));
        if (model->columns[slot].form == FORM_DATE && values->dates == NULL)
            values->dates = room_for(probe, sizeof(calendar_date));
        if (method_has_bound(comparison->method) && comparison->level_count > 2 &&
            comparison->elements == ELEMENTS_NONE && values->profiles == NULL)
            values->profiles = room_for(probe, sizeof(text_profile));
        if ((method_weighs_terms(comparison->method) || comparison->elements != ELEMENTS_NONE ||
             model->spec->comparisons[c].words.usual > 0) &&
            values->dictionary == NULL)
            values->dictionary = dictionary_create(probe->context);
    }
    for (int i = 0; i < model->compared_count; i++) {
        text_view whole = probe->values[i].whole;

        if (whole.chars == NULL)
            continue;
        if (probe->values[i].dictionary != NULL)
            (void)dictionary_add(probe->values[i].dictionary, whole);
        set_value(probe, i, 1, (text_view){whole.chars, Min(whole.length, COMPARED_CHARACTERS), whole.width});
    }
}

void
probe_add(probe *probe, const Datum *values, const bool *nulls)
{
    const probe_model *model = probe->model;
    uint32 candidate = probe->candidates++;
    MemoryContext before = MemoryContextSwitchTo(probe->value_context);

    Assert(candidate < probe->room);
    for (int i = 0; i < model->compared_count; i++) {
        probe_values *to = &probe->values[i];
        text_view text;

        to->code[candidate] = 0;
        if (nulls[i] || (to->whole.chars == NULL && to->dictionary == NULL) ||
            value_reader_read(model->readers[i], values[i], &text) != VALUE_READ)
            continue;
        if (to->dictionary != NULL) {
            uint32 code = dictionary_add(to->dictionary, text);

            to->code[candidate] = to->whole.chars == NULL ? 0 : code;
            set_value(probe, i, code, to->dictionary->texts[code]);
        } else if (same_whole(text, to->whole))
            to->code[candidate] = 1;
        else {
            to->code[candidate] = candidate + 2;
            set_value(probe, i, candidate + 2, keep_text(probe->context, text));
        }
    }
    MemoryContextSwitchTo(before);
    MemoryContextReset(probe->value_context);
}

/* The elements of the values, and what rare ones add. */
static void
set_elements(const probe *probe, int c, comparison *comparison)
{
    const probe_model *model = probe->model;
    const comparison_spec *spec = &model->spec->comparisons[c];
    element_index *index = element_index_create(
        probe->context, probe->values[model->comparison_slots[c]].dictionary, spec->form);
    double *shares;

    comparison->values.elements = &index->table;
    if (!model->weighs_values[c])
        return;
    shares = palloc(sizeof(double) * index->elements->count);
    shares[0] = spec->frequencies.other;
    for (uint32 code = 1; code < index->elements->count; code++)
        shares[code] = value_share(&spec->frequencies, index->elements->texts[code]);
    comparison->value_weights = element_weights(index, probe->context, spec, shares);
}

/* The words of the names, and what sharing rare ones adds. */
static void
set_words(const probe *probe, int c, comparison *comparison)
{
    const probe_model *model = probe->model;
    const term_frequencies *words = &model->spec->comparisons[c].words;
    element_index *index = element_index_of_parts(
        probe->context, probe->values[model->comparison_slots[c]].dictionary, next_name_word);
    double *shares = palloc(sizeof(double) * index->elements->count);

    for (uint32 code = 1; code < index->elements->count; code++)
        shares[code] = value_share(words, index->elements->texts[code]);
    element_index_weigh(index, probe->context, words, shares);
    comparison->values.words = &index->table;
}

/* Gives the scorer the values, now that all are there. */
static void
make_ready(probe *probe)
{
    const probe_model *model = probe->model;
    MemoryContext before = MemoryContextSwitchTo(probe->context);
    record_store store = {.context = probe->context, .column_count = model->compared_count};
    match_run run = {.context = probe->context, .spec = model->spec, .store = &store, .threads = 1};

    store.columns = palloc0(sizeof(store_column) * Max(model->compared_count, 1));
    store.records.count = probe->candidates + 1;
    for (int i = 0; i < model->compared_count; i++) {
        store.columns[i] = model->columns[i];
        store.columns[i].values = probe->values[i].dictionary;
    }
    memcpy(run.comparison_slots, model->comparison_slots, sizeof run.comparison_slots);
    probe->scorer = model->scorer;
    for (int c = 0; c < model->spec->comparison_count; c++) {
        comparison *comparison = &probe->scorer.comparisons[c];
        const probe_values *values = &probe->values[model->comparison_slots[c]];

        comparison->values =
            (value_table){.texts = values->texts,
                          .numbers = values->numbers,
                          .dates = values->dates,
                          .profiles = values->profiles}; /* no planes: pairs are scored one at a time */
        if (comparison->elements != ELEMENTS_NONE)
            set_elements(probe, c, comparison);
        else if (model->weighs_values[c] && values->whole.chars != NULL) {
            int32 *weights = palloc0(sizeof(int32) * 2);

            weights[1] = value_weight(&model->spec->comparisons[c], values->whole);
            comparison->value_weights = weights;
        }
        if (model->spec->comparisons[c].words.usual > 0)
            set_words(probe, c, comparison);
        if (method_weighs_terms(comparison->method))
            comparison->values.vectors =
                term_index_of(&run, &model->spec->comparisons[c], model->comparison_slots[c]);
    }
    probe->ready = true;
    MemoryContextSwitchTo(before);
}

void
probe_score(probe *probe, uint32 candidate, int64 *weight, uint64 *pattern)
{
    const probe_model *model = probe->model;
    uint32 asked[MOST_COLUMNS], answered[MOST_COLUMNS];
    bool qualifies;

    if (!probe->ready)
        make_ready(probe);
    for (int i = 0; i < model->compared_count; i++) {
        asked[i] = probe->values[i].whole.chars != NULL;
        answered[i] = probe->values[i].code[candidate];
    }
    while (kernel_must_repeat(scorer_score(&probe->scorer, asked, answered, PG_INT64_MIN,
                                           unconstify(comparison_thread *, &model->thread), &qualifies,
                                           weight, pattern)))
        ;
}
