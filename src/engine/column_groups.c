/*
 * column_groups.c: see column_groups.h.
 */
#include "compat.h"

#include "engine/column_groups.h"
#include "kernel/hash.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#define MOST_COLUMNS 100
#define RARELY_TOGETHER 0.05        /* of the records of the less filled column, that have the other too */
#define LEAST_SHARED 0.5            /* of each column's words, that the other has */
#define LEAST_SHARED_CODES 0.1      /* of codes */
#define LEAST_SHARED_ADDRESSES 0.03 /* of telephone numbers and e-mail addresses */
#define TELLING_LENGTH 5            /* characters of these */
#define LEAST_SHARED_NAMED 0.1      /* of one column's, where the columns' names have a word in common */
#define LEAST_FILLED 8              /* records, and the share below */
#define LEAST_FILLED_SHARE 0.02
#define MOST_VALUES 20000 /* different ones looked at */

typedef struct vocabulary_word {
    uint64 hash;
    uint32 records;
} vocabulary_word;

typedef struct vocabulary {
    vocabulary_word *words; /* ascending */
    uint32 count;
    double records; /* of all words */
} vocabulary;

static bool
may_stand_in(const column_profile *profile)
{
    return !profile->is_list && profile->filled >= LEAST_FILLED &&
           profile->filled >= LEAST_FILLED_SHARE * profile->records && profile->distinct > 2 &&
           (profile->kind == KIND_NAME || profile->kind == KIND_TEXT || profile->kind == KIND_CODE ||
            profile->kind == KIND_PHONE || profile->kind == KIND_EMAIL || profile->kind == KIND_DATE ||
            profile->kind == KIND_CATEGORY);
}

/* Kinds whose values are written in words; of the others only the same kind can stand in. */
static bool
of_words(const column_profile *profile)
{
    return profile->kind == KIND_NAME || profile->kind == KIND_TEXT;
}

