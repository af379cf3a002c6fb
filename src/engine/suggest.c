/*
 * suggest.c: writes a specification for data nobody has described; declared in profile.h.
 *
 * Each column is compared by what it holds. Blocking keys are pairs of columns, and single columns that
 * are selective by themselves, as long as the pairs they give stay within a multiple of the records: the
 * number of pairs is counted, not guessed. Columns of running text are blocked by MinHash bands of their
 * words, so that titles that share most words meet.
 */
#include "compat.h"

#include "engine/column_groups.h"
#include "engine/name_columns.h"
#include "engine/one_sided.h"
#include "engine/origin_column.h"
#include "engine/profile.h"
#include "engine/quantities.h"
#include "engine/suggest_emails.h"
#include "engine/suggest_evidence.h"
#include "engine/suggest_lists.h"
#include "engine/swapped.h"
#include "engine/value_forms.h"
#include "kernel/hash.h"
#include "kernel/radix_sort.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define PAIRS_A_RECORD 30      /* that one rule may give */
#define ALL_PAIRS_A_RECORD 150 /* that all rules together may give */
#define MAX_SUGGESTED_RULES 24
#define MAX_SUGGESTED_COMPARISONS 16
#define MOST_PATTERN_BITS 46 /* of columns; others are for words with digits and the whole record */
#define FEW_RECORDS 1000
#define MOST_TELLING_SHARE 0.1 /* of pairs, that are equal in an identifier */
#define LEAST_FILLED 0.02
#define MOST_WHOLE_COLUMNS 64 /* a function has at most 100 arguments */
#define NEIGHBOURS 10
#define CODE_NEIGHBOURS 3
#define LEAST_WITH_DIGITS 0.3
#define MOST_CODES_COMPARISONS 2
#define LEAST_WORDS_ALONE 1.5 /* of a name of a person that is all there is, on average */
#define LEAST_WITH_MODELS 0.5 /* of the values of a text that names goods */
#define MOST_RECORDS_FOR_WHOLE 100000
#define MOST_CATEGORIES 0.1    /* different ones, by records */
#define LEAST_OF_CATEGORY 0.01 /* of all pairs, that have the same */

typedef struct candidate_rule {
    int columns[2]; /* -1: none */
    double pairs;
    double filled; /* share of records that have the key */
} candidate_rule;

static double
usefulness(const column_profile *profile)
{
    double filled = profile->records == 0 ? 0 : (double)profile->filled / profile->records;

    if (profile->kind == KIND_EMPTY || filled < LEAST_FILLED || profile->equal_share > 0.9)
        return 0;
    return filled * (1.0 - profile->equal_share);
}

/* ---- columns that say again what others say ---- */

#define RECORDS_COMPARED 2000 /* for that */
#define MOSTLY 0.8            /* of the records, that words of one column stand in another */
#define MOST_UNCOVERED 0.4    /* of the words of a column, that its parts do not have */

static int
words_within(const uint64 *words, int count, const uint64 *others, int other_count)
{
    int within = 0;

    for (int i = 0; i < count; i++) {
        for (int j = 0; j < other_count; j++) {
            if (words[i] == others[j]) {
                within++;
                break;
            }
        }
    }
    return within;
}

typedef struct column_overlap {
    double both;      /* records with a value in both columns */
    double contained; /* whose words of the first all stand in the second */
} column_overlap;

static bool
has_words(const column_profile *profile)
{
    return !profile->is_group && !profile->is_list &&
           (profile->kind == KIND_NAME || profile->kind == KIND_TEXT);
}

/*
 * Marks columns to leave out of the comparisons, because their evidence would count twice: a column that is
 * put together of others (a full name beside its parts), and a column whose words stand in another one.
 */
