/*
 * spec.c: see spec.h.
 */
#include "compat.h"

#include <float.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "engine/json_reader.h"
#include "engine/spec.h"
#include "utils/builtins.h"
#include "utils/json.h"

const char *const comparison_method_names[] = {"exact",
                                               "jaro",
                                               "jaro_winkler",
                                               "levenshtein",
                                               "levenshtein_distance",
                                               "damerau",
                                               "damerau_distance",
                                               "lcs",
                                               "qgram",
                                               "token",
                                               "token_sort",
                                               "token_set",
                                               "monge_elkan",
                                               "initials",
                                               "numeric",
                                               "date",
                                               "tfidf",
                                               "names",
                                               "soft_tfidf",
                                               NULL};
static const char *const measure_names[] = {"dice", "jaccard", "cosine", "overlap", NULL};
static const char *const evidence_names[] = {"name",    "given_name", "birth_date", "identifier",
                                             "contact", "shared",     NULL};
static const char *const element_modes[] = {"best", "set", NULL};
static const char *const scale_names[] = {"relative", NULL};
static const char *const form_names[] = {"text", "alphanumeric", "digits", "none", NULL};
static const char *const linkage_names[] = {"average", "single", NULL};
static const char *const one_per_source_names[] = {"evident", "always", "never", NULL};
static const char *const link_names[] = {"all", "across_sources", NULL};

const char *
method_name(comparison_method method)
{
    return comparison_method_names[method];
}

const char *
value_form_name(value_form form)
{
    switch ((int)form & ~FORM_ELEMENTS) {
    case FORM_NUMBER:
        return "number";
    case FORM_DATE:
        return "date";
    default:
        return form_names[(int)form & ~FORM_ELEMENTS];
    }
}

int
spec_level_count(const comparison_spec *comparison)
{
    return comparison->threshold_count + 2;
}

/* ---- blocking ---- */

static void
read_key_parts(const json_node *node, rule_spec *rule)
{
    if (json_is_string(node)) {
        rule->part_count = 1;
        rule->parts[0] = json_string(node);
        rule->part_paths[0] = node->path;
        return;
    }
    if (!json_is_array(node))
        json_error(node,
                   psprintf("expected an SQL expression or an array of them, found %s", json_found(node)),
                   NULL, NULL);
    rule->part_count = json_length(node);
    if (rule->part_count < 1 || rule->part_count > MAX_KEY_PARTS)
        json_error(node, psprintf("a key has from 1 to %d parts, found %d", MAX_KEY_PARTS, rule->part_count),
                   NULL, NULL);
    for (int i = 0; i < rule->part_count; i++) {
        json_node part = json_element(node, i);

        rule->parts[i] = json_string(&part);
        rule->part_paths[i] = part.path;
    }
}

static void
read_rule(const json_node *node, const match_spec *spec, rule_spec *rule)
{
    static const char *const members[] = {"keys",  "normalize", "max_block", "window",
                                          "top_k", "q",         "split",     NULL};
    json_node member;

    rule->path = node->path;
    rule->form = spec->form;
    rule->max_block = DEFAULT_MAX_BLOCK;
    rule->window = DEFAULT_WINDOW;
    if (!json_is_object(node)) {
        read_key_parts(node, rule);
        return;
    }
    json_expect_members(node, members);
    if (!json_member(node, "keys", &member))
        json_error(node, "member \"keys\" is missing", "It is an SQL expression or an array of them.", NULL);
    read_key_parts(&member, rule);
    if (json_member(node, "normalize", &member))
        rule->form = (value_form)json_choice(&member, "normalization", form_names);
    if (json_member(node, "max_block", &member))
        rule->max_block = json_integer(&member, 2, 1000000000);
    if (json_member(node, "window", &member))
        rule->window = json_integer(&member, 1, 1000000);
    if (json_member(node, "top_k", &member))
        rule->top_k = json_integer(&member, 1, MAX_TOP_K);
    if (rule->top_k > 0 && rule->part_count != 1)
        json_error(node, "a rule of nearest neighbours has one key", "Its words are what is looked up.",
                   "Put the columns into one text: concat_ws(' ', title, author).");
    rule->q = 3;
    if (json_member(node, "q", &member)) {
        if (rule->top_k == 0)
            json_error(&member, "\"q\" goes with \"top_k\"", NULL, "Leave it out, or add \"top_k\".");
        rule->q = json_integer(&member, 0, MAX_TERM_Q);
    }
    if (json_member(node, "split", &member))
        read_rule_splits(&member, rule->part_count, &rule->splits);
}