static int
compare_words(const void *a, const void *b)
{
    const vocabulary_word *x = a, *y = b;

    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static void
add_word(vocabulary *vocabulary, uint32 *allocated, uint64 hash, uint32 records)
{
    if (vocabulary->count == *allocated) {
        *allocated = Max(*allocated * 2, 1024);
        vocabulary->words = vocabulary->words == NULL
                                ? palloc(*allocated * sizeof(vocabulary_word))
                                : repalloc_huge(vocabulary->words, *allocated * sizeof(vocabulary_word));
    }
    vocabulary->words[vocabulary->count++] = (vocabulary_word){hash, records};
}

/* A column's words, or its values without what is neither letter nor digit; ASCII in lower case. */
static vocabulary
make_vocabulary(const column_profile *profile, bool whole_values)
{
    const dictionary *values = profile->values;
    vocabulary made = {0};
    uint32 allocated = 0, kept = 0, looked_at = 0;
    uint32 step = values->count / MOST_VALUES + 1;

    for (uint32 code = 1; code < values->count; code += step) {
        text_view text = values->texts[code];
        uint64 hash = 0;
        bool in_word = false;

        for (uint32 i = 0; i <= text.length; i++) {
            uint32 c = i < text.length ? word_character(text_view_at(text, i)) : 0;

            if (c != 0) {
                hash = hash_combine(hash, c);
                in_word = true;
            } else if (in_word && (!whole_values || i == text.length)) {
                add_word(&made, &allocated, hash, values->records[code]);
                hash = 0;
                in_word = false;
            }
        }
        if ((++looked_at & 0xff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    if (made.count > 1)
        qsort(made.words, made.count, sizeof(vocabulary_word), compare_words);
    for (uint32 i = 0; i < made.count; i++) {
        made.records += made.words[i].records;
        if (kept > 0 && made.words[kept - 1].hash == made.words[i].hash)
            made.words[kept - 1].records += made.words[i].records;
        else
            made.words[kept++] = made.words[i];
    }
    made.count = kept;
    return made;
}

/* The share of the first's words, as often as they are used, that the second has. */
static double
shared_words(const vocabulary *first, const vocabulary *second)
{
    double shared = 0;

    for (uint32 i = 0, j = 0; i < first->count && j < second->count;) {
        if (first->words[i].hash == second->words[j].hash)
            shared += first->words[i].records;
        if (first->words[i].hash <= second->words[j].hash)
            i++;
        else
            j++;
    }
    return first->records > 0 ? shared / first->records : 0;
}

/* By i * count + j: the records that have a value in both columns. */
static uint64 *
filled_together(const record_store *store, const column_profile *profiles, int count)
{
    uint64 *together = palloc0((Size)count * count * sizeof(uint64));
    int *filled = palloc(count * sizeof(int));

    for (uint32 record = 0; record < store->records.count; record++) {
        const uint32 *row = record_row(&store->records, record);
        int filled_count = 0;

        for (int i = 0; i < count; i++)
            if (row[i] != 0 && may_stand_in(&profiles[i]))
                filled[filled_count++] = i;
        for (int i = 0; i < filled_count; i++)
            for (int j = 0; j < i; j++)
                together[filled[j] * count + filled[i]]++;
        if ((record & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    pfree(filled);
    return together;
}

static uint64
together_of(const uint64 *together, int count, int i, int j)
{
    return together[Min(i, j) * count + Max(i, j)];
}

static bool
apart(const uint64 *together, const column_profile *profiles, int count, int i, int j)
{
    return together_of(together, count, i, j) <=
           RARELY_TOGETHER * Min(profiles[i].filled, profiles[j].filled);
}

/* Whether two names have a word of three letters or more in common: addr_full and addr_line, but not id_a and
 * id_b. */
static bool
names_have_word(const char *a, const char *b)
{
    for (const char *word = a; *word != '\0';) {
        Size length = strcspn(word, "_ .-");

        for (const char *other = b; length >= 3 && *other != '\0';) {
            Size other_length = strcspn(other, "_ .-");

            if (length == other_length && pg_strncasecmp(word, other, length) == 0)
                return true;
            other += other_length + (other[other_length] != '\0');
        }
        word += length + (word[length] != '\0');
    }
    return false;
}

/* How many of the values of either must be the other's: numbers that do not repeat by chance need few. */
static double
least_shared(const column_profile *a, const column_profile *b, bool by_words)
{
    if (by_words || a->kind == KIND_CATEGORY || a->kind == KIND_DATE ||
        Min(a->mean_length, b->mean_length) < TELLING_LENGTH)
        return LEAST_SHARED;
    return a->kind == KIND_CODE ? LEAST_SHARED_CODES : LEAST_SHARED_ADDRESSES;
}

static bool
names_persons(const column_profile *profile)
{
    return of_words(profile) && profile->given_names >= SOME_GIVEN_NAMES;
}

/* Whether one of the two stands where the other does not. */
static bool
stand_in(const column_profile *profiles, vocabulary *words, vocabulary *values, int i, int j)
{
    bool by_words = of_words(&profiles[i]) || of_words(&profiles[j]);
    vocabulary *from = by_words ? words : values;
    double there, back;

    /* The name of a firm, and the firm that a person works for; a name in its own script has no word of the
       others, and is one all the same. */
    if (profiles[i].completes_names != profiles[j].completes_names)
        return (profiles[i].in_own_script && names_persons(&profiles[j])) ||
               (profiles[j].in_own_script && names_persons(&profiles[i]));

    if (!by_words && profiles[i].kind != profiles[j].kind)
        return false;
    if (by_words && (profiles[i].kind == KIND_EMAIL || profiles[j].kind == KIND_EMAIL))
        return false;
    if (from[i].words == NULL)
        from[i] = make_vocabulary(&profiles[i], !by_words);
    if (from[j].words == NULL)
        from[j] = make_vocabulary(&profiles[j], !by_words);
    there = shared_words(&from[i], &from[j]);
    back = shared_words(&from[j], &from[i]);
    return Min(there, back) >= least_shared(&profiles[i], &profiles[j], by_words) ||
           (Max(there, back) >= LEAST_SHARED_NAMED && names_have_word(profiles[i].name, profiles[j].name));
}

int
column_groups_find(const record_store *store, const column_profile *profiles, int count,
                   column_group groups[MOST_GROUPS])
{
    vocabulary words[MOST_COLUMNS] = {{0}}, values[MOST_COLUMNS] = {{0}};
    int group_of[MOST_COLUMNS], found = 0;
    uint64 *together;
    bool any = false;

    if (count > MOST_COLUMNS || store->records.count < LEAST_FILLED)
        return 0;
    for (int i = 0; i < count; i++) {
        group_of[i] = i;
        any |=
            may_stand_in(&profiles[i]) && profiles[i].filled <= (1.0 - RARELY_TOGETHER) * profiles[i].records;
    }
    if (!any)
        return 0;
    together = filled_together(store, profiles, count);
    for (int i = 0; i < count; i++) {
        for (int j = i + 1; j < count; j++) {
            int from = group_of[j], to = group_of[i];

            if (from == to || !may_stand_in(&profiles[i]) || !may_stand_in(&profiles[j]) ||
                !apart(together, profiles, count, i, j) || !stand_in(profiles, words, values, i, j))
                continue;
            for (int k = 0; k < count; k++)
                if (group_of[k] == from)
                    group_of[k] = to;
        }
    }
    for (int root = 0; root < count && found < MOST_GROUPS; root++) {
        column_group *group = &groups[found];

        *group = (column_group){0};
        for (int k = 0; k < count; k++)
            if (group_of[k] == root && group->count < MOST_GROUP_MEMBERS)
                group->members[group->count++] = k;
        if (group->count < 2)
            continue;
        for (int a = 0; a < group->count; a++)
            for (int b = 0; b < a; b++)
                group->in_parts |= !apart(together, profiles, count, group->members[a], group->members[b]);
        found++;
    }
    return found;
}

char *
column_group_expression(const column_group *group, const column_profile *profiles)
{
    StringInfoData expression;

    initStringInfo(&expression);
    appendStringInfoString(&expression, "pg_catalog.concat_ws(' '");
    for (int i = 0; i < group->count; i++)
        appendStringInfo(&expression,
                         profiles[group->members[i]].in_own_script
                             ? ", mastering.latin_name(%s::pg_catalog.text)"
                             : ", %s",
                         quote_identifier(profiles[group->members[i]].name));
    appendStringInfoChar(&expression, ')');
    return expression.data;
}

char *
column_group_name(const column_group *group, const column_profile *profiles)
{
    StringInfoData name;

    initStringInfo(&name);
    for (int i = 0; i < group->count; i++)
        appendStringInfo(&name, "%s%s",
                         i == 0                 ? ""
                         : i + 1 < group->count ? ", "
                                                : " or ",
                         profiles[group->members[i]].name);
    return name.data;
}