static void
mark_repeating(const record_store *store, column_profile *profiles, int count)
{
    uint64(*words)[WORDS_COMPARED] = palloc(Max(count, 1) * sizeof *words);
    int *word_counts = palloc0(Max(count, 1) * sizeof(int));
    column_overlap *overlaps = palloc0(Max(count * count, 1) * sizeof(column_overlap));
    uint32 step = store->records.count / RECORDS_COMPARED + 1;

    for (uint32 record = 0; record < store->records.count; record += step) {
        const uint32 *row = record_row(&store->records, record);

        for (int i = 0; i < count; i++)
            word_counts[i] = row[i] == 0 || !has_words(&profiles[i])
                                 ? 0
                                 : value_words(profiles[i].values->texts[row[i]], words[i]);
        for (int i = 0; i < count; i++) {
            for (int j = 0; j < count; j++) {
                if (i == j || word_counts[i] == 0 || word_counts[j] == 0)
                    continue;
                overlaps[i * count + j].both++;
                overlaps[i * count + j].contained +=
                    words_within(words[i], word_counts[i], words[j], word_counts[j]) == word_counts[i];
            }
        }
    }

    /* Put together of others: at least two columns stand in it, and they are most of it. */
    for (int whole = 0; whole < count; whole++) {
        double covered = 0, all = 0;
        int parts = 0;

        for (int i = 0; i < count; i++)
            parts += overlaps[i * count + whole].both >= 20 && usefulness(&profiles[i]) > 0.1 &&
                     !profiles[i].repeats && profiles[i].mean_words < profiles[whole].mean_words &&
                     overlaps[i * count + whole].contained >= MOSTLY * overlaps[i * count + whole].both;
        if (parts < 2)
            continue;
        for (int i = 0; i < count; i++) {
            if (overlaps[i * count + whole].both >= 20 && usefulness(&profiles[i]) > 0.1 &&
                !profiles[i].repeats && profiles[i].mean_words < profiles[whole].mean_words &&
                overlaps[i * count + whole].contained >= MOSTLY * overlaps[i * count + whole].both)
                covered += profiles[i].mean_words * profiles[i].filled;
        }
        all = profiles[whole].mean_words * profiles[whole].filled;
        profiles[whole].repeats = covered >= (1.0 - MOST_UNCOVERED) * all;
    }
    /* One column within another: of two equal ones the first stays. */
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count && !profiles[i].repeats; j++)
            profiles[i].repeats =
                i != j && !profiles[j].repeats && overlaps[i * count + j].both >= 20 &&
                overlaps[i * count + j].both * step >= 0.5 * profiles[i].filled &&
                overlaps[i * count + j].contained >= MOSTLY * overlaps[i * count + j].both &&
                (overlaps[j * count + i].contained < overlaps[i * count + j].contained || j < i);
}

/* ---- comparisons ---- */

/* An identifier of the row itself: every value different, and nothing two people could write alike. */
static bool
is_row_number(const column_profile *profile)
{
    return !profile->is_list && !profile->wide && profile->distinct == profile->filled &&
           profile->filled > 100 && (profile->kind == KIND_NUMBER || profile->kind == KIND_CODE);
}

static void
write_evidence(StringInfo out, evidence_kind evidence)
{
    if (evidence != EVIDENCE_NONE)
        appendStringInfo(out, ",\"evidence\":\"%s\"", evidence_name(evidence));
}

/* Whole names of persons, in any order. */
#define WHOLE_NAMES ",\"method\":\"names\",\"levels\":[0.98,0.92,0.85,0.7,0.45],\"term_frequency\":true"

/*
 * Numbers that differ by a multiple (prices, weights, populations) are compared by their ratio; others
 * (lengths of films, heights of persons) by their difference, as a share of the column's spread.
 */
static void
write_number_levels(StringInfo out, const column_profile *profile)
{
    if (profile->wide && profile->spread > 0)
        appendStringInfoString(
            out, ",\"method\":\"numeric\",\"levels\":[0.98,0.9,0.75,0.5],\"term_frequency\":true,"
                 "\"scale\":\"relative\"");
    else if (profile->spread > 0 &&
             (profile->kind == KIND_QUANTITY || profile->several_ways || profile->distinct > 20)) {
        appendStringInfoString(
            out, ",\"method\":\"numeric\",\"levels\":[0.999,0.99,0.95],\"term_frequency\":true,\"scale\":");
        append_json_number(out, profile->spread);
    } else
        appendStringInfoString(out, ",\"method\":\"exact\",\"term_frequency\":true");
}

/*
 * Names of persons, alone. Of one comparison nothing says where matches end; names as words that may be
 * initials or nicknames, and as pieces weighed by how rare they are, are two that bear each other out.
 */
static bool
names_alone(const column_profile *profile)
{
    return profile->kind == KIND_NAME && !profile->is_list && profile->given_names >= SOME_GIVEN_NAMES &&
           profile->mean_words >= LEAST_WORDS_ALONE;
}

static void
write_pieces_of_names(StringInfo out, const column_profile *profile)
{
    appendStringInfoString(out, "{\"name\":");
    append_json_string(out, psprintf("pieces of %s", profile->name));
    appendStringInfoString(out, ",\"expression\":");
    append_json_string(out, profile->expression);
    appendStringInfoString(out,
                           ",\"method\":\"tfidf\",\"q\":3,\"levels\":[0.9,0.8,0.7,0.6,0.5,0.4,0.3,0.2]}");
}