/* ---- comparisons ---- */

static void
default_thresholds(comparison_spec *comparison)
{
    static const double similar[] = {0.92, 0.8};
    static const double date[] = {0.9, 0.7};
    static const double distance[] = {1, 2};
    static const double loose[] = {0.8, 0.5};
    const double *defaults = similar;

    comparison->threshold_count = 2;
    switch (comparison->method) {
    case METHOD_EXACT:
        comparison->threshold_count = 0;
        break;
    case METHOD_DATE:
        defaults = date;
        break;
    case METHOD_LEVENSHTEIN_DISTANCE:
    case METHOD_DAMERAU_DISTANCE:
        defaults = distance;
        break;
    case METHOD_QGRAM:
    case METHOD_TOKEN:
    case METHOD_TFIDF:
    case METHOD_SOFT_TFIDF:
    case METHOD_NUMERIC:
        defaults = loose;
        break;
    default:
        break;
    }
    memcpy(comparison->thresholds, defaults, comparison->threshold_count * sizeof(double));
    if (comparison->elements == ELEMENTS_SET) {
        comparison->threshold_count = 2;
        memcpy(comparison->thresholds, loose, sizeof loose);
    } else if (comparison->elements == ELEMENTS_BEST) {
        memmove(comparison->thresholds + 1, comparison->thresholds,
                comparison->threshold_count * sizeof(double));
        comparison->thresholds[0] = method_is_distance(comparison->method) ? 0.0 : 1.0;
        comparison->threshold_count++;
    }
}

static void
read_levels(const json_node *node, comparison_spec *comparison)
{
    bool distance = method_is_distance(comparison->method);

    comparison->threshold_count = json_length(node);
    if (comparison->threshold_count > MAX_THRESHOLDS)
        json_error(node, psprintf("at most %d levels, found %d", MAX_THRESHOLDS, comparison->threshold_count),
                   NULL, NULL);
    if (comparison->method == METHOD_EXACT && comparison->elements == ELEMENTS_NONE &&
        comparison->threshold_count > 0)
        json_error(node, "method \"exact\" has no levels", "Two values are equal or they are not.",
                   "Leave \"levels\" out, or choose a method that measures similarity.");
    for (int i = 0; i < comparison->threshold_count; i++) {
        json_node level = json_element(node, i);

        comparison->thresholds[i] =
            distance ? json_integer(&level, comparison->elements == ELEMENTS_NONE ? 1 : 0, 1000000)
                     : json_number(&level, 0.0, 1.0);
        if (i > 0 && (distance ? comparison->thresholds[i] <= comparison->thresholds[i - 1]
                               : comparison->thresholds[i] >= comparison->thresholds[i - 1]))
            json_error(&level,
                       distance ? "distances must rise from level to level"
                                : "similarities must fall from level to level",
                       NULL, "List the levels from the most alike to the least alike.");
    }
}

static void
read_frequencies(const json_node *node, bool of_words, bool lists_stay, term_frequencies *frequencies)
{
    static const char *const members[] = {"other", "values", "scale", "listed", NULL};
    static const char *const members_of_words[] = {"other", "values", "scale", "usual", NULL};
    json_node member;

    json_expect_members(node, of_words ? members_of_words : members);
    if (of_words && !json_member(node, "usual", &member))
        json_error(node, "member \"usual\" is missing",
                   "It is the share of the records that have a word which says no more than any.", NULL);
    if (of_words)
        frequencies->usual = json_number(&member, DBL_MIN, 1.0);
    if (!json_member(node, "other", &member))
        json_error(node, "member \"other\" is missing",
                   "It is the share of records that any value not listed has.", NULL);
    frequencies->other = json_number(&member, DBL_MIN, 1.0);
    frequencies->scale = 1.0;
    if (json_member(node, "scale", &member))
        frequencies->scale = json_number(&member, 0, 10);
    if (json_member(node, "listed", &member))
        frequencies->listed = json_number(&member, 0, 1.0);
    if (!json_member(node, "values", &member) || !json_is_object(&member))
        json_error(node, "member \"values\" is missing", "It is an object of value and share.", NULL);
    if (lists_stay)
        frequencies->by_name = member.value.val.binary.data;
    else
        read_named_numbers(&member, DBL_MIN, 1.0, &frequencies->count, &frequencies->values,
                           &frequencies->shares);
}

