/*
 * run.c: see run.h.
 */
#include "compat.h"

#include <math.h>
#include <sys/resource.h>

#include "catalog/pg_type.h"
#include "engine/big_memory.h"
#include "engine/blocks.h"
#include "engine/elements.h"
#include "engine/name_words.h"
#include "engine/normalize.h"
#include "engine/passes.h"
#include "engine/progress.h"
#include "engine/rarity.h"
#include "engine/run.h"
#include "engine/split.h"
#include "engine/term_index.h"
#include "engine/value_reader.h"
#include "kernel/hash.h"
#include "kernel/parallel.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define UNITS_A_REGION 32 /* so that a region takes some ten milliseconds */
#define LEAST_UNIT_PAIRS 1024

bool
kernel_must_repeat(kernel_status status)
{
    if (status != KERNEL_STOPPED) {
        raise_kernel_status(status);
        return false;
    }
    CHECK_FOR_INTERRUPTS();
    return true;
}

void
raise_kernel_status(kernel_status status)
{
    if (status == KERNEL_NO_MEMORY)
        ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
                        errdetail("A comparison of two texts could not get its working space.")));
    if (status != KERNEL_OK)
        elog(ERROR, "unexpected kernel status %d", status);
}

/* ---- opening ---- */

/* Milliseconds that all threads of this process have run. */
static double
processor_time(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000.0 +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000.0;
}

static void
free_thread_memory(void *argument)
{
    match_run *run = argument;

    progress_end();
    parallel_release();
    for (int t = 0; t < run->threads; t++) {
        kernel_workspace_free(&run->thread_memory[t].workspace);
        kernel_workspace_free(&run->thread_memory[t].copies);
    }
}

static void
make_threads(match_run *run)
{
    MemoryContextCallback *callback = MemoryContextAlloc(run->context, sizeof(MemoryContextCallback));

    /* More threads than units would have nothing to do. */
    run->threads =
        Min(mastering_threads > 0 ? mastering_threads : parallel_available_threads(), UNITS_A_REGION);
    run->thread_memory = MemoryContextAllocZero(run->context, run->threads * sizeof(comparison_thread));
    for (int t = 0; t < run->threads; t++) {
        run->thread_memory[t].workspace.stop = &InterruptPending;
        run->thread_memory[t].cache =
            MemoryContextAllocZero(run->context, (Size)Max(run->spec->comparison_count, 1) *
                                                     LEVEL_CACHE_SIZE * sizeof(level_cache_entry));
    }
    callback->func = free_thread_memory;
    callback->arg = run;
    MemoryContextRegisterResetCallback(run->context, callback);

    run->units = MemoryContextAllocZero(run->context, UNITS_A_REGION * sizeof(pair_unit));
    for (int u = 0; u < UNITS_A_REGION; u++)
        run->units[u].output = big_alloc(run->context, PAIR_UNIT_OUTPUT * sizeof(scored_pair));
}

/* The slot of a key part. A plain column that is no array is shared with the comparisons. */
static int
key_part_slot(const match_run *run, const rule_spec *rule, int part, store_column *columns, int *count)
{
    char *plain = query_plain_column(rule->parts[part], rule->part_paths[part]);
    const char *expression = rule->parts[part];
    bool may_be_list = rule->top_k == 0; /* the terms of an array are those of its text */

    if (plain != NULL) {
        int position = query_column(run->shape, plain);

        expression = pstrdup(quote_identifier(plain));
        may_be_list =
            may_be_list && position >= 0 &&
            OidIsValid(get_base_element_type(TupleDescAttr(run->shape->columns, position)->atttypid));
    }
    return record_store_column(columns, count, expression, rule->form, rule->part_paths[part], may_be_list);
}

/* The columns to read; the comparisons' ones come first. */
static int
collect_columns(match_run *run, store_column *columns)
{
    const match_spec *spec = run->spec;
    int count = 0;

    for (int c = 0; c < spec->comparison_count; c++)
        run->comparison_slots[c] =
            record_store_column(columns, &count, spec->comparisons[c].evaluated,
                                comparison_form(&spec->comparisons[c]), spec->comparisons[c].path, false);
    for (int r = 0; r < spec->rule_count; r++)
        for (int i = 0; i < spec->rules[r].part_count; i++)
            run->rule_slots[r][i] = key_part_slot(run, &spec->rules[r], i, columns, &count);
    return count;
}

