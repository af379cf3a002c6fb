/*
 * profile.c: what the columns of a query hold; see profile.h. Everything is taken once a distinct value.
 */
#include "compat.h"

#include "engine/elements.h"
#include "engine/profile.h"
#include "engine/quantities.h"
#include "engine/value_reader.h"
#include "kernel/nicknames.h"
#include "kernel/quantity.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Whatever the settings, or what is suggested would depend on them. */
#define MOST_BYTES_LOOKED_AT ((Size)64 * 1024 * 1024)

#define FEW_VALUES 60
#define SOME_DATES 0.1  /* of the values, from which on years are dates, too */
#define FIRST_YEAR 1500 /* that four digits are taken for where others are dates */
#define LAST_YEAR 2100
#define SHORTEST_DATE 6 /* characters */
#define LONGEST_DATE 40
#define FEWEST_DIGITS_OF_DATE 3
#define LONG_NUMBER 6.5         /* digits, on average */
#define MANY_DIFFERENT 0.3      /* of the values */
#define MOST_OF_A_LENGTH 0.6    /* of numbers that are amounts: codes have mostly one */
#define MOST_OF_TWO_LENGTHS 0.9 /* of the same */
#define MOST_LEADING_ZEROS 0.01
#define NUMBERS 0.9      /* of the values of a column of numbers, at least */
#define SEVERAL_WAYS 0.1 /* of these, that are written in several ways, too */
#define WIDE 3 /* times the lowest twentieth of amounts is the highest: then differences are relative */
#define LENGTHS 20

/* What a value looks like. */
typedef struct value_look {
    bool has_letter, has_digit, has_at, has_other;
    uint32 digits, letters, words, ats;
} value_look;

static inline bool
is_space(uint32 character)
{
    return character == ' ' || (character >= 9 && character <= 13) || character == 0xa0 ||
           character == 0x3000;
}

static value_look
look_at(text_view text)
{
    value_look look = {0};
    bool in_word = false;

    for (uint32 i = 0; i < text.length; i++) {
        uint32 character = text_view_at(text, i);

        if (is_space(character)) {
            in_word = false;
            continue;
        }
        look.words += !in_word;
        in_word = true;
        if (character >= '0' && character <= '9')
            look.digits++;
        else if ((character | 32) >= 'a' && (character | 32) <= 'z' && character < 128)
            look.letters++;
        else if (character > 127)
            look.letters++;
        else if (character == '@')
            look.ats++;
        else
            look.has_other = true;
    }
    look.has_at = look.ats > 0;
    look.has_letter = look.letters > 0;
    look.has_digit = look.digits > 0;
    return look;
}

static bool
looks_like_date(text_view text, const value_look *look)
{
    calendar_date date;

    return text.length >= SHORTEST_DATE && text.length <= LONGEST_DATE &&
           look->digits >= FEWEST_DIGITS_OF_DATE &&
           (look->letters <= 2 ? look->digits >= 4 : look->letters <= 20) && parse_date(text, &date) &&
           date.year >= 1000 && date.year <= 2999 && date.month <= 31 && date.day <= 31 &&
           (date.day > 0 || look->digits >= 8);
}

static bool
looks_like_year(text_view text, const value_look *look)
{
    uint32 year = 0;

    if (text.length != 4 || look->digits != 4)
        return false;
    for (uint32 i = 0; i < text.length; i++)
        year = 10 * year + (text_view_at(text, i) - '0');
    return year >= FIRST_YEAR && year <= LAST_YEAR;
}

bool
value_is_date(text_view text)
{
    value_look look;
    uint32 digits = 0;

    if (text.length < SHORTEST_DATE || text.length > LONGEST_DATE)
        return false;
    for (uint32 i = 0; i < text.length; i++)
        digits += text_view_at(text, i) - '0' < 10;
    if (digits < FEWEST_DIGITS_OF_DATE) /* most texts; no further look at them is worth it */
        return false;
    look = look_at(text);
    return looks_like_date(text, &look);
}

/* Digits with the punctuation of a telephone number, 7 to 15 of them. */
static bool
looks_like_phone(text_view text, const value_look *look)
{
    return look->letters <= 1 && look->digits >= 7 && look->digits <= 15 && text.length <= 25 &&
           (look->has_other || look->words > 1 || look->digits >= 9);
}

static bool
looks_like_number(text_view text, const value_look *look)
{
    double number;

    return look->letters == 0 && look->has_digit && !look->has_at && look->words == 1 &&
           parse_number(text, &number);
}