/* alone: it is the only column that is compared. */
static void
write_comparison(StringInfo out, const column_profile *profile, evidence_kind evidence, bool alone)
{
    bool several = profile->mean_words >= 1.4 && profile->with_digits < LEAST_WITH_DIGITS;

    if (profile->is_group || profile->in_form || profile->by_local_part) {
        appendStringInfoString(out, "{\"name\":");
        append_json_string(out, profile->name);
        appendStringInfoString(out, ",\"expression\":");
        append_json_string(out, suggest_compared(profile));
    } else {
        appendStringInfoString(out, "{\"column\":");
        append_json_string(out, profile->name);
    }
    write_evidence(out, evidence);
    if (evidence == EVIDENCE_NAME &&
        (profile->is_group || profile->completes_names || profile->given_names >= SOME_GIVEN_NAMES)) {
        appendStringInfoString(out, WHOLE_NAMES "}");
        return;
    }
    if (profile->is_list) {
        write_list_comparison(out, profile, profile->given_names >= SOME_GIVEN_NAMES);
        appendStringInfoChar(out, '}');
        return;
    }
    /* Words of several columns, in any order. */
    if (profile->is_group && !alone && profile->kind == KIND_NAME) {
        if (profile->given_names >= SOME_GIVEN_NAMES) {
            appendStringInfoString(out, WHOLE_NAMES "}");
            return;
        }
        appendStringInfoString(out, ",\"method\":\"tfidf\",\"q\":3,\"levels\":[0.8,0.6,0.4,0.2]}");
        return;
    }
    if (alone && !names_alone(profile) && (profile->kind == KIND_NAME || profile->kind == KIND_TEXT)) {
        appendStringInfoString(out,
                               ",\"method\":\"tfidf\",\"q\":3,\"levels\":[0.9,0.8,0.7,0.6,0.5,0.4,0.3,0.2],"
                               "\"term_frequency\":true}");
        return;
    }
    switch (profile->kind) {
    case KIND_EMAIL:
        appendStringInfo(out, ",\"method\":\"jaro_winkler\",\"levels\":[0.95,0.88]%s",
                         profile->by_local_part ? ",\"term_frequency\":true" : "");
        break;
    case KIND_PHONE:
        appendStringInfoString(out,
                               ",\"method\":\"damerau_distance\",\"levels\":[1],\"normalize\":\"digits\"");
        break;
    case KIND_DATE:
        appendStringInfoString(out, ",\"method\":\"date\",\"levels\":[0.9,0.7],\"term_frequency\":true");
        break;
    case KIND_NUMBER:
    case KIND_QUANTITY:
        write_number_levels(out, profile);
        break;
    case KIND_CODE:
        appendStringInfoString(
            out, ",\"method\":\"damerau_distance\",\"levels\":[1,2],\"normalize\":\"alphanumeric\"");
        break;
    case KIND_CATEGORY:
        appendStringInfoString(out, ",\"method\":\"exact\",\"term_frequency\":true");
        break;
    case KIND_NAME:
        /* Words and numbers, a street say, are no name: there the order counts, and the number. */
        appendStringInfo(out, ",\"method\":\"%s\",\"levels\":[0.92,0.8%s],\"term_frequency\":true",
                         profile->given_names >= SOME_GIVEN_NAMES || several ? "names" : "jaro_winkler",
                         several ? ",0.6" : "");
        break;
    case KIND_TEXT:
    case KIND_EMPTY:
        appendStringInfoString(
            out, ",\"method\":\"tfidf\",\"q\":3,\"levels\":[0.8,0.6,0.4,0.2],\"term_frequency\":true");
        break;
    }
    if (evidence == EVIDENCE_CONTACT && has_crowded_values(profile))
        appendStringInfoString(out, ",\"term_frequency\":true");
    appendStringInfoChar(out, '}');
}

/*
 * Words with digits in a text are what tells versions of one thing apart: model numbers, sizes, house
 * numbers, years. They are compared by themselves, by how rare they are.
 */
static bool
has_codes(const column_profile *profile)
{
    return profile->kind == KIND_TEXT && !profile->is_list && usefulness(profile) > 0 && !profile->repeats &&
           profile->with_digits >= LEAST_WITH_DIGITS;
}

static char *
codes_expression(const column_profile *profile)
{
    return psprintf("pg_catalog.regexp_replace(pg_catalog.regexp_replace(%s::pg_catalog.text, "
                    "'[^[:alnum:][:space:]]', '', 'g'), "
                    "'(^|[[:space:]])[^0-9[:space:]]+(?=[[:space:]]|$)', ' ', 'g')",
                    profile->expression);
}