#define PROFILES_AT_ONCE 16384
#define LENGTHS_ASKED 1024
#define ENOUGH_FIT 0.1
#define CACHE_LINE 64

typedef struct profile_job {
    dictionary *values;
    bool with_names; /* something compares them as names: that takes longer than all the rest */
} profile_job;

static void
work_on_profiles(void *context, int64_t item, int thread)
{
    const profile_job *job = context;
    dictionary *values = job->values;
    uint32 first = Max((uint32)item * PROFILES_AT_ONCE, 1),
           end = Min(values->count, ((uint32)item + 1) * PROFILES_AT_ONCE);

    if (first >= end)
        return;
    text_profiles_make(&values->texts[first], end - first, &values->profiles[first]);
    for (uint32 code = first; code < end && job->with_names; code++)
        values->profiles[code].names = names_signature(values->texts[code]);
    for (uint32 code = first; code < end && values->planes != NULL; code++)
        values->profiles[code].in_planes = lane_planes_of(values->texts[code], &values->planes[code]);
}

/* None in two cache lines. */
static void *
alloc_lines(match_run *run, Size count, Size size)
{
    return (void *)TYPEALIGN(
        CACHE_LINE, (uintptr_t)big_alloc(run->store->data, add_size(mul_size(count, size), CACHE_LINE)));
}

/* Whether enough values are short enough to have planes; a few of them are asked. Of fewer than this hardly a
 * pair in a hundred would be measured by planes. */
static bool
enough_fit_planes(const dictionary *values)
{
    uint32 step = values->count / LENGTHS_ASKED + 1, asked = 0, fit = 0;

    for (uint32 code = 1; code < values->count; code += step) {
        asked++;
        fit += fits_planes(values->texts[code]);
    }
    return fit > 0 && fit >= asked * ENOUGH_FIT;
}

/* The profiles of a column's values, which most pairs are told apart by, and the planes that others are
 * measured by. */
static void
make_profiles(match_run *run, int slot)
{
    profile_job job = {run->store->columns[slot].values, false};
    dictionary *values = job.values;
    bool with_planes = false;

    if (values->profiles != NULL)
        return;
    for (int c = 0; c < run->spec->comparison_count; c++) {
        if (run->comparison_slots[c] != slot)
            continue;
        job.with_names |= run->scorer.comparisons[c].method == METHOD_NAMES;
        with_planes |= comparison_has_planes(&run->scorer.comparisons[c]);
    }
    values->profiles = alloc_lines(run, values->count, sizeof(text_profile));
    if (with_planes && lanes_target() != LANES_SINGLE && enough_fit_planes(values))
        values->planes = alloc_lines(run, values->count, sizeof(lane_planes));
    memset(&values->profiles[0], 0, sizeof(text_profile));
    parallel_for(run->threads, values->count / PROFILES_AT_ONCE + 1, work_on_profiles, &job);
    CHECK_FOR_INTERRUPTS();
}

static void
set_layout(match_run *run)
{
    const match_spec *spec = run->spec;

    run->scorer.comparison_count = spec->comparison_count;
    for (int c = 0; c < spec->comparison_count; c++) {
        const comparison_spec *from = &spec->comparisons[c];
        comparison *to = &run->scorer.comparisons[c];

        to->method = from->method;
        to->elements = from->elements;
        to->slot = (uint32)run->comparison_slots[c];
        to->level_count = spec_level_count(from);
        memcpy(to->thresholds, from->thresholds, sizeof to->thresholds);
        to->q = (uint32)from->q;
        to->measure = from->measure;
        to->scale = from->scale;
        to->inner = from->inner;
    }
}

