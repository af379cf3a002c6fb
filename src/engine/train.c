/*
 * train.c: learns the weights of a model; see train.h.
 *
 * u, the probability of a level among non-matches: of the exact level from the counts of the values (the
 * share of equal pairs is known exactly), of the others from pairs taken at random with a fixed seed.
 * m, the probability among matches: by EM over agreement patterns of the candidate pairs (kernel/em.h).
 * The prior, the share of matches among all pairs: the expected number of matches among the candidates.
 * Labels, where there are any, then correct the weights (supervise.c).
 *
 * u is taken from all pairs, matches among them. Where matches are not rare (many copies of few
 * things) that hides how telling an agreement is, so the share that matches explain is taken out again.
 *
 * Everything is counted in whole numbers and summed in the order of the patterns: the same input gives
 * the same model to the bit, in any order of records and with any number of threads.
 */
#include "compat.h"

#include <math.h>

#include "engine/labels.h"
#include "engine/normalize.h"
#include "engine/progress.h"
#include "engine/run.h"
#include "engine/supervise.h"
#include "engine/train.h"
#include "kernel/em.h"
#include "kernel/logistic.h"
#include "kernel/parallel.h"
#include "kernel/random_pairs.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define RANDOM_PAIRS 400000
#define SAMPLE_PAIRS 400000 /* of each rule */
#define RANDOM_UNITS 16
#define RANDOM_SEED 20240917
#define EM_ITERATIONS_A_CALL 20
#define EM_ITERATIONS 1000
#define EM_TOLERANCE 1e-6
#define TELLING_U 0.03     /* two strangers are equal in a telling attribute less often than this */
#define MIXED_ELSE 0.45    /* matches that differ more often in one are of several kinds */
#define LEAST_RELATED 1e-9 /* where the share of related pairs begins */
#define LISTED_VALUES 5000 /* term frequencies kept of one attribute */
#define LEAST_U_SHARE 0.1  /* of what was seen, that taking out matches leaves */

/* ---- counting patterns ---- */

typedef struct pattern_entry {
    uint64 pattern; /* key */
    uint64 count;
    uint64 count_new; /* of pairs that no earlier rule finds */
} pattern_entry;