static void
write_codes_comparison(StringInfo out, const column_profile *profile, bool alone)
{
    if (profile->with_models >= LEAST_WITH_MODELS) {
        write_models_comparison(out, profile);
        return;
    }
    appendStringInfoString(out, "{\"name\":");
    append_json_string(out, psprintf("words with digits in %s", profile->name));
    appendStringInfoString(out, ",\"expression\":");
    append_json_string(out, codes_expression(profile));
    appendStringInfoString(out, ",\"method\":\"tfidf\",\"q\":0,\"levels\":[0.7,0.4,0.15]");
    if (!alone) {
        appendStringInfoString(out, ",\"part_of\":");
        append_json_string(out, profile->name);
    }
    appendStringInfoChar(out, '}');
}

/* ---- blocking ---- */

static bool
can_block(const column_profile *profile)
{
    return !profile->repeats && usefulness(profile) > 0 && profile->kind != KIND_TEXT &&
           !is_row_number(profile) && profile->distinct > 1;
}

/* A record's value of a column; quantities that are written in several ways are one. */
static inline uint32
code_of(const column_profile *profile, uint32 code)
{
    return profile->same == NULL ? code : profile->same[code];
}

/* Pairs of all records for each pair of the sample. */
static double
pairs_a_pair(const record_store *store)
{
    double share = (double)store->whole_count / Max(store->records.count, 1);

    return share * share;
}

/* Pairs that records with equal values in one or two columns make. */
static void
count_rule_pairs(const record_store *store, const column_profile *profiles, keyed_record *entries,
                 keyed_record *scratch, candidate_rule *rule)
{
    uint32 count = store->records.count;
    uint64 used = 0;

    for (uint32 record = 0; record < count; record++) {
        const uint32 *row = record_row(&store->records, record);
        uint32 a = code_of(&profiles[rule->columns[0]], row[rule->columns[0]]);
        uint32 b = rule->columns[1] >= 0 ? code_of(&profiles[rule->columns[1]], row[rule->columns[1]]) : 1;

        if (a != 0 && b != 0)
            entries[used++] = (keyed_record){hash_word((uint64)a << 32 | b), record, 0};
    }
    CHECK_FOR_INTERRUPTS();
    radix_sort_hashed(entries, scratch, used);
    rule->pairs = 0;
    rule->filled = count == 0 ? 0 : (double)used / count;
    for (uint64 i = 0, end; i < used; i = end) {
        for (end = i + 1; end < used && entries[end].key == entries[i].key; end++)
            ;
        rule->pairs += (double)(end - i) * (end - i - 1) / 2;
    }
    rule->pairs *= pairs_a_pair(store);
}

/* Whether a rule gives pairs, and not too many. Of a sample none may be seen where there are some. */
static bool
gives_pairs(const record_store *store, const candidate_rule *rule)
{
    return rule->pairs <= (double)PAIRS_A_RECORD * store->whole_count &&
           (rule->pairs > 0 || store->whole_count > store->records.count);
}

/* Fewer pairs for a record that has the key come first; ties by position. */
static int
compare_rules(const void *a, const void *b)
{
    const candidate_rule *x = a, *y = b;

    if (x->pairs != y->pairs)
        return x->pairs < y->pairs ? -1 : 1;
    if (x->columns[0] != y->columns[0])
        return x->columns[0] - y->columns[0];
    return x->columns[1] - y->columns[1];
}

static int
candidate_rules(const record_store *store, const column_profile *profiles, int count, candidate_rule *rules)
{
    Size records = Max(store->records.count, 1);
    keyed_record *entries = MemoryContextAllocHuge(store->context, mul_size(records, sizeof(keyed_record)));
    keyed_record *scratch = MemoryContextAllocHuge(store->context, mul_size(records, sizeof(keyed_record)));
    bool *single = palloc0(count * sizeof(bool));
    int used = 0;

    for (int i = 0; i < count; i++) {
        candidate_rule rule = {{i, -1}, 0, 0};

        if (!can_block(&profiles[i]))
            continue;
        if (profiles[i].is_list) {
            rule.pairs = list_pairs(&profiles[i]) * pairs_a_pair(store);
            rule.filled = (double)profiles[i].filled / records;
        } else
            count_rule_pairs(store, profiles, entries, scratch, &rule);
        if (gives_pairs(store, &rule)) {
            rules[used++] = rule;
            single[i] = true;
        }
        single[i] |= profiles[i].is_list; /* a key of its own, or none */
    }
    for (int i = 0; i < count; i++) {
        for (int j = i + 1; j < count; j++) {
            candidate_rule rule = {{i, j}, 0, 0};

            if (!can_block(&profiles[i]) || !can_block(&profiles[j]) || single[i] || single[j])
                continue;
            count_rule_pairs(store, profiles, entries, scratch, &rule);
            if (gives_pairs(store, &rule) && rule.filled >= LEAST_FILLED)
                rules[used++] = rule;
        }
    }
    pfree(entries);
    pfree(scratch);
    qsort(rules, used, sizeof(candidate_rule), compare_rules);
    return used;
}