/* The scorer compares the values that the store has. */
static void
set_values(match_run *run)
{
    for (int c = 0; c < run->spec->comparison_count; c++) {
        comparison *to = &run->scorer.comparisons[c];

        if (method_has_bound(to->method) && to->level_count > 2 && to->elements == ELEMENTS_NONE)
            make_profiles(run, run->comparison_slots[c]);
        to->values = record_store_values(run->store, run->comparison_slots[c]);
        if (to->elements != ELEMENTS_NONE)
            to->values.elements =
                &element_index_create(run->store->data, run->store->columns[run->comparison_slots[c]].values,
                                      run->spec->comparisons[c].form)
                     ->table;
        if (method_weighs_terms(to->method))
            to->values.vectors = term_index_of(run, &run->spec->comparisons[c], run->comparison_slots[c]);
    }
}

/* What threads remember of pairs of values: their levels, and what rare elements that they share add. */
static void
forget_levels(match_run *run)
{
    for (int t = 0; t < run->threads; t++)
        memset(run->thread_memory[t].cache, 0,
               (Size)run->spec->comparison_count * LEVEL_CACHE_SIZE * sizeof(level_cache_entry));
}

void
match_run_prepare_scorer(match_run *run)
{
    /* With the level is remembered what the weights said of the elements or words that two values share. */
    for (int c = 0; c < run->spec->comparison_count; c++)
        if (run->scorer.comparisons[c].elements != ELEMENTS_NONE ||
            run->scorer.comparisons[c].values.words != NULL) {
            forget_levels(run);
            break;
        }
    if (!scorer_prepare(&run->scorer))
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("too many levels in all comparisons together"),
                        errdetail("The levels of a pair are packed into 64 bits: 2 bits for up to 3 levels "
                                  "of a comparison, 3 for up to 7, 4 for more."),
                        errhint("Leave out comparisons or levels.")));
}

static int32
scaled_weight(double u, double share, double scale)
{
    return (int32)floor(weight_from_ratio(u, share) * scale + 0.5);
}

/* A text of a model as columns have it, in memory of its own; an empty one, which no column has, where it is
 * none. */
static text_view
read_listed(value_reader *reader, const char *listed)
{
    text_view text = {"", 0, 1};
    Size size;

    if (value_reader_read(reader, CStringGetTextDatum(listed), &text) != VALUE_READ)
        return (text_view){"", 0, 1};
    size = (Size)text.length * text.width;
    text.chars = memcpy(palloc(Max(size, 1)), text.chars, size);
    return text;
}

#define VALUES_AT_ONCE 64 /* whose look-ups overlap */

/* What a value's own frequency adds to the weight of an exact level: log2(u / frequency). */
static int32 *
value_weights(match_run *run, const comparison_spec *comparison, int slot)
{
    const dictionary *values = run->store->columns[slot].values;
    const term_frequencies *frequencies = &comparison->frequencies;
    double u = comparison->u[LEVEL_EXACT];
    int32 *weights = big_alloc(run->store->data, mul_size(values->count, sizeof(int32)));
    int32 other = scaled_weight(u, frequencies->other, frequencies->scale);
    value_reader *reader = value_reader_create(CurrentMemoryContext, TEXTOID, FORM_NONE);

    for (uint32 code = 0; code < values->count; code++)
        weights[code] = other;
    for (int first = 0, end; first < frequencies->count; first = end) {
        text_view texts[VALUES_AT_ONCE];
        uint64 hashes[VALUES_AT_ONCE];

        end = Min(first + VALUES_AT_ONCE, frequencies->count);
        for (int i = first; i < end; i++) {
            texts[i - first] = read_listed(reader, frequencies->values[i]);
            hashes[i - first] = dictionary_hash(texts[i - first]);
            dictionary_prefetch_place(values, hashes[i - first]);
        }
        dictionary_prefetch_values(values, hashes, (uint32)(end - first));
        for (int i = first; i < end; i++) {
            uint32 code = dictionary_find(values, texts[i - first]);

            if (code != 0)
                weights[code] = scaled_weight(u, frequencies->shares[i], frequencies->scale);
        }
    }
    return weights;
}