double
spec_listed_share(const term_frequencies *frequencies, const char *value, int length)
{
    JsonbValue share;

    if (frequencies->by_name == NULL ||
        getKeyJsonValueFromContainer(frequencies->by_name, value, length, &share) == NULL)
        return 0;
    return json_number(&(json_node){share, "frequencies"}, DBL_MIN, 1.0);
}

/* The trained part: one object a level, from exact to else. */
static void
read_trained(const json_node *node, comparison_spec *comparison)
{
    static const char *const members[] = {"level", "m", "u", "weight", NULL};
    int levels = spec_level_count(comparison);

    if (json_length(node) != levels)
        json_error(node, psprintf("expected %d levels, found %d", levels, json_length(node)),
                   "There is one for \"exact\", one for each threshold of \"levels\", and one for \"else\".",
                   "Train the model again with mastering.train_model after a change of levels.");
    for (int level = LEVEL_EXACT; level <= levels; level++) {
        json_node entry = json_element(node, level - 1), member;
        double bits;

        json_expect_members(&entry, members);
        if (json_member(&entry, "m", &member))
            comparison->m[level] = json_number(&member, 0, 1);
        if (json_member(&entry, "u", &member))
            comparison->u[level] = json_number(&member, 0, 1);
        if (!json_member(&entry, "weight", &member))
            json_error(&entry, "member \"weight\" is missing", "It is log2(m/u).", NULL);
        bits = json_number(&member, -WEIGHT_LIMIT / WEIGHT_UNITS, WEIGHT_LIMIT / WEIGHT_UNITS);
        comparison->weights[level] = (int32)floor(bits * WEIGHT_UNITS + 0.5);
    }
    comparison->trained = true;
}

/* How the elements of an array are compared. */
static void
read_elements(const json_node *node, const json_node *method, comparison_spec *comparison)
{
    json_node member;

    if (!json_member(node, "elements", &member)) {
        if (json_member(node, "separator", &member))
            json_error(&member, "\"separator\" goes with \"elements\"", NULL,
                       "Add \"elements\": \"best\", or leave the separator out.");
        return;
    }
    comparison->elements =
        (element_mode)(json_choice(&member, "way of comparing elements", element_modes) + ELEMENTS_BEST);
    if (comparison->elements == ELEMENTS_SET && method == NULL)
        comparison->method = METHOD_EXACT;
    if (comparison->elements == ELEMENTS_SET && comparison->method != METHOD_EXACT)
        json_error(
            method,
            psprintf("method \"%s\" compares elements, not sets of them", method_name(comparison->method)),
            "In a set, elements are equal or they are not.",
            "Leave \"method\" out, or take \"elements\": \"best\".");
    if (method_weighs_terms(comparison->method))
        json_error(method,
                   psprintf("method \"%s\" does not compare elements", method_name(comparison->method)),
                   "It weighs the words of one text.",
                   "Leave \"elements\" out and put them into one text: array_to_string(authors, ' ').");
    if (json_member(node, "separator", &member)) {
        comparison->separator = json_string(&member);
        if (comparison->separator[0] == '\0')
            json_error(&member, "the separator is empty", NULL,
                       "Give what stands between two elements: \";\".");
        comparison->evaluated = psprintf("pg_catalog.string_to_array((%s\n)::pg_catalog.text, %s)",
                                         comparison->expression, quote_literal_cstr(comparison->separator));
    }
}