static void
write_rule_start(StringInfo out, int *written)
{
    appendStringInfoString(out, (*written)++ > 0 ? "," : "");
}

/* The key expression of a column: its value, in the form in which it is compared. */
static void
write_key_column(StringInfo out, const column_profile *profile)
{
    append_json_string(out, profile->expression);
}

static const char *
key_form(const column_profile *profile)
{
    return profile->kind == KIND_PHONE                                ? "digits"
           : profile->kind == KIND_CODE || profile->kind == KIND_DATE ? "alphanumeric"
                                                                      : "text";
}

/*
 * Whether a column's words belong to the text of the whole record; also measures of the thing, but not its
 * price, which is another in each shop.
 */
static bool
in_whole(const column_profile *profile)
{
    return usefulness(profile) > 0 && !profile->left_of_whole && !is_row_number(profile) &&
           !profile->is_group &&
           (profile->kind == KIND_TEXT || profile->kind == KIND_NAME || profile->kind == KIND_CODE ||
            profile->kind == KIND_EMAIL || profile->kind == KIND_PHONE ||
            (profile->kind == KIND_QUANTITY && !profile->is_money));
}

/* Whether many records have each of few values: a kind, a country, a theme. */
static bool
is_category(const column_profile *profile)
{
    return share_different(profile) < MOST_CATEGORIES && profile->equal_share > LEAST_OF_CATEGORY;
}

static int
whole_columns(const column_profile *profiles, int count)
{
    int used = 0;

    for (int i = 0; i < count; i++)
        used += in_whole(&profiles[i]);
    return used;
}

/*
 * What one source alone says makes its records alike, and what they have in common with those of others less:
 * it is no part of the text, where two columns are left that are.
 */
static void
leave_one_sided(const record_store *store, column_profile *profiles, int count)
{
    bool *in_text = palloc0(Max(count, 1) * sizeof(bool)), *own = palloc0(Max(count, 1) * sizeof(bool));
    int left = 0;

    for (int i = 0; i < count; i++)
        in_text[i] = in_whole(&profiles[i]);
    one_sided_find(store, profiles, count, in_text, own);
    for (int i = 0; i < count; i++)
        left += in_text[i] && !own[i];
    for (int i = 0; i < count && left > 1; i++)
        profiles[i].left_of_whole = own[i];
    pfree(in_text);
    pfree(own);
}

/*
 * Beside one column that tells things apart, a name, categories say nothing in the text but what they say by
 * themselves, and make things of one kind alike: the text is that column then.
 */
static void
leave_categories(column_profile *profiles, int count)
{
    int telling = 0;

    for (int i = 0; i < count; i++)
        telling += in_whole(&profiles[i]) && !is_category(&profiles[i]);
    for (int i = 0; i < count && telling == 1; i++)
        profiles[i].left_of_whole |= is_category(&profiles[i]);
}

/*
 * SQL of the columns with words as one text: of the first of them, for a function takes 100 arguments. The
 * function's schema is named, or whoever may create functions could put one of his own in front of it.
 */
static char *
whole_expression(const column_profile *profiles, int count)
{
    StringInfoData expression;
    int used = 0;

    initStringInfo(&expression);
    for (int i = 0; i < count && used < MOST_WHOLE_COLUMNS; i++)
        if (in_whole(&profiles[i]))
            appendStringInfo(&expression, "%s%s", used++ > 0 ? ", " : "",
                             profiles[i].kind == KIND_QUANTITY
                                 ? psprintf("%s::pg_catalog.numeric", profiles[i].expression)
                                 : quote_identifier(profiles[i].name));
    return used == 0 ? NULL : psprintf("pg_catalog.concat_ws(' ', %s)", expression.data);
}

static void
write_whole_rule(StringInfo out, const char *expression)
{
    appendStringInfoString(out, "{\"keys\":[");
    append_json_string(out, expression);
    appendStringInfo(out, "],\"normalize\":\"text\",\"top_k\":%d,\"q\":3}", NEIGHBOURS);
}