/* A number with a point or a comma between its last digits: an amount or a measure, not a code. */
static bool
looks_measured(text_view text)
{
    uint32 i = text.length;

    while (i > 0 && text_view_at(text, i - 1) >= '0' && text_view_at(text, i - 1) <= '9')
        i--;
    return i > 1 && i < text.length &&
           (text_view_at(text, i - 1) == '.' || text_view_at(text, i - 1) == ',') &&
           text_view_at(text, i - 2) >= '0' && text_view_at(text, i - 2) <= '9';
}

given_name_kind
value_given_name(text_view text)
{
    given_name_kind found = GIVEN_NAME_NONE;
    char word[32];
    uint32 length = 0;

    for (uint32 i = 0; i <= text.length; i++) {
        uint32 character = i < text.length ? text_view_at(text, i) : ' ';

        if ((character | 32) >= 'a' && (character | 32) <= 'z' && character < 128) {
            if (length < sizeof word)
                word[length] = (char)(character | 32);
            length++;
            continue;
        }
        if (length <= sizeof word && nickname_known((text_view){word, length, 1}))
            return GIVEN_NAME_ENGLISH;
        if (length <= sizeof word && given_name_known((text_view){word, length, 1}))
            found = GIVEN_NAME_OTHER;
        length = 0;
    }
    return found;
}

double
share_of_given_names(double english, double others, double values)
{
    return english < SOME_GIVEN_NAMES * values && english + others >= MANY_GIVEN_NAMES * values
               ? english + others
               : english;
}

static bool
has_model_number(text_view text)
{
    uint32 characters[MODEL_NUMBER_LENGTH], length, before, place = 0;

    return model_number_next(text, &place, characters, &length, &before);
}

static int
compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Digits of a column's numbers. */
typedef struct number_lengths {
    double all, zeros, records[LENGTHS];
} number_lengths;

static void
note_length(number_lengths *lengths, text_view text, const value_look *look, double records)
{
    lengths->all += records;
    lengths->zeros += look->digits > 1 && text_view_at(text, 0) == '0' ? records : 0;
    lengths->records[Min(look->digits, LENGTHS - 1)] += records;
}

/*
 * Whether numbers are of many lengths, as populations and amounts are. Of the numbers of a sequence, or of
 * any that lie evenly between 0 and a highest, at least nine tenths have two lengths.
 */
static bool
lengths_vary(const number_lengths *lengths)
{
    double most = 0, second = 0;

    for (int digits = 0; digits < LENGTHS; digits++) {
        second = Max(second, Min(most, lengths->records[digits]));
        most = Max(most, lengths->records[digits]);
    }
    return most <= MOST_OF_A_LENGTH * lengths->all && most + second < MOST_OF_TWO_LENGTHS * lengths->all &&
           lengths->zeros <= MOST_LEADING_ZEROS * lengths->all;
}

/* A column's different values as numbers, in order; those that are none are left out. */
static double *
sorted_numbers(const dictionary *values, uint32 *count)
{
    double *numbers = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(values->count, sizeof(double)));

    *count = 0;
    for (uint32 code = 1; code < values->count; code++)
        *count += parse_number(values->texts[code], &numbers[*count]);
    qsort(numbers, *count, sizeof(double), compare_numbers);
    return numbers;
}

/* Whether a good part of a column's numbers are written in several ways: 2000 and 2000.0. */
static bool
numbers_in_several_ways(const dictionary *values)
{
    uint32 count, again = 0;
    double *numbers = sorted_numbers(values, &count);

    for (uint32 i = 1; i < count; i++)
        again += numbers[i] == numbers[i - 1];
    pfree(numbers);
    return again > 0 && again >= SEVERAL_WAYS * (count - again);
}

/*
 * How far the middle nine tenths of a column's different numbers reach; 0: there are none. wide: whether the
 * highest of them are a multiple of the lowest.
 */
static double
spread_of(const dictionary *values, bool *wide)
{
    uint32 used;
    double *numbers = sorted_numbers(values, &used), spread = 0;

    if (used > 1)
        spread = numbers[used - 1 - used / 20] - numbers[used / 20];
    *wide = spread > 0 && numbers[used / 20] > 0 && numbers[used - 1 - used / 20] > WIDE * numbers[used / 20];
    pfree(numbers);
    return spread;
}