/* By part of values (elements, words): the share of the records that have it. */
static double *
shares_of_parts(const term_frequencies *frequencies, const dictionary *parts)
{
    double *shares = big_alloc(CurrentMemoryContext, mul_size(parts->count, sizeof(double)));
    value_reader *reader = value_reader_create(CurrentMemoryContext, TEXTOID, FORM_NONE);

    for (uint32 code = 0; code < parts->count; code++)
        shares[code] = frequencies->other;
    for (int i = 0; i < frequencies->count; i++) {
        text_view text;

        if (value_reader_read(reader, CStringGetTextDatum(frequencies->values[i]), &text) == VALUE_READ)
            shares[dictionary_find(parts, text)] = frequencies->shares[i];
    }
    return shares;
}

/* The same of arrays, by how rare their elements are. */
static int32 *
weights_by_elements(match_run *run, const comparison_spec *comparison, element_index *index)
{
    return element_weights(index, run->store->data, comparison,
                           shares_of_parts(&comparison->frequencies, index->elements));
}

/* The words of names, by how rare they are; what finds them stays as long as the values do. */
static void
set_word_weights(match_run *run, const comparison_spec *comparison, int slot, value_table *values)
{
    element_index *index = (element_index *)values->words;

    if (index == NULL)
        index = element_index_of_parts(run->store->data, run->store->columns[slot].values, next_name_word);
    element_index_weigh(index, run->store->data, &comparison->words,
                        shares_of_parts(&comparison->words, index->elements));
    values->words = &index->table;
}

/* Adjustments of exact levels, of the values that the store has. In passes they are set in each of them, so
 * what finds the values goes at once. */
static void
set_value_weights(match_run *run, const match_spec *spec)
{
    MemoryContext scratch =
        AllocSetContextCreate(run->context, "mastering weights of values", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(scratch);

    for (int c = 0; c < spec->comparison_count; c++) {
        const comparison_spec *comparison = &spec->comparisons[c];

        if (comparison->words.usual > 0)
            set_word_weights(run, comparison, run->comparison_slots[c], &run->scorer.comparisons[c].values);
        if (!comparison->term_frequency || comparison->frequencies.other <= 0)
            continue;
        if (comparison->elements != ELEMENTS_NONE)
            run->scorer.comparisons[c].value_weights = weights_by_elements(
                run, comparison, (element_index *)run->scorer.comparisons[c].values.elements);
        else
            run->scorer.comparisons[c].value_weights =
                value_weights(run, comparison, run->comparison_slots[c]);
    }
    MemoryContextSwitchTo(before);
    MemoryContextDelete(scratch);
}

/* Those of other weights, which the store would keep as long as its values. */
static void
free_value_weights(match_run *run)
{
    for (int c = 0; c < run->scorer.comparison_count; c++) {
        comparison *comparison = &run->scorer.comparisons[c];
        element_table *words = comparison->values.words;

        if (comparison->value_weights != NULL)
            pfree(unconstify(int32 *, comparison->value_weights));
        comparison->value_weights = NULL;
        if (words != NULL && words->weights != NULL)
            pfree(unconstify(int32 *, words->weights));
        if (words != NULL)
            words->weights = NULL;
    }
}

void
match_run_set_weights(match_run *run, const match_spec *spec)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);

    run->weights_set++;
    run->scorer.prior_weight = weight_from_ratio(spec->prior, 1.0 - spec->prior);
    for (int c = 0; c < spec->comparison_count; c++) {
        run->scorer.comparisons[c].part_of = spec->comparisons[c].part_of;
        memcpy(run->scorer.comparisons[c].weights, spec->comparisons[c].weights,
               sizeof spec->comparisons[c].weights);
    }
    run->weights = spec;
    if (run->store->spool == NULL) {
        free_value_weights(run);
        set_value_weights(run, spec);
    }
    match_run_prepare_scorer(run);
    MemoryContextSwitchTo(before);
}

void
match_run_take_values(match_run *run)
{
    forget_levels(run);
    set_values(run);
    if (run->weights != NULL)
        set_value_weights(run, run->weights);
    rarities_take_values(run);
    match_run_prepare_scorer(run);
}