static bool
has_text(const column_profile *profiles, int count)
{
    for (int i = 0; i < count; i++)
        if (profiles[i].kind == KIND_TEXT && usefulness(&profiles[i]) > 0)
            return true;
    return false;
}

static bool
wants_whole(const record_store *store, const column_profile *profiles, int count)
{
    return store->whole_count <= MOST_RECORDS_FOR_WHOLE || has_text(profiles, count);
}

/* Both values of columns that are swapped, the lesser first; "Mary" and "Smith" whoever is which. */
static void
write_swapped_rules(StringInfo out, const column_profile *profiles, int swapped[MOST_SWAPPED][2],
                    int swapped_count, int *written)
{
    static const char *const ends[] = {"LEAST", "GREATEST"};

    for (int i = 0; i < swapped_count; i++) {
        write_rule_start(out, written);
        for (int end = 0; end < 2; end++) {
            appendStringInfoString(out, end == 0 ? "{\"keys\":[" : ",");
            append_json_string(out, psprintf("%s(%s::pg_catalog.text COLLATE pg_catalog.\"C\", "
                                             "%s::pg_catalog.text COLLATE pg_catalog.\"C\")",
                                             ends[end], profiles[swapped[i][0]].expression,
                                             profiles[swapped[i][1]].expression));
        }
        appendStringInfoString(out, "],\"normalize\":\"text\"}");
    }
}

/* Their values as one name: by themselves they would differ together where they are swapped. */
static void
write_swapped_comparisons(StringInfo out, const column_profile *profiles, int swapped[MOST_SWAPPED][2],
                          int swapped_count, evidence_kind evidence, int *written)
{
    for (int i = 0; i < swapped_count; i++) {
        const column_profile *first = &profiles[swapped[i][0]], *second = &profiles[swapped[i][1]];

        write_rule_start(out, written);
        appendStringInfoString(out, "{\"name\":");
        append_json_string(out, psprintf("%s and %s in any order", first->name, second->name));
        appendStringInfoString(out, ",\"expression\":");
        append_json_string(
            out, psprintf("pg_catalog.concat_ws(' ', %s, %s)", first->expression, second->expression));
        write_evidence(out, i == 0 ? evidence : EVIDENCE_NONE);
        appendStringInfoString(out, WHOLE_NAMES "}");
    }
}

static void
write_blocking(StringInfo out, const record_store *store, const column_profile *profiles, int count,
               int swapped[MOST_SWAPPED][2], int swapped_count)
{
    candidate_rule *rules = palloc(sizeof(candidate_rule) * (count * (count + 1) / 2 + 1));
    int found = candidate_rules(store, profiles, count, rules), written = 0;
    double pairs = 0;

    for (int i = 0; i < found && written < MAX_SUGGESTED_RULES; i++) {
        const column_profile *first = &profiles[rules[i].columns[0]];
        const column_profile *second = rules[i].columns[1] >= 0 ? &profiles[rules[i].columns[1]] : NULL;

        if (pairs + rules[i].pairs > (double)ALL_PAIRS_A_RECORD * Max(store->whole_count, 1))
            break;
        pairs += rules[i].pairs;
        write_rule_start(out, &written);
        appendStringInfoString(out, "{\"keys\":[");
        write_key_column(out, first);
        if (second != NULL) {
            appendStringInfoChar(out, ',');
            write_key_column(out, second);
        }
        appendStringInfo(out, "],\"normalize\":\"%s\"}", second == NULL ? key_form(first) : "text");
    }
    write_swapped_rules(out, profiles, swapped, swapped_count, &written);
    if (wants_whole(store, profiles, count) && whole_expression(profiles, count) != NULL) {
        write_rule_start(out, &written);
        write_whole_rule(out, whole_expression(profiles, count));
    }
    for (int i = 0; i < count && written < MAX_RULES; i++) {
        if (!has_codes(&profiles[i]))
            continue;
        write_rule_start(out, &written);
        appendStringInfoString(out, "{\"keys\":[");
        append_json_string(out, codes_expression(&profiles[i]));
        appendStringInfo(out, "],\"normalize\":\"text\",\"top_k\":%d,\"q\":0}", CODE_NEIGHBOURS);
    }
    /* Nothing is selective: every column is a key, and large blocks are compared within windows. */
    for (int i = 0; i < count && written == 0; i++) {
        write_rule_start(out, &written);
        appendStringInfoString(out, "{\"keys\":[");
        write_key_column(out, &profiles[i]);
        appendStringInfoString(out, "]}");
    }
}

