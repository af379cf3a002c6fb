/*
 * frozen.c: see frozen.h.
 */
#include "compat.h"

#include <float.h>
#include <math.h>

#include "engine/frozen.h"
#include "engine/spec.h"
#include "utils/builtins.h"

#define MOST_RECORDS 1e12
#define MOST_BITS_OF_COPIES 10000.0 /* beyond the weight of any pair */

/* ---- reading ---- */

void
read_named_numbers(const json_node *object, double least, double most, int *count, char ***names,
                   double **numbers)
{
    JsonbIterator *iterator = JsonbIteratorInit(object->value.val.binary.data);
    JsonbIteratorToken token;
    JsonbValue value;
    int allocated = 256;

    *count = 0;
    *names = palloc(allocated * sizeof(char *));
    *numbers = palloc(allocated * sizeof(double));
    while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE) {
        if (token == WJB_KEY) {
            if (*count == allocated) {
                allocated *= 2;
                *names = repalloc_huge(*names, mul_size(allocated, sizeof(char *)));
                *numbers = repalloc_huge(*numbers, mul_size(allocated, sizeof(double)));
            }
            (*names)[*count] = pnstrdup(value.val.string.val, value.val.string.len);
        } else if (token == WJB_VALUE) {
            json_node number = {value, psprintf("%s[\"%s\"]", object->path, (*names)[*count])};

            (*numbers)[(*count)++] = json_number(&number, least, most);
            pfree(unconstify(char *, number.path));
        }
    }
}

void
read_term_statistics(const json_node *node, term_statistics *terms)
{
    static const char *const members[] = {"records", "other", "counts", NULL};
    json_node member;

    json_expect_members(node, members);
    if (!json_member(node, "records", &member))
        json_error(node, "member \"records\" is missing", "It is the number of records that had a text.",
                   NULL);
    terms->records = json_number(&member, 0, MOST_RECORDS);
    if (!json_member(node, "other", &member))
        json_error(node, "member \"other\" is missing",
                   "It is the number of records that have a term that is not listed.", NULL);
    terms->other = json_number(&member, 1, MOST_RECORDS);
    if (!json_member(node, "counts", &member) || !json_is_object(&member))
        json_error(node, "member \"counts\" is missing",
                   "It is an object of term and number of records that have it.", NULL);
    read_named_numbers(&member, 1, MOST_RECORDS, &terms->count, &terms->terms, &terms->counts);
    terms->known = true;
}

void
read_rule_splits(const json_node *node, int part_count, rule_splits *splits)
{
    static const char *const members[] = {"keys", "windowed", NULL};
    static const char *const key_members[] = {"key", "letters", NULL};
    json_node member, keys;

    json_expect_members(node, members);
    if (!json_member(node, "keys", &keys) || !json_is_array(&keys))
        json_error(node, "member \"keys\" is missing",
                   "It is an array of {\"key\": [...], \"letters\": n}, one for each key to divide.", NULL);
    splits->count = json_length(&keys);
    if (splits->count > MOST_SPLIT_KEYS)
        json_error(&keys, psprintf("at most %d keys, found %d", MOST_SPLIT_KEYS, splits->count), NULL, NULL);
    splits->keys = palloc0(Max(splits->count, 1) * sizeof(split_key));
    for (int i = 0; i < splits->count; i++) {
        json_node entry = json_element(&keys, i);

        json_expect_members(&entry, key_members);
        if (!json_member(&entry, "key", &member) || json_length(&member) != part_count)
            json_error(&entry, psprintf("member \"key\" is an array of %d texts", part_count),
                       "There is one for each part of the rule's key.", NULL);
        for (int part = 0; part < part_count; part++) {
            json_node text = json_element(&member, part);

            splits->keys[i].parts[part] = json_string(&text);
        }
        if (!json_member(&entry, "letters", &member))
            json_error(&entry, "member \"letters\" is missing", NULL, NULL);
        splits->keys[i].letters = json_integer(&member, 1, MOST_LETTERS);
    }
    if (json_member(node, "windowed", &member))
        splits->windowed = json_integer(&member, 0, PG_INT32_MAX);
    splits->known = true;
}

/* A name, or {"source": name, "copies": bits}. */
static void
read_source(const json_node *node, source_list *sources)
{
    static const char *const known[] = {"source", "copies", NULL};
    json_node name = *node, copies;
    int64 weight = PG_INT64_MAX;

    if (json_is_object(node)) {
        json_expect_members(node, known);
        if (!json_member(node, "source", &name))
            json_error(node, "member \"source\" is missing", NULL, NULL);
        if (json_member(node, "copies", &copies))
            weight =
                (int64)rint(json_number(&copies, -MOST_BITS_OF_COPIES, MOST_BITS_OF_COPIES) * WEIGHT_UNITS);
    }
    source_list_add(sources, json_string(&name), weight);
}

void
read_source_list(const json_node *node, source_list *sources)
{
    if (!json_is_array(node))
        json_error(node, psprintf("expected an array of sources' names, found %s", json_found(node)), NULL,
                   NULL);
    source_list_allocate(sources, json_length(node));
    for (int i = 0; i < json_length(node); i++) {
        json_node source = json_element(node, i);

        read_source(&source, sources);
    }
    sources->known = true;
}