match_run *
match_run_open(const char *query, const match_spec *spec, const match_run_options *options)
{
    MemoryContext memory = big_memory_create(CurrentMemoryContext);
    MemoryContext context = AllocSetContextCreate(memory, "mastering run", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context);
    match_run *run = palloc0(sizeof(match_run));
    store_column *columns = palloc0((MAX_COMPARISONS + MAX_RULES * MAX_KEY_PARTS + 1) * sizeof(store_column));
    int column_count;

    run->memory = memory;
    run->context = context;
    run->spec = spec;
    INSTR_TIME_SET_CURRENT(run->phase_start);
    run->phase_processor = processor_time();
    run->shape = query_describe(query);
    if (spec->across_sources && !run->shape->has_source)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("the query has no column \"source\""),
                 errdetail("The specification links across sources ($.link)."),
                 errhint("Add a column that names each record's source: SELECT ..., 'crm' AS source.")));
    if (options->probes) {
        int probe = query_column(run->shape, "#probe");

        if (probe < 0 || TupleDescAttr(run->shape->columns, probe)->atttypid != BOOLOID)
            ereport(ERROR,
                    (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("the query has no boolean column \"#probe\""),
                     errhint("Mark the records whose pairs are wanted: SELECT ..., changed AS \"#probe\".")));
        run->shape->want_probes = true;
    }
    column_count = collect_columns(run, columns);
    make_threads(run);
    summary_begin();
    progress_begin();
    progress_phase("reading", 0);
    run->store = record_store_read_within(
        context, run->shape, columns, column_count, run->shape->has_source, options->only_ids, run->threads,
        options->in_passes && passes_can(spec) ? passes_read_limit() : 0, passes_can_have_sources(spec));
    match_run_phase(run, "read", "%u records", run->store->records.count);

    set_layout(run);
    if (spec->trained && spec->text != NULL && strcmp(spec->text, normalize_versions()) != 0)
        ereport(WARNING,
                (errmsg("the model was trained with %s, and this server has %s", spec->text,
                        normalize_versions()),
                 errdetail("Some texts may be normalised in another way than those the model knows."),
                 errhint("Train it again: mastering.train_model(query, model).")));
    if (run->store->spool != NULL)
        passes_open(run);
    else
        set_values(run);
    if (spec->trained)
        match_run_set_weights(run, spec);
    else
        match_run_prepare_scorer(run);
    MemoryContextSwitchTo(before);
    return run;
}

void
match_run_close(match_run *run)
{
    if (run->store->spool != NULL)
        passes_close(run);
    MemoryContextDelete(run->memory);
}

void
match_run_phase(match_run *run, const char *phase, const char *format, ...)
{
    instr_time now, elapsed;
    char facts[256];
    va_list arguments;
    double processor;
    Size megabytes;

    INSTR_TIME_SET_CURRENT(now);
    elapsed = now;
    INSTR_TIME_SUBTRACT(elapsed, run->phase_start);
    va_start(arguments, format);
    vsnprintf(facts, sizeof facts, format, arguments);
    va_end(arguments);
    processor = processor_time();
    megabytes = MemoryContextMemAllocated(run->context, true) / (1024 * 1024);
    summary_add(phase, facts, INSTR_TIME_GET_MILLISEC(elapsed), processor - run->phase_processor, megabytes);
    if (mastering_log_progress)
        ereport(NOTICE,
                (errmsg("%s: %s, %.0f ms, %.0f ms of processor time, %zu MB", phase, facts,
                        INSTR_TIME_GET_MILLISEC(elapsed), processor - run->phase_processor, megabytes)));
    run->phase_start = now;
    run->phase_processor = processor;
}

/* ---- visiting ---- */

double
match_run_sample_share(const match_run *run, int rule, uint64 sample_pairs)
{
    uint64 pairs = run->statistics[rule].pairs;

    return pairs <= sample_pairs ? 1.0 : (double)sample_pairs / pairs;
}

typedef struct region {
    const pair_visit *visit;
    pair_unit *units;
} region;