/* What one comparison takes of a pair's pattern. */
static int
comparison_bits(const column_profile *profile)
{
    if (profile->is_list)
        return 3;
    return profile->kind == KIND_CATEGORY || (profile->kind == KIND_NUMBER && profile->spread <= 0) ? 2 : 3;
}

/* A column that is rarely filled, but says much where it is: a passport number, an e-mail address. */
static bool
is_sparse_identifier(const column_profile *profile)
{
    return (profile->kind == KIND_CODE || profile->kind == KIND_PHONE || profile->kind == KIND_EMAIL ||
            profile->kind == KIND_NUMBER) &&
           profile->equal_share <= MOST_TELLING_SHARE && profile->mean_length >= 4;
}

static bool
can_compare(const column_profile *profile)
{
    return !profile->repeats && !is_row_number(profile) && usefulness(profile) > 0;
}

/*
 * The columns most worth comparing, in their order in the query. first: those that come before all others, as
 * far as there is room.
 */
static void
choose_comparisons(const column_profile *profiles, int count, const bool *left_out, const bool *first,
                   bool *chosen)
{
    int taken = 0, bits = 0;

    memset(chosen, 0, count * sizeof(bool));
    for (;;) {
        int best = -1;

        for (int i = 0; i < count; i++)
            if (!chosen[i] && !left_out[i] && can_compare(&profiles[i]) &&
                (taken < MAX_SUGGESTED_COMPARISONS || is_sparse_identifier(&profiles[i])) &&
                (best < 0 || first[i] > first[best] ||
                 (first[i] == first[best] && usefulness(&profiles[i]) > usefulness(&profiles[best]))))
                best = i;
        if (best < 0 || bits + comparison_bits(&profiles[best]) > MOST_PATTERN_BITS)
            break;
        chosen[best] = true;
        taken++;
        bits += comparison_bits(&profiles[best]);
    }
}

/*
 * What comes first and what is left out. What one thing alone has says more than whatever else there is,
 * however few records have it. Where records are few, so does whatever is evidence, and nothing can be learnt
 * of what the parts of a whole repeat of it. Returns whether parts are left out.
 */
static bool
rank_columns(const record_store *store, const column_profile *profiles, int count,
             const evidence_kind *evidence, bool *left_out, bool *first)
{
    bool few = store->whole_count <= FEW_RECORDS, any = false;

    for (int i = 0; i < count; i++) {
        int whole = profiles[i].part_of - 1;

        first[i] = few ? evidence[i] != EVIDENCE_NONE : is_identifier(&profiles[i]);
        left_out[i] = few && whole >= 0 && evidence[whole] != EVIDENCE_NONE;
        any |= left_out[i];
    }
    return any;
}

/*
 * A name that one source has whole and another in parts, and nothing else: what the parts say the whole says
 * again, and only the whole is there of every record.
 */
static void
leave_parts_of_all(const column_profile *profiles, int count, bool *left_out)
{
    int whole = -1;

    for (int i = 0; i < count; i++) {
        if (!can_compare(&profiles[i]) || profiles[i].part_of > 0)
            continue;
        if (whole >= 0 || !profiles[i].is_group)
            return;
        whole = i;
    }
    for (int i = 0; i < count; i++)
        left_out[i] |= whole >= 0 && profiles[i].part_of == whole + 1;
}

/* The profiles once more, with the groups of columns that stand in for each other instead of their members.
 */
static column_profile *
with_groups(MemoryContext context, const char *query, column_profile *profiles, int *count,
            record_store **store)
{
    column_group groups[MOST_GROUPS];
    const char *expressions[MOST_GROUPS], *names[MOST_GROUPS];
    int found = column_groups_find(*store, profiles, *count, groups);

    if (found == 0)
        return profiles;
    for (int i = 0; i < found; i++) {
        expressions[i] = column_group_expression(&groups[i], profiles);
        names[i] = column_group_name(&groups[i], profiles);
    }
    MemoryContextDelete((*store)->data);
    profiles = profile_query_with(context, query, expressions, names, found, count, store);
    for (int i = 0; i < found; i++) {
        for (int k = 0; k < groups[i].count; k++) {
            profiles[groups[i].members[k]].repeats = !groups[i].in_parts;
            profiles[groups[i].members[k]].part_of = 1 + *count - found + i;
        }
    }
    return profiles;
}