static HTAB *
pattern_table(MemoryContext context, const char *name)
{
    HASHCTL control = {.keysize = sizeof(uint64), .entrysize = sizeof(pattern_entry), .hcxt = context};

    return hash_create(name, 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
count_pattern(HTAB *table, uint64 pattern, bool is_new)
{
    bool found;
    pattern_entry *entry = hash_search(table, &pattern, HASH_ENTER, &found);

    if (!found)
        entry->count = entry->count_new = 0;
    entry->count++;
    entry->count_new += is_new;
}

static int
compare_patterns(const void *a, const void *b)
{
    const pattern_count *x = a, *y = b;

    return x->pattern < y->pattern ? -1 : x->pattern > y->pattern;
}

/* The patterns of a table in ascending order; only_new: counts of new pairs. */
static pattern_count *
sorted_patterns(HTAB *table, bool only_new, double scale, size_t *count)
{
    pattern_count *patterns = palloc(Max(hash_get_num_entries(table), 1) * sizeof(pattern_count));
    HASH_SEQ_STATUS scan;
    pattern_entry *entry;

    *count = 0;
    hash_seq_init(&scan, table);
    while ((entry = hash_seq_search(&scan)) != NULL) {
        uint64 pairs = only_new ? entry->count_new : entry->count;

        if (pairs > 0)
            patterns[(*count)++] = (pattern_count){entry->pattern, pairs * scale};
    }
    qsort(patterns, *count, sizeof(pattern_count), compare_patterns);
    return patterns;
}

/* ---- u ---- */

typedef struct random_region {
    const random_pairs *pairs;
    random_pairs_unit *units;
} random_region;

static void
work_on_random_pairs(void *context, int64_t item, int thread)
{
    random_region *region = context;

    random_pairs_work(region->pairs, &region->units[item], thread);
}

/* Counts the levels of random pairs (of all pairs where they are few): seen[comparison][level]. */
static uint64
count_random_levels(match_run *run, uint64 seen[MAX_COMPARISONS][MAX_LEVELS], pattern_count **random,
                    size_t *random_count)
{
    random_pairs pairs = {0};
    random_pairs_unit *units = MemoryContextAllocHuge(run->context, RANDOM_UNITS * sizeof(random_pairs_unit));
    random_region region = {&pairs, units};
    uint64 records = run->store->records.count, all = records < 2 ? 0 : records * (records - 1) / 2;
    uint64 next = 0, taken = 0;
    HTAB *table = pattern_table(run->context, "mastering random patterns");
    size_t pattern_total;
    pattern_count *patterns;

    pairs.records = &run->store->records;
    pairs.scorer = &run->scorer;
    pairs.source_slot = run->spec->across_sources ? (uint32)run->store->source_slot : PG_UINT32_MAX;
    pairs.seed = RANDOM_SEED;
    pairs.every_pair = all <= RANDOM_PAIRS;
    pairs.total = pairs.every_pair ? all : RANDOM_PAIRS;
    pairs.threads = run->thread_memory;

    while (next < pairs.total) {
        int unit_count = 0;
        bool unfinished = true;

        for (; unit_count < RANDOM_UNITS && next < pairs.total; unit_count++) {
            units[unit_count].next = next;
            next = Min(next + RANDOM_PAIRS_UNIT, pairs.total);
            units[unit_count].end = next;
            units[unit_count].status = KERNEL_OK;
            units[unit_count].pattern_count = 0;
        }
        while (unfinished) {
            parallel_for(run->threads, unit_count, work_on_random_pairs, &region);
            CHECK_FOR_INTERRUPTS();
            unfinished = false;
            for (int u = 0; u < unit_count; u++) {
                raise_kernel_status(units[u].status);
                unfinished |= units[u].next < units[u].end;
            }
        }
        for (int u = 0; u < unit_count; u++) {
            taken += units[u].pattern_count;
            for (uint32 i = 0; i < units[u].pattern_count; i++)
                count_pattern(table, units[u].patterns[i], true);
        }
    }
    patterns = sorted_patterns(table, false, 1.0, &pattern_total);
    for (size_t i = 0; i < pattern_total; i++)
        for (int c = 0; c < run->scorer.comparison_count; c++)
            seen[c][pattern_level(&run->scorer.comparisons[c], patterns[i].pattern)] +=
                (uint64)patterns[i].count;
    *random = patterns;
    *random_count = pattern_total;
    hash_destroy(table);
    pfree(units);
    return taken;
}

/* Share of pairs with equal values among pairs that have values; -1 when there is no such pair. */
static double
exact_share(const dictionary *values)
{
    double equal = 0, filled = 0;

    for (uint32 code = 1; code < values->count; code++) {
        double records = values->records[code];

        equal += records * (records - 1) / 2;
        filled += records;
    }
    return filled < 2 ? -1 : equal / (filled * (filled - 1) / 2);
}

/*
 * What was seen of all pairs, as probabilities of levels. Half a pair is added to each level, so that what
 * was never seen is rare and not impossible.
 */
static void
level_shares(match_run *run, double all[MAX_COMPARISONS][MAX_LEVELS], pattern_count **random,
             size_t *random_count)
{
    uint64 seen[MAX_COMPARISONS][MAX_LEVELS] = {{0}};

    (void)count_random_levels(run, seen, random, random_count);
    for (int c = 0; c < run->scorer.comparison_count; c++) {
        int levels = run->scorer.comparisons[c].level_count;
        double exact = exact_share(run->store->columns[run->comparison_slots[c]].values);
        double filled = run->store->records.count, rest = 0;

        if (filled < 2)
            filled = 2;
        if (exact < 0)
            exact = 0.01;
        if (exact < 0.5 / (filled * (filled - 1) / 2))
            exact = 0.5 / (filled * (filled - 1) / 2);
        if (exact > 0.999)
            exact = 0.999;
        for (int level = 2; level <= levels; level++)
            rest += seen[c][level] + 0.5;
        all[c][LEVEL_EXACT] = exact;
        for (int level = 2; level <= levels; level++)
            all[c][level] = (1.0 - exact) * ((seen[c][level] + 0.5) / rest);
    }
}

/* u: all pairs less what matches explain, made to sum to 1. */
static void
take_out_matches(const match_run *run, double all[MAX_COMPARISONS][MAX_LEVELS], double prior,
                 em_parameters *parameters)
{
    for (int c = 0; c < run->scorer.comparison_count; c++) {
        int levels = run->scorer.comparisons[c].level_count;
        double sum = 0;

        for (int level = LEVEL_EXACT; level <= levels; level++) {
            double u = (all[c][level] - prior * parameters->m[c][level]) / (1.0 - prior);

            if (u < LEAST_U_SHARE * all[c][level])
                u = LEAST_U_SHARE * all[c][level];
            parameters->u[c][level] = u;
            sum += u;
        }
        for (int level = LEVEL_EXACT; level <= levels; level++)
            parameters->u[c][level] /= sum;
    }
}

/* ---- m ---- */

typedef struct sample {
    HTAB *rules[MAX_RULES];
} sample;

static void
count_candidates(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    sample *sample = context;

    for (uint32 i = 0; i < count; i++)
        count_pattern(sample->rules[rule], pairs[i].pattern, pairs[i].is_new);
}

static bool
is_listed(const List *names, const char *name)
{
    ListCell *cell;

    foreach (cell, names)
        if (strcmp(lfirst(cell), name) == 0)
            return true;
    return false;
}

/* Comparisons that read no other columns than the rule's key; what is near by many columns is equal in none.
 */
static uint32
comparisons_in_key(const match_spec *spec, const rule_spec *rule)
{
    uint32 left_out = 0;
    List *key = NIL;

    if (rule->top_k > 0)
        return 0;
    for (int i = 0; i < rule->part_count; i++)
        key = list_concat(key, query_expression_columns(rule->parts[i], rule->part_paths[i]));
    for (int c = 0; c < spec->comparison_count; c++) {
        bool within = true;
        ListCell *cell;

        foreach (cell, query_expression_columns(spec->comparisons[c].expression, spec->comparisons[c].path))
            within &= is_listed(key, lfirst(cell));
        if (within)
            left_out |= UINT32_C(1) << c;
    }
    return left_out;
}

/* Where the related begin: they agree half as often as matches do. */
static void
halfway(const match_run *run, const em_parameters *start, const em_parameters *parameters,
        double related[MAX_COMPARISONS][MAX_LEVELS])
{
    for (int c = 0; c < run->scorer.comparison_count; c++)
        for (int level = LEVEL_EXACT; level <= run->scorer.comparisons[c].level_count; level++)
            related[c][level] = 0.5 * (start->m[c][level] + parameters->u[c][level]);
}

static void
start_values(const match_run *run, em_parameters *parameters)
{
    for (int c = 0; c < run->scorer.comparison_count; c++) {
        int levels = run->scorer.comparisons[c].level_count;

        parameters->m[c][LEVEL_EXACT] = levels == 2 ? 0.85 : 0.75;
        for (int level = 2; level < levels; level++)
            parameters->m[c][level] = 0.15 / (levels - 2);
        parameters->m[c][levels] = levels == 2 ? 0.15 : 0.10;
    }
}

/*
 * The share of matches among all pairs, counting the matches to expect among the candidates, each in the
 * first rule that finds it. Pairs that no rule finds are taken for non-matches.
 */
static double
match_prior(match_run *run, sample *sample, const em_session *sessions, const em_parameters *parameters)
{
    double records = run->store->records.count, matches = 0, pairs = Max(records * (records - 1) / 2, 1.0);

    for (int r = 0; r < run->spec->rule_count; r++) {
        size_t count;
        pattern_count *patterns = sorted_patterns(sample->rules[r], true,
                                                  1.0 / match_run_sample_share(run, r, SAMPLE_PAIRS), &count);

        matches += em_expected_matches(&run->scorer, parameters, &sessions[r], patterns, count);
        pfree(patterns);
    }
    matches = Max(matches, 0.5);
    return Min(matches / pairs, 0.5);
}

static int
run_em(match_run *run, em_session *sessions, const em_parameters *start, em_parameters *parameters,
       em_report *report)
{
    int iterations = 0;
    bool settled = false;

    while (!settled && iterations < EM_ITERATIONS) {
        settled = em_train(&run->scorer, sessions, run->spec->rule_count, EM_ITERATIONS_A_CALL, EM_TOLERANCE,
                           start, parameters, report);
        iterations += report->iterations;
        CHECK_FOR_INTERRUPTS();
    }
    return iterations;
}

/* ---- labels ---- */

/* ---- from probabilities to additive weights ---- */

#define DISTIL_ITERATIONS 50
#define DISTIL_RIDGE 20.0
#define MOST_RANDOM_CASES 100000
#define RANDOM_CASES_SHARE 0.2 /* of the candidates' number */

static void
add_case(logistic_case **cases, size_t *count, size_t *allocated, uint64 pattern, double pairs, double match)
{
    if (*count == *allocated) {
        *allocated = Max(*allocated * 2, 4096);
        *cases = *cases == NULL ? palloc(*allocated * sizeof(logistic_case))
                                : repalloc_huge(*cases, *allocated * sizeof(logistic_case));
    }
    (*cases)[(*count)++] = (logistic_case){pattern, pairs, match};
}

/* The verdicts of EM: of each candidate by the first rule that finds it, and of pairs at random. */
static logistic_case *
distillation_cases(match_run *run, sample *sample, const em_session *sessions,
                   const em_parameters *parameters, const pattern_count *random, size_t random_count,
                   size_t *candidate_count, size_t *count)
{
    logistic_case *cases = NULL;
    size_t allocated = 0;
    double candidates = 0, strangers = 0;

    *count = 0;
    for (int r = 0; r < run->spec->rule_count; r++) {
        size_t patterns_count;
        pattern_count *patterns = sorted_patterns(
            sample->rules[r], true, 1.0 / match_run_sample_share(run, r, SAMPLE_PAIRS), &patterns_count);

        for (size_t i = 0; i < patterns_count; i++) {
            candidates += patterns[i].count;
            add_case(&cases, count, &allocated, patterns[i].pattern, patterns[i].count,
                     em_match_probability(&run->scorer, parameters, &sessions[r], patterns[i].pattern));
        }
        pfree(patterns);
    }
    *candidate_count = *count;
    for (size_t i = 0; i < random_count; i++)
        strangers += random[i].count;
    for (size_t i = 0; i < random_count && random_count < MOST_RANDOM_CASES; i++)
        add_case(&cases, count, &allocated, random[i].pattern,
                 random[i].count / strangers * RANDOM_CASES_SHARE * candidates, 0);
    return cases;
}

/* ---- into the model ---- */

static void record_frequencies(const dictionary *values, comparison_spec *comparison);

/* How often a level is met among the cases. */
static void
count_levels(const scorer *layout, const logistic_case *cases, size_t count,
             double met[MAX_COMPARISONS][MAX_LEVELS])
{
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < layout->comparison_count; c++)
            met[c][pattern_level(&layout->comparisons[c], cases[i].pattern)] += cases[i].count;
}

/*
 * Weights must not rise where values are less alike: neighbouring levels that do are given their mean weight,
 * each as often as it is met (pool adjacent violators).
 */
void
monotone_weights(const double *bits, const double *met, int levels, int32 *weights)
{
    int first[MAX_LEVELS], pools = 0;
    double sum[MAX_LEVELS], mass[MAX_LEVELS];

    for (int level = LEVEL_EXACT; level <= levels; level++) {
        first[pools] = level;
        mass[pools] = met[level] + 0.5;
        sum[pools] = bits[level] * mass[pools];
        while (pools > 0 && sum[pools] / mass[pools] > sum[pools - 1] / mass[pools - 1]) {
            sum[pools - 1] += sum[pools];
            mass[pools - 1] += mass[pools];
            pools--;
        }
        pools++;
    }
    for (int p = 0; p < pools; p++) {
        int end = p + 1 < pools ? first[p + 1] : levels + 1;
        double weight = Max(Min(sum[p] / mass[p], WEIGHT_LIMIT / WEIGHT_UNITS), -WEIGHT_LIMIT / WEIGHT_UNITS);

        for (int level = first[p]; level < end; level++)
            weights[level] = (int32)floor(weight * WEIGHT_UNITS + 0.5);
    }
}

/* The weights of the model: those that agree best with the verdicts on all pairs. */
static void
set_weights(match_run *run, match_spec *spec, const em_parameters *parameters, const logistic_case *cases,
            size_t case_count, double prior)
{
    logistic_weights *weights = palloc0(sizeof(logistic_weights));
    double(*met)[MAX_LEVELS] = palloc0(sizeof(double[MAX_COMPARISONS][MAX_LEVELS]));
    int iterations;

    weights->intercept = portable_log2(prior / (1.0 - prior));
    for (int c = 0; c < spec->comparison_count; c++)
        for (int level = LEVEL_EXACT; level <= run->scorer.comparisons[c].level_count; level++)
            weights->levels[c][level] = portable_log2(parameters->m[c][level] / parameters->u[c][level]);
    count_levels(&run->scorer, cases, case_count, met);
    iterations = logistic_fit(&run->scorer, cases, case_count, DISTIL_RIDGE, DISTIL_ITERATIONS, weights);
    match_run_phase(run, "weights", "%zu patterns, %d iterations", case_count, iterations);

    spec->prior = probability_from_weight((int64)floor(weights->intercept * WEIGHT_UNITS + 0.5));
    for (int c = 0; c < spec->comparison_count; c++) {
        comparison_spec *comparison = &spec->comparisons[c];
        double full = portable_log2(parameters->m[c][LEVEL_EXACT] / parameters->u[c][LEVEL_EXACT]);

        memcpy(comparison->m, parameters->m[c], sizeof comparison->m);
        memcpy(comparison->u, parameters->u[c], sizeof comparison->u);
        monotone_weights(weights->levels[c], met[c], run->scorer.comparisons[c].level_count,
                         comparison->weights);
        comparison->trained = true;
        if (comparison->term_frequency) {
            double share = full > 0 ? weight_to_bits(comparison->weights[LEVEL_EXACT]) / full : 0;

            record_frequencies(run->store->columns[run->comparison_slots[c]].values, comparison);
            comparison->frequencies.scale = Max(Min(share, 1.0), 0.0);
        }
    }
    spec->trained = true;
}

typedef struct value_frequency {
    uint32 code;
    uint32 records;
    const dictionary *values;
} value_frequency;

/* The most frequent first, ties by content. */
static int
compare_frequencies(const void *a, const void *b)
{
    const value_frequency *x = a, *y = b;
    text_view text_x = x->values->texts[x->code], text_y = y->values->texts[y->code];

    if (x->records != y->records)
        return x->records > y->records ? -1 : 1;
    for (uint32 i = 0; i < Min(text_x.length, text_y.length); i++) {
        uint32 p = text_view_at(text_x, i), q = text_view_at(text_y, i);

        if (p != q)
            return p < q ? -1 : 1;
    }
    return text_x.length < text_y.length ? -1 : text_x.length > text_y.length;
}

/*
 * The frequencies of a comparison's values: the most frequent ones by name, the others by their mean. A
 * value that comes once or twice is not worth a name.
 */
static void
record_frequencies(const dictionary *values, comparison_spec *comparison)
{
    term_frequencies *frequencies = &comparison->frequencies;
    value_frequency *list =
        MemoryContextAllocHuge(CurrentMemoryContext, mul_size(values->count, sizeof(value_frequency)));
    uint32 candidates = 0, listed;
    double filled = 0, rest = 0, rest_values = 0;

    for (uint32 code = 1; code < values->count; code++) {
        filled += values->records[code];
        if (values->records[code] > 2 && values->texts[code].length < COMPARED_CHARACTERS)
            list[candidates++] = (value_frequency){code, values->records[code], values};
    }
    qsort(list, candidates, sizeof(value_frequency), compare_frequencies);
    listed = Min(candidates, LISTED_VALUES);
    /* A cut between equals would depend on nothing but their names: keep all or none of a frequency. */
    while (listed > 0 && listed < candidates && list[listed - 1].records == list[listed].records)
        listed--;

    for (uint32 code = 1; code < values->count; code++) {
        rest += values->records[code];
        rest_values++;
    }
    frequencies->count = (int)listed;
    frequencies->values = palloc(Max(listed, 1) * sizeof(char *));
    frequencies->shares = palloc(Max(listed, 1) * sizeof(double));
    for (uint32 i = 0; i < listed; i++) {
        frequencies->values[i] = text_to_cstring(text_view_to_text(values->texts[list[i].code]));
        frequencies->shares[i] = list[i].records / filled;
        rest -= list[i].records;
        rest_values--;
    }
    frequencies->other = rest_values > 0 ? rest / rest_values / filled : filled > 0 ? 1.0 / filled : 1.0;
    pfree(list);
}

static void
describe_training(match_run *run, match_spec *spec, const em_session *sessions, int iterations,
                  const char *lesson)
{
    StringInfoData text;

    initStringInfo(&text);
    appendStringInfo(&text, "{\"records\":%u,\"iterations\":%d,\"labels\":%s,\"result_revision\":1,\"text\":",
                     run->store->records.count, iterations, lesson != NULL ? lesson : "false");
    append_json_string(&text, normalize_versions());
    appendStringInfoString(&text, ",\"rules\":[");
    for (int r = 0; r < spec->rule_count; r++) {
        appendStringInfo(&text, "%s{\"pairs\":" UINT64_FORMAT ",\"match_share\":", r > 0 ? "," : "",
                         run->statistics[r].pairs);
        append_json_number(&text, sessions[r].match_share);
        appendStringInfoChar(&text, '}');
    }
    appendStringInfoString(&text, "]}");
    spec->training = text.data;
}

static void
warn_of_untaught(const match_spec *spec, const em_report *report)
{
    for (int c = 0; c < spec->comparison_count; c++)
        if (report->expected_matches[c] < 1.0)
            ereport(WARNING,
                    (errmsg("comparison \"%s\" was not learnt from the data and keeps its start values",
                            spec->comparisons[c].name),
                     errdetail("No candidate pair teaches it: the blocking keys find no likely match, or "
                               "every key reads this column."),
                     errhint("Add a blocking rule that does not read it.")));
}

/*
 * EM from the start values, three times: each time the share of matches that was found is taken out of u.
 * with_related: non-matches of a rule may be of two kinds (kernel/em.h). Returns the share of matches among
 * all pairs.
 */
static double
learn(match_run *run, sample *sample, em_session *sessions, const em_parameters *start,
      double all[MAX_COMPARISONS][MAX_LEVELS], bool with_related, em_parameters *parameters,
      em_report *report, int *iterations)
{
    double prior = 0;

    *parameters = *start;
    for (int round = 0; round < 3; round++) {
        take_out_matches(run, all, prior, parameters);
        for (int r = 0; r < run->spec->rule_count; r++) {
            sessions[r].match_share = 0.3;
            if (with_related) {
                if (sessions[r].related == NULL)
                    sessions[r].related = palloc0(sizeof parameters->u);
                sessions[r].related_share = LEAST_RELATED;
                halfway(run, start, parameters, sessions[r].related);
            }
            memcpy(sessions[r].u, parameters->u, sizeof parameters->u);
        }
        *iterations += run_em(run, sessions, start, parameters, report);
        prior = match_prior(run, sample, sessions, parameters);
    }
    return prior;
}

/*
 * Whether what EM took for matches seems to be several kinds of pairs: about half of them differ in an
 * attribute that tells things apart. People of one household do, in their given names and birth dates; two
 * dirty records of one thing do not.
 */
static bool
matches_are_mixed(const match_run *run, const em_parameters *parameters)
{
    for (int c = 0; c < run->scorer.comparison_count; c++)
        if (parameters->u[c][LEVEL_EXACT] < TELLING_U &&
            parameters->m[c][run->scorer.comparisons[c].level_count] > MIXED_ELSE)
            return true;
    return false;
}

void
train_model(match_run *run, match_spec *spec, const label_list *labels)
{
    visit_options options = {
        .mode = PAIRS_SAMPLED, .least_weight = PG_INT64_MIN, .sample_pairs = SAMPLE_PAIRS};
    double(*all)[MAX_LEVELS] = palloc0(sizeof(double[MAX_COMPARISONS][MAX_LEVELS]));
    em_parameters *parameters = palloc0(sizeof(em_parameters)), *start = palloc0(sizeof(em_parameters));
    em_session sessions[MAX_RULES] = {{0}};
    em_report report;
    sample sample;
    pattern_count *random;
    logistic_case *cases;
    size_t random_count, candidate_count, case_count;
    double prior = 0;
    int iterations = 0;
    char *lesson = NULL;

    progress_phase("random pairs", 0);
    level_shares(run, all, &random, &random_count);
    match_run_phase(run, "random pairs", "u of %d comparisons", spec->comparison_count);

    for (int r = 0; r < spec->rule_count; r++)
        sample.rules[r] = pattern_table(run->context, "mastering candidate patterns");
    match_run_visit(run, &options, count_candidates, &sample);
    progress_phase("learning", 0);

    for (int r = 0; r < spec->rule_count; r++) {
        sessions[r].patterns = sorted_patterns(sample.rules[r], false, 1.0, &sessions[r].pattern_count);
        sessions[r].left_out = comparisons_in_key(spec, &spec->rules[r]);
        sessions[r].u = palloc0(sizeof parameters->u);
    }

    start_values(run, start);
    prior = learn(run, &sample, sessions, start, all, false, parameters, &report, &iterations);
    if (matches_are_mixed(run, parameters))
        prior = learn(run, &sample, sessions, start, all, true, parameters, &report, &iterations);
    if (labels == NULL && run->store->records.count > 1)
        warn_of_untaught(spec, &report);

    cases = distillation_cases(run, &sample, sessions, parameters, random, random_count, &candidate_count,
                               &case_count);
    set_weights(run, spec, parameters, cases, case_count, prior);
    match_run_phase(run, "learning", "%d iterations, 1 match in %.0f pairs", iterations, 1.0 / prior);
    match_run_set_weights(run, spec);
    if (labels != NULL)
        lesson = supervise_model(run, spec, labels, cases, candidate_count);
    describe_training(run, spec, sessions, iterations, lesson);
}