static void
work_on_unit(void *context, int64_t item, int thread)
{
    region *region = context;
    pair_unit *unit = &region->units[item];

    if (!unit->done && unit->output_count < PAIR_UNIT_OUTPUT)
        pair_unit_work(region->visit, unit, thread);
}

static void
add_counters(pair_counters *sum, const pair_counters *part)
{
    sum->found += part->found;
    sum->found_new += part->found_new;
    sum->found_true += part->found_true;
    sum->found_new_true += part->found_new_true;
}

/* Hands on what the units hold, in their order; the number of leading units that are finished. */
static int
drain_units(match_run *run, int rule, int unit_count, pair_consumer consume, void *context)
{
    int finished = 0;

    for (; finished < unit_count; finished++) {
        pair_unit *unit = &run->units[finished];

        raise_kernel_status(unit->status);
        if (unit->output_count > 0)
            consume(run, rule, unit->output, unit->output_count, context);
        unit->output_count = 0;
        if (!unit->done)
            break;
    }
    return finished;
}

/* The units that are not finished come first, in their order. */
static void
rotate_units(match_run *run, int finished, int unit_count)
{
    pair_unit done[UNITS_A_REGION];

    memcpy(done, run->units, finished * sizeof(pair_unit));
    memmove(run->units, run->units + finished, (unit_count - finished) * sizeof(pair_unit));
    memcpy(run->units + unit_count - finished, done, finished * sizeof(pair_unit));
}

void
match_run_visit_blocks(match_run *run, int rule, const visit_options *options, pair_consumer consume,
                       void *context)
{
    pair_cursor cursor = {0};
    pair_visit visit = {0};
    region region = {&visit, run->units};
    int unit_count = 0;
    double share;
    uint64 pairs = 0; /* visited, about */

    share = match_run_sample_share(run, rule, options->sample_pairs);
    visit.records = &run->store->records;
    visit.rules = run->rules;
    visit.rule_count = run->spec->rule_count;
    visit.rule = rule;
    visit.index = &run->indexes[rule];
    visit.source_slot = run->spec->across_sources || options->across_sources ? (uint32)run->store->source_slot
                                                                             : PG_UINT32_MAX;
    visit.mode = options->mode;
    visit.scorer = &run->scorer;
    visit.least_weight = options->least_weight;
    visit.sample_limit = share >= 1.0 ? PG_UINT64_MAX : (uint64)(share * 18446744073709551615.0);
    visit.entities = options->entities;
    visit.threads = run->thread_memory;
    visit.probe_count = run->store->probe_count;
    /* Where pairs are few, threads are to end together all the same. */
    visit.unit_pairs =
        (uint32)Min(Max(run->statistics[rule].pairs / UNITS_A_REGION, LEAST_UNIT_PAIRS), PAIR_UNIT_PAIRS);

    for (;;) {
        int finished;

        while (unit_count < UNITS_A_REGION && pair_unit_next(&visit, &cursor, &run->units[unit_count]))
            unit_count++;
        if (unit_count == 0)
            break;
        parallel_for(run->threads, unit_count, work_on_unit, &region);
        CHECK_FOR_INTERRUPTS();
        pairs += (uint64)unit_count * visit.unit_pairs;
        progress_done(Min(pairs, run->statistics[rule].pairs));
        finished = drain_units(run, rule, unit_count, consume, context);
        for (int u = 0; u < finished; u++)
            add_counters(&run->counters[rule], &run->units[u].counters);
        rotate_units(run, finished, unit_count);
        unit_count -= finished;
    }
}

static void
visit_rule(match_run *run, int rule, const visit_options *options, pair_consumer consume, void *context)
{
    if (run->store->spool != NULL) {
        passes_visit_rule(run, rule, options, consume, context);
        return;
    }
    progress_phase(psprintf("blocks of rule %d", rule + 1), 0);
    blocks_prepare(run, rule);
    progress_phase(psprintf("pairs of rule %d", rule + 1), run->statistics[rule].pairs);
    match_run_visit_blocks(run, rule, options, consume, context);
    blocks_release(run, rule);
}