static void
compare_column(const json_node *name, comparison_spec *comparison)
{
    comparison->column = json_string(name);
    if (comparison->column[0] == '\0')
        json_error(name, "the name of the column is empty", NULL, NULL);
    comparison->expression = pstrdup(quote_identifier(comparison->column));
    comparison->name = comparison->column;
}

static void
read_comparison(const json_node *node, const match_spec *spec, comparison_spec *comparison)
{
    static const char *const members[] = {
        "name",    "column",   "expression",     "method",      "levels",      "normalize", "q",
        "measure", "scale",    "term_frequency", "trained",     "frequencies", "terms",     "inner",
        "words",   "elements", "separator",      "with_labels", "evidence",    "part_of",   NULL};
    json_node member, method;
    bool has_method;

    comparison->path = node->path;
    comparison->method = METHOD_JARO_WINKLER;
    comparison->form = spec->form;
    comparison->q = 3;
    comparison->scale = 1.0;
    comparison->inner = DEFAULT_INNER;
    if (json_is_string(node)) {
        compare_column(node, comparison);
        comparison->evaluated = comparison->expression;
        default_thresholds(comparison);
        return;
    }
    json_expect_members(node, members);

    if (json_member(node, "column", &member))
        compare_column(&member, comparison);
    if (json_member(node, "expression", &member)) {
        if (comparison->column != NULL)
            json_error(node, "both \"column\" and \"expression\" are given", NULL, "Keep one of them.");
        comparison->expression = json_string(&member);
        comparison->name = comparison->expression;
        comparison->path = member.path;
    }
    if (comparison->expression == NULL)
        json_error(node, "neither \"column\" nor \"expression\" is given", NULL,
                   "Name the column to compare: {\"column\": \"surname\"}.");
    if (json_member(node, "name", &member))
        comparison->name = json_string(&member);
    has_method = json_member(node, "method", &method);
    if (has_method)
        comparison->method = (comparison_method)json_choice(&method, "method", comparison_method_names);
    comparison->evaluated = comparison->expression;
    read_elements(node, has_method ? &method : NULL, comparison);

    if (comparison->method == METHOD_NUMERIC)
        comparison->form = FORM_NUMBER;
    else if (comparison->method == METHOD_DATE)
        comparison->form = FORM_DATE;
    if (json_member(node, "normalize", &member)) {
        if (comparison->method == METHOD_NUMERIC || comparison->method == METHOD_DATE)
            json_error(&member,
                       psprintf("method \"%s\" brings its values to a form of its own",
                                method_name(comparison->method)),
                       NULL, "Leave \"normalize\" out.");
        comparison->form = (value_form)json_choice(&member, "normalization", form_names);
    }
    default_thresholds(comparison);
    if (json_member(node, "levels", &member))
        read_levels(&member, comparison);
    if (json_member(node, "q", &member))
        comparison->q = json_integer(&member, method_weighs_terms(comparison->method) ? 0 : 1, MAX_TERM_Q);
    if (comparison->method == METHOD_SOFT_TFIDF)
        comparison->q = 0;
    if (json_member(node, "inner", &member)) {
        if (comparison->method != METHOD_SOFT_TFIDF)
            json_error(&member, "\"inner\" goes with method \"soft_tfidf\"",
                       "It is the similarity from which on two words count as the same.", "Leave it out.");
        comparison->inner = json_number(&member, 0.5, 1);
    }
    if (json_member(node, "measure", &member))
        comparison->measure = (set_measure)json_choice(&member, "measure", measure_names);
    else if (comparison->method == METHOD_TOKEN || comparison->elements == ELEMENTS_SET)
        comparison->measure = MEASURE_JACCARD;
    if (json_member(node, "scale", &member) && json_is_string(&member)) {
        (void)json_choice(&member, "scale", scale_names);
        comparison->scale = RELATIVE_SCALE;
    } else if (json_member(node, "scale", &member)) {
        comparison->scale = json_number(&member, 0, DBL_MAX);
        if (comparison->scale <= 0)
            json_error(&member, "the scale must be greater than 0",
                       "A difference of one scale makes similarity 0.", NULL);
    }
    if (json_member(node, "term_frequency", &member))
        comparison->term_frequency = json_boolean(&member);
    if (json_member(node, "evidence", &member))
        comparison->evidence =
            (evidence_kind)(json_choice(&member, "kind of evidence", evidence_names) + EVIDENCE_NAME);
    if (json_member(node, "with_labels", &member))
        comparison->with_labels = json_boolean(&member);
    if (json_member(node, "trained", &member))
        read_trained(&member, comparison);
    if (json_member(node, "frequencies", &member))
        read_frequencies(&member, false, spec->lists_stay, &comparison->frequencies);
    if (json_member(node, "words", &member) &&
        (comparison->method != METHOD_NAMES || comparison->elements != ELEMENTS_NONE))
        json_error(&member, psprintf("method \"%s\" does not look at words", method_name(comparison->method)),
                   "How rare the words are that two values share is asked of names.",
                   "Leave \"words\" out, or take \"method\": \"names\".");
    else if (json_member(node, "words", &member))
        read_frequencies(&member, true, spec->lists_stay, &comparison->words);
    if (json_member(node, "terms", &member))
        read_term_statistics(&member, &comparison->terms);
}

