/*
 * explain.c: explain_pair: why two records match or do not, one row a comparison.
 */
#include "compat.h"

#include "engine/elements.h"
#include "engine/normalize.h"
#include "engine/run.h"
#include "funcapi.h"
#include "sql/arguments.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

typedef struct explanation {
    ReturnSetInfo *result;
    int64 total;
} explanation;

static Datum
value_text(const match_run *run, int slot, uint32 code, bool *is_null)
{
    *is_null = code == 0;
    return code == 0 ? (Datum)0
                     : PointerGetDatum(text_view_to_text(run->store->columns[slot].values->texts[code]));
}

/* A row: what, both values, similarity, level, weight, running total and probability. */
static void
put_step(explanation *explanation, const char *what, Datum *values, bool *nulls, const char *level,
         int64 weight)
{
    explanation->total += weight;
    values[0] = CStringGetTextDatum(what);
    nulls[0] = false;
    values[4] = CStringGetTextDatum(level);
    values[5] = Float8GetDatum(weight_to_bits(weight));
    values[6] = Float8GetDatum(weight_to_bits(explanation->total));
    values[7] = Float8GetDatum(probability_from_weight(explanation->total));
    tuplestore_putvalues(explanation->result->setResult, explanation->result->setDesc, values, nulls);
}

/* Both lists of elements, the two that are most alike first. */
static void
explain_elements(match_run *run, const comparison *comparison, uint32 a, uint32 b, Datum *values)
{
    const element_index *index = (const element_index *)comparison->values.elements;
    uint32 best[2] = {0, 0};
    double measure;

    while (a != 0 && b != 0 &&
           kernel_must_repeat(
               elements_measure(comparison, a, b, &run->thread_memory[0].workspace, &measure, best)))
        ;
    if (a != 0)
        values[1] = CStringGetTextDatum(element_list(index, a, best[0]));
    if (b != 0)
        values[2] = CStringGetTextDatum(element_list(index, b, best[1]));
}

/* The level of two records, and how it is called. */
static int
level_of_records(match_run *run, int c, uint32 a, uint32 b, char **label)
{
    const comparison *comparison = &run->scorer.comparisons[c];
    const uint32 *row_a = record_row(&run->store->records, a), *row_b = record_row(&run->store->records, b);
    int text = comparison->part_of - 1, level;

    if (text >= 0 &&
        level_says_of_parts(&run->scorer.comparisons[text], level_of_records(run, text, a, b, label))) {
        *label = psprintf("as %s", run->spec->comparisons[text].name);
        return LEVEL_MISSING;
    }
    while (kernel_must_repeat(comparison_level(&run->scorer, c, row_a[comparison->slot],
                                               row_b[comparison->slot], &run->thread_memory[0], &level)))
        ;
    *label = spec_level_label(&run->spec->comparisons[c], level);
    return level;
}

static void
explain_comparison(match_run *run, explanation *explanation, int c, uint32 a, uint32 b)
{
    const comparison *comparison = &run->scorer.comparisons[c];
    const comparison_spec *spec = &run->spec->comparisons[c];
    int slot = (int)comparison->slot, level;
    uint32 code_a = record_row(&run->store->records, a)[slot],
           code_b = record_row(&run->store->records, b)[slot];
    Datum values[8];
    bool nulls[8] = {false};
    double measure = 0;
    int32 rarity;
    char *label;

    values[1] = value_text(run, slot, code_a, &nulls[1]);
    values[2] = value_text(run, slot, code_b, &nulls[2]);
    if (comparison->elements != ELEMENTS_NONE)
        explain_elements(run, comparison, code_a, code_b, values);
    level = level_of_records(run, c, a, b, &label);
    nulls[3] = level == LEVEL_MISSING;
    while (level != LEVEL_MISSING &&
           kernel_must_repeat(
               comparison_measure(comparison, code_a, code_b, &run->thread_memory[0].workspace, &measure)))
        ;
    values[3] = Float8GetDatum(measure);
    put_step(explanation, spec->name, values, nulls, label,
             level == LEVEL_MISSING ? 0 : comparison->weights[level]);
    rarity = comparison_rarity(comparison, code_a, code_b, level);
    if ((level == LEVEL_EXACT && comparison->value_weights != NULL) || rarity != 0) {
        const element_table *words = level == LEVEL_EXACT ? NULL : comparison->values.words;

        nulls[2] = nulls[3] = true;
        if (words != NULL)
            values[1] = PointerGetDatum(
                text_view_to_text(words->values.texts[elements_rarest_shared(words, code_a, code_b)]));
        put_step(explanation, spec->name, values, nulls, words != NULL ? "shared word" : "term frequency",
                 rarity);
    }
}

typedef struct wanted_pair {
    uint32 a, b;  /* a < b */
    uint64 rules; /* that find it */
} wanted_pair;

static void
note_rules(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    wanted_pair *wanted = context;

    for (uint32 i = 0; i < count; i++)
        if (pairs[i].a == wanted->a && pairs[i].b == wanted->b)
            wanted->rules = pairs[i].pattern;
}

/* Whether something depends on how many of all records have a term; then two of them are not enough. */
static bool
weighs_terms(const match_spec *spec)
{
    for (int c = 0; c < spec->comparison_count; c++)
        if (method_weighs_terms(spec->comparisons[c].method))
            return true;
    for (int r = 0; r < spec->rule_count; r++)
        if (spec->rules[r].top_k > 0)
            return true;
    return false;
}

static uint32
record_with_id(const match_run *run, const char *id)
{
    char buffer[24];

    for (uint32 record = 0; record < run->store->records.count; record++)
        if (strcmp(record_store_id(run->store, record, buffer), id) == 0)
            return record;
    ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND), errmsg("the query returns no record with id \"%s\"", id),
                    errhint("Ids are given as text, as match_pairs returns them.")));
}

MASTERING_FUNCTION(mastering_explain_pair)
{
    char *query = query_argument(fcinfo, 0);
    match_spec *spec = spec_argument(fcinfo, 1, "model");
    const char *ids[2];
    match_run_options run_options = {0};
    visit_options options = {.mode = PAIRS_LISTED};
    explanation explanation = {.total = 0};
    Datum values[8];
    bool nulls[8] = {false, true, true, true};
    wanted_pair wanted = {0};
    uint32 a, b;
    match_run *run;

    spec_require_trained(spec);
    for (int i = 0; i < 2; i++) {
        if (PG_ARGISNULL(i + 2))
            ereport(ERROR,
                    (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the id of a record must not be NULL")));
        ids[i] = text_to_cstring(PG_GETARG_TEXT_PP(i + 2));
    }
    InitMaterializedSRF(fcinfo, 0);
    explanation.result = (ReturnSetInfo *)fcinfo->resultinfo;
    run_options.only_ids = weighs_terms(spec) ? NULL : ids;
    run = match_run_open(query, spec, &run_options);
    a = record_with_id(run, ids[0]);
    b = record_with_id(run, ids[1]);

    put_step(&explanation, "prior", values, nulls, "", run->scorer.prior_weight);
    for (int c = 0; c < run->scorer.comparison_count; c++)
        explain_comparison(run, &explanation, c, a, b);

    wanted.a = Min(a, b);
    wanted.b = Max(a, b);
    match_run_visit(run, &options, note_rules, &wanted);
    if (wanted.rules == 0 && a != b)
        ereport(NOTICE, (errmsg("no blocking rule finds this pair, so match_pairs does not see it")));
    match_run_close(run);
    return (Datum)0;
}