static column_kind
kind_of(const column_profile *profile, double date, double phone, double email, double number, double coded,
        double measured, bool varied)
{
    if (profile->distinct <= 1)
        return KIND_EMPTY;
    if (email > 0.8)
        return KIND_EMAIL;
    if (date > 0.8)
        return KIND_DATE;
    if (profile->distinct <= FEW_VALUES && profile->filled >= 10 * profile->distinct)
        return profile->several_ways ? KIND_NUMBER : KIND_CATEGORY;
    if (number > NUMBERS && measured > 0.5)
        return KIND_NUMBER;
    if (phone > 0.8)
        return KIND_PHONE;
    /* Among few values the copies of a thing make equal ones frequent. */
    if (number > NUMBERS)
        return (profile->mean_length >= 4 && profile->equal_share < 0.02 && !varied &&
                !(profile->several_ways && share_different(profile) < MANY_DIFFERENT)) ||
                       (profile->mean_digits >= LONG_NUMBER && share_different(profile) >= MANY_DIFFERENT)
                   ? KIND_CODE
                   : KIND_NUMBER;
    if (coded > 0.6 && profile->mean_words < 2.5)
        return KIND_CODE;
    return profile->mean_words <= 3.0 && profile->mean_length <= 30 ? KIND_NAME : KIND_TEXT;
}

/* The first are those of most records, of as many by content. */
static void
note_frequent(column_profile *profile, uint32 code, uint32 records)
{
    const text_view *texts = profile->values->texts;
    uint32 place = profile->top_count;

    while (place > 0 && (profile->top_records[place - 1] < records ||
                         (profile->top_records[place - 1] == records &&
                          text_view_compare(texts[code], texts[profile->top_codes[place - 1]]) < 0)))
        place--;
    if (place >= lengthof(profile->top_codes))
        return;
    if (profile->top_count < lengthof(profile->top_codes))
        profile->top_count++;
    for (uint32 i = profile->top_count - 1; i > place; i--) {
        profile->top_codes[i] = profile->top_codes[i - 1];
        profile->top_records[i] = profile->top_records[i - 1];
    }
    profile->top_codes[place] = code;
    profile->top_records[place] = records;
}

/*
 * Distinct values of all records by those of a sample of them, once of which there are more, the fewer come
 * once (Haas and Stokes 1998, as in ANALYZE).
 */
static double
distinct_of_all(double share, double filled, double distinct, double once)
{
    double most = filled / share;

    return share >= 1 || filled <= 0 ? distinct
                                     : Min(filled * distinct / (filled - once + once * share), most);
}