static bool
has_parts(const match_spec *spec, const comparison_spec *text)
{
    for (int c = 0; c < spec->comparison_count; c++)
        if (spec->comparisons[c].part_of == 1 + (int)(text - spec->comparisons))
            return true;
    return false;
}

/* "part_of", when all comparisons are read. */
static void
read_part_of(const json_node *node, match_spec *spec, comparison_spec *part)
{
    char *name = json_string(node);

    for (int c = 0; c < spec->comparison_count; c++) {
        const comparison_spec *text = &spec->comparisons[c];
        const char *problem = NULL;

        if (strcmp(text->name, name) != 0)
            continue;
        if (text == part)
            problem = psprintf("comparison \"%s\" is no part of itself", name);
        else if (has_parts(spec, part))
            problem = psprintf("comparison \"%s\" has parts itself", part->name);
        else if (text->part_of != 0)
            problem = psprintf("comparison \"%s\" is a part itself", name);
        else if (spec_level_count(text) < 3)
            problem = psprintf("comparison \"%s\" has no level between \"exact\" and \"else\"", name);
        else if (part->term_frequency || part->words.usual > 0 || part->elements != ELEMENTS_NONE)
            problem = "a part has neither \"term_frequency\" nor elements";
        else if (part->with_labels || text->with_labels)
            problem = "labels alone do not tell a part from its text";
        if (problem != NULL)
            json_error(node, problem,
                       "A part says something where its text is neither the same nor nothing alike.",
                       "Leave \"part_of\" out.");
        part->part_of = 1 + c;
        return;
    }
    json_error(node, psprintf("there is no comparison \"%s\"", name), NULL,
               "Give the \"name\" of the comparison that compares the whole text.");
}