/* Columns whose values are written in several ways are compared, and are keys, in one. */
static void
bring_to_form(column_profile *profiles, int count)
{
    for (int i = 0; i < count; i++) {
        const char *function;
        bool is_list = false;

        if (profiles[i].kind == KIND_QUANTITY) {
            profiles[i].expression = quantities_expression(&profiles[i]);
            profiles[i].in_form = true;
            continue;
        }
        function = profiles[i].repeats || profiles[i].is_list || usefulness(&profiles[i]) == 0
                       ? NULL
                       : value_form_function(&profiles[i], &is_list);

        if (function == NULL)
            continue;
        profiles[i].expression = psprintf("%s(%s::pg_catalog.text)", function, profiles[i].expression);
        profiles[i].in_form = true;
        profiles[i].is_list = is_list;
    }
}

Jsonb *
suggest_spec(const char *query)
{
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "mastering profile", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = CurrentMemoryContext;
    StringInfoData out;
    record_store *store;
    column_profile *profiles;
    bool *chosen, *left_out, *first, swapped_parts = false;
    evidence_kind *evidence, swapped_evidence;
    Jsonb *spec;
    int count, written = 0, codes = 0, chosen_count = 0, swapped[MOST_SWAPPED][2], swapped_count;

    initStringInfo(&out);
    MemoryContextSwitchTo(context);
    profiles = profile_query(context, query, &count, &store);
    if (count == 0)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("the query has no column to compare"),
                        errhint("Return more columns than \"id\" and \"source\": SELECT id, name, ...")));
    name_columns_find(store, profiles, count);
    profiles = with_groups(context, query, profiles, &count, &store);
    name_columns_find(store, profiles, count);
    mark_repeating(store, profiles, count);
    bring_to_form(profiles, count);
    leave_one_sided(store, profiles, count);
    leave_categories(profiles, count);
    origin_column_find(store, profiles, count);
    swapped_count = swapped_columns_find(store, profiles, count, swapped);
    chosen = palloc0(count * sizeof(bool));
    left_out = palloc0(count * sizeof(bool));
    first = palloc0(count * sizeof(bool));
    evidence = palloc0(count * sizeof(evidence_kind));
    for (int i = 0; i < count; i++)
        chosen[i] = can_compare(&profiles[i]);
    suggest_evidence(profiles, count, chosen, swapped_count > 0 ? swapped[0] : NULL, evidence,
                     &swapped_evidence);
    suggest_emails(store, profiles, count, evidence);
    if (rank_columns(store, profiles, count, evidence, left_out, first) && swapped_count > 0 &&
        left_out[swapped[0][0]] && left_out[swapped[0][1]])
        swapped_parts = true; /* the whole name is compared in any order */
    leave_parts_of_all(profiles, count, left_out);
    choose_comparisons(profiles, count, left_out, first, chosen);

    appendStringInfoString(&out, "{\"blocking\":[");
    write_blocking(&out, store, profiles, count, swapped, swapped_count);
    for (int i = 0; i < swapped_count; i++)
        chosen[swapped[i][0]] = chosen[swapped[i][1]] = false;
    if (swapped_parts)
        swapped_count = 0;
    appendStringInfoString(&out, "],\"comparisons\":[");
    for (int i = 0; i < count; i++)
        chosen_count += chosen[i];
    for (int i = 0; i < count; i++) {
        if (!chosen[i])
            continue;
        write_rule_start(&out, &written);
        if (chosen_count == 1 && names_alone(&profiles[i])) {
            write_pieces_of_names(&out, &profiles[i]);
            write_rule_start(&out, &written);
        }
        write_comparison(&out, &profiles[i], evidence[i], chosen_count == 1);
        if (has_codes(&profiles[i]) && codes < MOST_CODES_COMPARISONS) {
            write_rule_start(&out, &written);
            write_codes_comparison(&out, &profiles[i], chosen_count == 1);
            codes++;
        }
    }
    write_swapped_comparisons(&out, profiles, swapped, swapped_count, swapped_evidence, &written);
    if (has_text(profiles, count) && whole_columns(profiles, count) > 1) {
        write_rule_start(&out, &written);
        appendStringInfoString(&out, "{\"name\":\"whole record\",\"expression\":");
        append_json_string(&out, whole_expression(profiles, count));
        appendStringInfoString(&out, ",\"method\":\"tfidf\",\"q\":3,\"levels\":[0.85,0.7,0.55,0.4,0.3]}");
    }
    if (written == 0)
        write_comparison(&out, &profiles[0], EVIDENCE_NONE, true);
    appendStringInfoString(&out, "]}");
    MemoryContextSwitchTo(before);
    spec = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(out.data)));
    MemoryContextDelete(context);
    return spec;
}