static void
profile_column(column_profile *profile, const dictionary *values, const record_store *store)
{
    double length = 0, whole = 0, words = 0, digits = 0, equal = 0, date = 0, phone = 0, email = 0, coded = 0;
    double measured = 0, once = 0, year = 0, given_names[GIVEN_NAME_ENGLISH + 1] = {0};
    number_lengths lengths = {0};
    bool wide;

    profile->values = values;
    profile->records = store->records.count;
    profile->share = (double)store->records.count / Max(store->whole_count, 1);
    profile->distinct = values->count - 1;
    for (uint32 code = 1; code < values->count; code++) {
        text_view text = values->texts[code];
        value_look look = look_at(text);
        double weight = values->records[code];

        profile->filled += values->records[code];
        profile->longest = Max(profile->longest, dictionary_whole_length(values, code));
        length += weight * text.length;
        whole += weight * (double)dictionary_whole_length(values, code);
        words += weight * look.words;
        digits += weight * look.digits;
        equal += weight * (weight - 1);
        once += weight == 1;
        date += looks_like_date(text, &look) ? weight : 0;
        year += looks_like_year(text, &look) ? weight : 0;
        phone += looks_like_phone(text, &look) ? weight : 0;
        email += look.has_at && look.words <= look.ats * 2 - 1 ? weight : 0; /* several with words between */
        if (looks_like_number(text, &look))
            note_length(&lengths, text, &look, weight);
        measured += looks_measured(text) ? weight : 0;
        profile->with_digits += look.has_digit && look.has_letter ? weight : 0;
        profile->with_models += look.has_digit && look.has_letter && has_model_number(text) ? weight : 0;
        if (look.words <= 4 && !look.has_digit && text.length <= 60)
            given_names[value_given_name(text)] += weight;
        coded += look.has_digit && look.digits * 3 >= look.letters ? weight : 0;
        note_frequent(profile, code, values->records[code]);
        if ((code & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    profile->of_all =
        distinct_of_all(profile->share, (double)profile->filled, (double)profile->distinct, once);
    if (profile->filled > 0) {
        profile->mean_length = length / profile->filled;
        profile->mean_whole = whole / profile->filled;
        profile->mean_words = words / profile->filled;
        profile->mean_digits = digits / profile->filled;
        profile->with_digits /= profile->filled;
        profile->with_models /= profile->filled;
        profile->given_names = share_of_given_names(given_names[GIVEN_NAME_ENGLISH],
                                                    given_names[GIVEN_NAME_OTHER], (double)profile->filled) /
                               profile->filled;
    }
    if (profile->filled > 1)
        profile->equal_share = equal / ((double)profile->filled * (profile->filled - 1));
    /* Years where others have dates: one source says no more. */
    if (date >= SOME_DATES * (double)profile->filled) {
        date += year;
        profile->with_years = year / Max(profile->filled, 1);
    }
    profile->several_ways = measured > 0 && date == 0 && lengths.all > NUMBERS * (double)profile->filled &&
                            numbers_in_several_ways(values);
    profile->kind =
        kind_of(profile, date / Max(profile->filled, 1), phone / Max(profile->filled, 1),
                email / Max(profile->filled, 1), lengths.all / Max(profile->filled, 1),
                coded / Max(profile->filled, 1), measured / Max(profile->filled, 1), lengths_vary(&lengths));
    if (profile->kind == KIND_NUMBER) {
        profile->spread = spread_of(values, &wide);
        profile->wide = wide && profile->mean_length >= 4 && measured == 0 && lengths_vary(&lengths);
    }
}

/* An array by its elements; two records are equal in it when they share one. */
static void
profile_list(column_profile *profile, MemoryContext context, const store_column *column,
             const record_store *store)
{
    const element_index *index = element_index_create(context, column->values, column->form);
    double held, filled;

    profile_column(profile, index->elements, store);
    held = profile->filled;
    profile->is_list = true;
    profile->filled = 0;
    for (uint32 code = 1; code < column->values->count; code++)
        profile->filled += column->values->records[code];
    filled = profile->filled;
    if (filled > 1)
        profile->equal_share = Min(profile->equal_share * held * (held - 1) / (filled * (filled - 1)), 1.0);
}

const char *
column_kind_name(column_kind kind)
{
    static const char *const names[] = {"empty",    "email", "phone", "date",     "number",
                                        "quantity", "code",  "name",  "category", "text"};

    return names[kind];
}

int
value_words(text_view text, uint64 words[WORDS_COMPARED])
{
    uint64 hash = 0;
    bool in_word = false;
    int count = 0;

    for (uint32 i = 0; i <= text.length && count < WORDS_COMPARED; i++) {
        uint32 c = i < text.length ? word_character(text_view_at(text, i)) : 0;

        if (c != 0) {
            hash = hash_combine(hash, c);
            in_word = true;
        } else if (in_word) {
            words[count++] = hash;
            hash = 0;
            in_word = false;
        }
    }
    return count;
}

column_profile *
profile_query_with(MemoryContext context, const char *query, const char *const *expressions,
                   const char *const *names, int expression_count, int *count, record_store **store)
{
    query_shape *shape = query_describe(query);
    int most = shape->columns->natts + expression_count;
    store_column *columns = palloc0(Max(most, 1) * sizeof(store_column));
    column_profile *profiles = palloc0(Max(most, 1) * sizeof(column_profile));

    *count = 0;
    for (int i = 0; i < shape->columns->natts; i++) {
        const char *name = NameStr(TupleDescAttr(shape->columns, i)->attname);

        if (strcmp(name, "id") == 0 || strcmp(name, "source") == 0)
            continue;
        query_require_once(shape, name);
        profiles[*count].name = pstrdup(name);
        profiles[*count].expression = pstrdup(quote_identifier(name));
        (void)record_store_column(
            columns, count, profiles[*count].expression,
            OidIsValid(get_base_element_type(TupleDescAttr(shape->columns, i)->atttypid))
                ? (value_form)(FORM_NONE | FORM_ELEMENTS)
                : FORM_NONE,
            "$", false);
    }
    for (int i = 0; i < expression_count; i++) {
        profiles[*count].name = names[i];
        profiles[*count].expression = expressions[i];
        profiles[*count].is_group = true;
        (void)record_store_column(columns, count, expressions[i], FORM_NONE, "$", false);
    }
    *store =
        record_store_read_sample(context, shape, columns, *count, shape->has_source, MOST_BYTES_LOOKED_AT);
    for (int i = 0; i < *count; i++) {
        if (((int)(*store)->columns[i].form & FORM_ELEMENTS) != 0)
            profile_list(&profiles[i], context, &(*store)->columns[i], *store);
        else {
            profile_column(&profiles[i], (*store)->columns[i].values, *store);
            quantities_find(context, &profiles[i]);
        }
    }
    return profiles;
}

column_profile *
profile_query(MemoryContext context, const char *query, int *count, record_store **store)
{
    return profile_query_with(context, query, NULL, NULL, 0, count, store);
}