static match_spec *
read_document(Jsonb *document, const char *what, bool lists_stay)
{
    static const char *const members[] = {"normalize", "blocking",       "comparisons", "link",
                                          "linkage",   "one_per_source", "threshold",   "prior",
                                          "training",  "unique_sources", NULL};
    match_spec *spec = palloc0(sizeof(match_spec));
    json_node root = json_root(document, what), member;

    spec->lists_stay = lists_stay;
    json_expect_members(&root, members);
    if (json_member(&root, "normalize", &member))
        spec->form = (value_form)json_choice(&member, "normalization", form_names);
    if (json_member(&root, "link", &member))
        spec->across_sources = json_choice(&member, "kind of link", link_names) == 1;
    if (json_member(&root, "linkage", &member))
        spec->linkage = (linkage)json_choice(&member, "linkage", linkage_names);
    if (json_member(&root, "one_per_source", &member))
        spec->one_per_source = (one_per_source)json_choice(&member, "choice", one_per_source_names);
    if (json_member(&root, "unique_sources", &member))
        read_source_list(&member, &spec->unique_sources);
    spec->threshold = DEFAULT_THRESHOLD;
    if (json_member(&root, "threshold", &member)) {
        spec->threshold = json_number(&member, 0, 1);
        if (spec->threshold <= 0 || spec->threshold >= 1)
            json_error(&member, "the threshold is a probability between 0 and 1, both excluded", NULL, NULL);
    }

    if (!json_member(&root, "blocking", &member))
        json_error(&root, "member \"blocking\" is missing",
                   "It lists the keys; two records are compared when they share one of them.",
                   "For example {\"blocking\": [\"email\", [\"surname\", \"city\"]], ...}.");
    spec->rule_count = json_length(&member);
    if (spec->rule_count < 1 || spec->rule_count > MAX_RULES)
        json_error(&member, psprintf("from 1 to %d blocking rules, found %d", MAX_RULES, spec->rule_count),
                   NULL, NULL);
    for (int i = 0; i < spec->rule_count; i++) {
        json_node rule = json_element(&member, i);

        read_rule(&rule, spec, &spec->rules[i]);
    }

    if (!json_member(&root, "comparisons", &member))
        json_error(
            &root, "member \"comparisons\" is missing", "It lists the columns to compare, and how.",
            "For example {\"comparisons\": [{\"column\": \"surname\", \"method\": \"jaro_winkler\"}], ...}.");
    spec->comparison_count = json_length(&member);
    if (spec->comparison_count < 1 || spec->comparison_count > MAX_COMPARISONS)
        json_error(&member,
                   psprintf("from 1 to %d comparisons, found %d", MAX_COMPARISONS, spec->comparison_count),
                   NULL, NULL);
    for (int i = 0; i < spec->comparison_count; i++) {
        json_node comparison = json_element(&member, i);

        read_comparison(&comparison, spec, &spec->comparisons[i]);
        for (int j = 0; j < i; j++)
            if (strcmp(spec->comparisons[i].name, spec->comparisons[j].name) == 0)
                json_error(&comparison,
                           psprintf("there is a comparison \"%s\" already", spec->comparisons[i].name), NULL,
                           "Give one of them another \"name\".");
    }

    for (int i = 0; i < spec->comparison_count; i++) {
        json_node comparison = json_element(&member, i), part;

        if (!json_is_string(&comparison) && json_member(&comparison, "part_of", &part))
            read_part_of(&part, spec, &spec->comparisons[i]);
    }

    spec->trained = json_member(&root, "prior", &member);
    if (spec->trained) {
        spec->prior = json_number(&member, 0, 1);
        if (spec->prior <= 0 || spec->prior >= 1)
            json_error(&member, "the prior is a probability between 0 and 1, both excluded", NULL, NULL);
    }
    for (int i = 0; i < spec->comparison_count; i++)
        spec->trained = spec->trained && spec->comparisons[i].trained;
    if (json_member(&root, "training", &member) && json_is_object(&member)) {
        Jsonb *training = JsonbValueToJsonb(&member.value);
        json_node text, threshold;

        spec->training = JsonbToCString(NULL, &training->root, VARSIZE_ANY_EXHDR(training));
        if (json_member(&member, "text", &text) && json_is_string(&text))
            spec->text = json_string(&text);
        if (json_member(&member, "threshold", &threshold))
            spec->learnt_threshold = json_number(&threshold, 0, 1);
    }
    return spec;
}

match_spec *
spec_read(Jsonb *document, const char *what)
{
    return read_document(document, what, false);
}

match_spec *
spec_read_to_ask(Jsonb *document, const char *what)
{
    return read_document(document, what, true);
}

void
spec_require_trained(const match_spec *spec)
{
    if (!spec->trained)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the model has no trained weights"),
                 errdetail("It is a specification: \"prior\" or a comparison's \"trained\" is missing."),
                 errhint("Train it first: SELECT mastering.train_model(query, spec).")));
}

/* ---- back to JSON ---- */

void
append_json_number(StringInfo out, double number)
{
    char digits[DOUBLE_SHORTEST_DECIMAL_LEN];

    double_to_shortest_decimal_buf(number, digits);
    appendStringInfoString(out, digits);
}

void
append_json_string(StringInfo out, const char *text)
{
    escape_json(out, text);
}