/*
 * Which rules find a pair is asked of rules not yet visited only by PAIRS_LISTED, which therefore needs
 * all of them prepared.
 */
static void
prepare_all_rules(match_run *run)
{
    for (int r = 0; r < run->spec->rule_count; r++) {
        blocks_prepare(run, r);
        blocks_release(run, r);
    }
}

void
match_run_visit(match_run *run, const visit_options *options, pair_consumer consume, void *context)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);

    memset(run->counters, 0, sizeof run->counters);
    if (options->mode == PAIRS_LISTED)
        prepare_all_rules(run);
    for (int r = 0; r < run->spec->rule_count; r++) {
        visit_rule(run, r, options, consume, context);
        match_run_phase(run, "pairs", "rule %d, " UINT64_FORMAT " blocks, " UINT64_FORMAT " pairs", r + 1,
                        run->statistics[r].blocks, run->statistics[r].pairs);
    }
    blocks_end_making(run);
    MemoryContextSwitchTo(before);
}

void
match_run_warn_of_cuts(match_run *run)
{
    for (int r = 0; r < run->spec->rule_count; r++) {
        const block_statistics *statistics = &run->statistics[r];
        const split_statistics *split = split_statistics_of(run, r);

        if (split->keys > 0)
            ereport(
                WARNING,
                (errmsg("blocking rule %d: keys of more than %d records were divided", r + 1,
                        run->spec->rules[r].max_block),
                 errdetail("There are " UINT64_FORMAT ", the largest of " UINT64_FORMAT
                           " records, compared where they agree in some leading letters, too; " UINT64_FORMAT
                           " pairs were left out.",
                           split->keys, split->largest, split->pairs),
                 errhint("Add a further part to the key of %s, or raise its \"max_block\".",
                         run->spec->rules[r].path)));
        if (statistics->cut_blocks > 0)
            match_run_phase(run, "windows", "rule %d, " UINT64_FORMAT " blocks", r + 1,
                            statistics->cut_blocks);
        if (statistics->cut_blocks > 0)
            ereport(WARNING,
                    (errmsg("blocking rule %d: blocks of more than %d records were not compared in full",
                            r + 1, run->spec->rules[r].max_block),
                     errdetail("There are " UINT64_FORMAT ", the largest of " UINT64_FORMAT
                               " records. Each record was compared with its %d neighbours on either "
                               "side; " UINT64_FORMAT " pairs were left out.",
                               statistics->cut_blocks, statistics->largest_block, run->spec->rules[r].window,
                               statistics->cut_pairs),
                     errhint("Add a further part to the key of %s, or raise its \"max_block\" or \"window\".",
                             run->spec->rules[r].path)));
        if (run->oversize[r] > 0)
            ereport(WARNING,
                    (errmsg("blocking rule %d takes more memory than mastering.work_mem allows", r + 1),
                     errdetail("%u records whose keys lie together were read at once, most of them having "
                               "the same key.",
                               run->oversize[r]),
                     errhint("Add a further part to the key of %s.", run->spec->rules[r].path)));
        if (run->cut_keys[r] > 0)
            ereport(WARNING,
                    (errmsg("blocking rule %d: " UINT64_FORMAT " keys beyond %d a record were left out",
                            r + 1, run->cut_keys[r], MAX_KEYS_OF_RECORD)));
    }
}

kernel_status
match_run_weigh_pair(match_run *run, uint32 a, uint32 b, int64 least_weight, int thread, int64 *weight)
{
    bool qualifies;
    uint64 pattern;
    kernel_status status =
        scorer_score(&run->scorer, record_row(&run->store->records, a), record_row(&run->store->records, b),
                     least_weight, &run->thread_memory[thread], &qualifies, weight, &pattern);

    if (status == KERNEL_OK && !qualifies)
        *weight = least_weight;
    return status;
}

int64
match_run_pair_weight(match_run *run, uint32 a, uint32 b)
{
    int64 weight;

    while (kernel_must_repeat(match_run_weigh_pair(run, a, b, PG_INT64_MIN, 0, &weight)))
        ;
    return weight;
}