/* ---- sources ---- */

void
source_list_allocate(source_list *sources, int most)
{
    sources->count = 0;
    sources->names = palloc(Max(most, 1) * sizeof(char *));
    sources->copies = palloc(Max(most, 1) * sizeof(int64));
}

void
source_list_add(source_list *sources, char *name, int64 copies)
{
    int place = sources->count++;

    for (; place > 0 && strcmp(sources->names[place - 1], name) > 0; place--) {
        sources->names[place] = sources->names[place - 1];
        sources->copies[place] = sources->copies[place - 1];
    }
    sources->names[place] = name;
    sources->copies[place] = copies;
}

void
source_list_raise(source_list *sources, int64 weight)
{
    for (int i = 0; i < sources->count; i++)
        if (sources->copies[i] != PG_INT64_MAX)
            sources->copies[i] += weight;
}

/* ---- writing ---- */

void
write_term_statistics(StringInfo out, const term_statistics *terms)
{
    if (!terms->known)
        return;
    appendStringInfoString(out, ",\"terms\":{\"records\":");
    append_json_number(out, terms->records);
    appendStringInfoString(out, ",\"other\":");
    append_json_number(out, terms->other);
    appendStringInfoString(out, ",\"counts\":{");
    for (int i = 0; i < terms->count; i++) {
        if (i > 0)
            appendStringInfoChar(out, ',');
        append_json_string(out, terms->terms[i]);
        appendStringInfoChar(out, ':');
        append_json_number(out, terms->counts[i]);
    }
    appendStringInfoString(out, "}}");
}

void
write_rule_splits(StringInfo out, const rule_splits *splits, int part_count)
{
    if (!splits->known)
        return;
    appendStringInfoString(out, ",\"split\":{\"keys\":[");
    for (int i = 0; i < splits->count; i++) {
        appendStringInfoString(out, i > 0 ? ",{\"key\":[" : "{\"key\":[");
        for (int part = 0; part < part_count; part++) {
            if (part > 0)
                appendStringInfoChar(out, ',');
            append_json_string(out, splits->keys[i].parts[part]);
        }
        appendStringInfo(out, "],\"letters\":%d}", splits->keys[i].letters);
    }
    appendStringInfo(out, "],\"windowed\":" INT64_FORMAT "}", splits->windowed);
}

void
write_source_list(StringInfo out, const source_list *sources)
{
    if (!sources->known)
        return;
    appendStringInfoString(out, ",\"unique_sources\":[");
    for (int i = 0; i < sources->count; i++) {
        if (i > 0)
            appendStringInfoChar(out, ',');
        if (sources->copies[i] == PG_INT64_MAX) {
            append_json_string(out, sources->names[i]);
            continue;
        }
        appendStringInfoString(out, "{\"source\":");
        append_json_string(out, sources->names[i]);
        appendStringInfoString(out, ",\"copies\":");
        append_json_number(out, weight_to_bits(sources->copies[i]));
        appendStringInfoChar(out, '}');
    }
    appendStringInfoChar(out, ']');
}

/* ---- what it is worth ---- */

void
spec_forget_learnt(match_spec *spec)
{
    for (int c = 0; c < spec->comparison_count; c++) {
        spec->comparisons[c].terms = (term_statistics){0};
        spec->comparisons[c].words = (term_frequencies){0};
    }
    for (int r = 0; r < spec->rule_count; r++)
        spec->rules[r].splits = (rule_splits){0};
    spec->unique_sources = (source_list){0};
    if (spec->threshold == spec->learnt_threshold)
        spec->threshold = DEFAULT_THRESHOLD;
    spec->learnt_threshold = 0;
    spec->trained = false;
}

List *
model_not_local(const match_spec *spec)
{
    List *reasons = NIL;

    if (!spec->trained)
        reasons = lappend(reasons, pstrdup("it has no trained weights"));
    for (int r = 0; r < spec->rule_count; r++) {
        const rule_spec *rule = &spec->rules[r];

        if (rule->top_k > 0)
            reasons = lappend(reasons, psprintf("blocking rule %d: which records are the nearest neighbours "
                                                "depends on all records",
                                                r + 1));
        else if (!rule->splits.known)
            reasons = lappend(reasons, psprintf("blocking rule %d: windows in blocks of more than %d records "
                                                "depend on all records of the key",
                                                r + 1, rule->max_block));
        else if (rule->splits.windowed > 0)
            reasons = lappend(reasons, psprintf("blocking rule %d: " INT64_FORMAT
                                                " keys of more than %d records are left to windows, which "
                                                "depend on all records of the key",
                                                r + 1, rule->splits.windowed, rule->max_block));
    }
    for (int c = 0; c < spec->comparison_count; c++)
        if (method_weighs_terms(spec->comparisons[c].method) && !spec->comparisons[c].terms.known)
            reasons = lappend(reasons, psprintf("comparison \"%s\": how rare a term is, is counted on all "
                                                "records",
                                                spec->comparisons[c].name));
    if (spec->one_per_source == ONE_PER_SOURCE_EVIDENT && !spec->unique_sources.known)
        reasons =
            lappend(reasons, pstrdup("whether sources hold each thing once is found out from all records"));
    return reasons;
}