char *
spec_level_label(const comparison_spec *comparison, int level)
{
    StringInfoData label;

    if (level == LEVEL_MISSING)
        return pstrdup("missing");
    if (level == LEVEL_EXACT)
        return pstrdup("exact");
    if (level == spec_level_count(comparison))
        return pstrdup("else");
    if (comparison->elements == ELEMENTS_BEST && level == 2 &&
        comparison->thresholds[0] == (method_is_distance(comparison->method) ? 0.0 : 1.0))
        return pstrdup("an element is equal");
    initStringInfo(&label);
    appendStringInfoString(&label, method_is_distance(comparison->method) ? "<= " : ">= ");
    append_json_number(&label, comparison->thresholds[level - 2]);
    return label.data;
}

static void
write_rule(StringInfo out, const rule_spec *rule)
{
    appendStringInfoString(out, "{\"keys\":[");
    for (int i = 0; i < rule->part_count; i++) {
        if (i > 0)
            appendStringInfoChar(out, ',');
        append_json_string(out, rule->parts[i]);
    }
    appendStringInfo(out, "],\"normalize\":\"%s\"", value_form_name(rule->form));
    if (rule->top_k > 0)
        appendStringInfo(out, ",\"top_k\":%d,\"q\":%d", rule->top_k, rule->q);
    else
        appendStringInfo(out, ",\"max_block\":%d,\"window\":%d", rule->max_block, rule->window);
    write_rule_splits(out, &rule->splits, rule->part_count);
    appendStringInfoChar(out, '}');
}

static void
write_frequencies(StringInfo out, const char *member, const term_frequencies *frequencies)
{
    appendStringInfo(out, ",\"%s\":{\"other\":", member);
    append_json_number(out, frequencies->other);
    appendStringInfoString(out, ",\"scale\":");
    append_json_number(out, frequencies->scale);
    if (frequencies->usual > 0) {
        appendStringInfoString(out, ",\"usual\":");
        append_json_number(out, frequencies->usual);
    }
    if (frequencies->listed > 0) {
        appendStringInfoString(out, ",\"listed\":");
        append_json_number(out, frequencies->listed);
    }
    appendStringInfoString(out, ",\"values\":{");
    for (int i = 0; i < frequencies->count; i++) {
        if (i > 0)
            appendStringInfoChar(out, ',');
        append_json_string(out, frequencies->values[i]);
        appendStringInfoChar(out, ':');
        append_json_number(out, frequencies->shares[i]);
    }
    appendStringInfoString(out, "}}");
}

static void
write_trained(StringInfo out, const comparison_spec *comparison)
{
    appendStringInfoString(out, ",\"trained\":[");
    for (int level = LEVEL_EXACT; level <= spec_level_count(comparison); level++) {
        appendStringInfoString(out, level > LEVEL_EXACT ? ",{\"level\":" : "{\"level\":");
        append_json_string(out, spec_level_label(comparison, level));
        appendStringInfoString(out, ",\"m\":");
        append_json_number(out, comparison->m[level]);
        appendStringInfoString(out, ",\"u\":");
        append_json_number(out, comparison->u[level]);
        appendStringInfoString(out, ",\"weight\":");
        append_json_number(out, weight_to_bits(comparison->weights[level]));
        appendStringInfoChar(out, '}');
    }
    appendStringInfoChar(out, ']');
    if (comparison->term_frequency)
        write_frequencies(out, "frequencies", &comparison->frequencies);
    if (comparison->words.usual > 0)
        write_frequencies(out, "words", &comparison->words);
}

static void
write_comparison(StringInfo out, const match_spec *spec, const comparison_spec *comparison)
{
    appendStringInfoString(out, "{\"name\":");
    append_json_string(out, comparison->name);
    appendStringInfoString(out, comparison->column != NULL ? ",\"column\":" : ",\"expression\":");
    append_json_string(out, comparison->column != NULL ? comparison->column : comparison->expression);
    appendStringInfo(out, ",\"method\":\"%s\"", method_name(comparison->method));
    if (comparison->elements != ELEMENTS_NONE)
        appendStringInfo(out, ",\"elements\":\"%s\"", element_modes[comparison->elements - ELEMENTS_BEST]);
    if (comparison->separator != NULL) {
        appendStringInfoString(out, ",\"separator\":");
        append_json_string(out, comparison->separator);
    }
    if (comparison->method != METHOD_EXACT || comparison->elements != ELEMENTS_NONE) {
        appendStringInfoString(out, ",\"levels\":[");
        for (int i = 0; i < comparison->threshold_count; i++) {
            if (i > 0)
                appendStringInfoChar(out, ',');
            append_json_number(out, comparison->thresholds[i]);
        }
        appendStringInfoChar(out, ']');
    }
    if (comparison->form != FORM_NUMBER && comparison->form != FORM_DATE)
        appendStringInfo(out, ",\"normalize\":\"%s\"", value_form_name(comparison->form));
    if (comparison->method == METHOD_QGRAM || comparison->method == METHOD_TFIDF)
        appendStringInfo(out, ",\"q\":%d", comparison->q);
    if (comparison->method == METHOD_QGRAM || comparison->method == METHOD_TOKEN ||
        comparison->elements == ELEMENTS_SET)
        appendStringInfo(out, ",\"measure\":\"%s\"", measure_names[comparison->measure]);
    if (comparison->method == METHOD_SOFT_TFIDF) {
        appendStringInfoString(out, ",\"inner\":");
        append_json_number(out, comparison->inner);
    }
    if (comparison->method == METHOD_NUMERIC && comparison->scale == RELATIVE_SCALE)
        appendStringInfo(out, ",\"scale\":\"%s\"", scale_names[0]);
    else if (comparison->method == METHOD_NUMERIC) {
        appendStringInfoString(out, ",\"scale\":");
        append_json_number(out, comparison->scale);
    }
    appendStringInfo(out, ",\"term_frequency\":%s", comparison->term_frequency ? "true" : "false");
    if (comparison->evidence != EVIDENCE_NONE)
        appendStringInfo(out, ",\"evidence\":\"%s\"", evidence_name(comparison->evidence));
    if (comparison->part_of != 0) {
        appendStringInfoString(out, ",\"part_of\":");
        append_json_string(out, spec->comparisons[comparison->part_of - 1].name);
    }
    if (comparison->with_labels)
        appendStringInfoString(out, ",\"with_labels\":true");
    if (comparison->trained)
        write_trained(out, comparison);
    write_term_statistics(out, &comparison->terms);
    appendStringInfoChar(out, '}');
}

const char *
evidence_name(evidence_kind evidence)
{
    return evidence_names[evidence - EVIDENCE_NAME];
}

Jsonb *
spec_write(const match_spec *spec)
{
    StringInfoData out;

    initStringInfo(&out);
    appendStringInfo(
        &out,
        "{\"normalize\":\"%s\",\"link\":\"%s\",\"linkage\":\"%s\",\"one_per_source\":\"%s\",\"threshold\":",
        value_form_name(spec->form), link_names[spec->across_sources], linkage_names[spec->linkage],
        one_per_source_names[spec->one_per_source]);
    append_json_number(&out, spec->threshold);
    appendStringInfoString(&out, ",\"blocking\":[");
    for (int i = 0; i < spec->rule_count; i++) {
        if (i > 0)
            appendStringInfoChar(&out, ',');
        write_rule(&out, &spec->rules[i]);
    }
    appendStringInfoString(&out, "],\"comparisons\":[");
    for (int i = 0; i < spec->comparison_count; i++) {
        if (i > 0)
            appendStringInfoChar(&out, ',');
        write_comparison(&out, spec, &spec->comparisons[i]);
    }
    appendStringInfoChar(&out, ']');
    write_source_list(&out, &spec->unique_sources);
    if (spec->trained) {
        appendStringInfoString(&out, ",\"prior\":");
        append_json_number(&out, spec->prior);
    }
    if (spec->training != NULL)
        appendStringInfo(&out, ",\"training\":%s", spec->training);
    appendStringInfoChar(&out, '}');
    return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(out.data)));
}
