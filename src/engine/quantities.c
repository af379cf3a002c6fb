/*
 * quantities.c: see quantities.h. Most of the values that have a digit must be quantities as a whole, of one
 * measure, and some must have a unit: addresses, titles, model and house numbers are none.
 */
#include "compat.h"

#include <math.h>

#include "engine/json_reader.h"
#include "engine/quantities.h"
#include "engine/value_reader.h"
#include "kernel/hash.h"
#include "kernel/quantity_value.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define VALUES_LOOKED_AT 5000  /* about, to see whether a column holds quantities */
#define LEAST_WITH_DIGIT 0.3   /* of the values; the others are words for nothing */
#define LEAST_QUANTITIES 0.8   /* of the values with a digit */
#define LEAST_WITH_UNIT 0.1    /* of the quantities */
#define LEAST_WITH_LETTER 0.5  /* where the units are single letters */
#define LEAST_SAYING_TIME 0.02 /* that clocks are durations: units of time, hours, or more than a day */
#define MOST_ROUND_SECONDS 0.4 /* of durations; a fifth is what chance gives */
#define MOST_AFTERNOON 0.02    /* of durations of minutes that could be times of day */
#define LEAST_VALUES 3
#define WELL_KNOWN 10 /* values whose amount is known, to say what is usual */
#define FAR 3         /* times the highest and lowest twentieth */
#define MOST_FAR 0.02 /* of plain values, in the column's unit */
#define MOST_MEASURES 8
#define MOST_UNITS 32
#define WIDE 3 /* times the lowest twentieth is the highest: then differences are relative */

typedef struct unit_count {
    const unit_entry *unit;
    double records;
} unit_count;

/* What the values of a column are when they are read as one measure. */
typedef struct measure_counts {
    const char *base;
    double quantities, with_unit, with_letter, plain;
    double clocks, long_clocks, first_hour, day_clocks, afternoon, round_seconds;
    double points, commas;
    int unit_count;
    unit_count units[MOST_UNITS];
} measure_counts;

/* Values of a column by their hashes, few enough to be read several times. */
typedef struct looked_at {
    const dictionary *values;
    uint32 *codes;
    uint32 count;
} looked_at;

static int
compare_hashes(const void *a, const void *b, void *context)
{
    const dictionary *values = context;
    uint64 x = values->hashes[*(const uint32 *)a], y = values->hashes[*(const uint32 *)b];

    return (x > y) - (x < y);
}

/* Which ones, and in which order, is a matter of what they are, and not of the order of the records. */
static looked_at
choose_values(const dictionary *values)
{
    looked_at chosen = {.values = values};
    uint64 most = PG_UINT64_MAX / (values->count / VALUES_LOOKED_AT + 1);
    Size allocated = VALUES_LOOKED_AT;

    chosen.codes = palloc(allocated * sizeof(uint32));
    for (uint32 code = 1; code < values->count; code++) {
        if (hash_word(values->hashes[code]) > most)
            continue;
        if (chosen.count == allocated)
            chosen.codes = repalloc(chosen.codes, (allocated *= 2) * sizeof(uint32));
        chosen.codes[chosen.count++] = code;
    }
    qsort_arg(chosen.codes, chosen.count, sizeof(uint32), compare_hashes, unconstify(dictionary *, values));
    return chosen;
}

static void
count_unit(measure_counts *counts, const unit_entry *unit, double records)
{
    for (int u = 0; u < counts->unit_count; u++) {
        if (counts->units[u].unit->factor == unit->factor) {
            counts->units[u].records += records;
            return;
        }
    }
    if (counts->unit_count < MOST_UNITS)
        counts->units[counts->unit_count++] = (unit_count){unit, records};
}

static void
count_clock(measure_counts *counts, const quantity_value *value, double records)
{
    double first = floor(value->amount / (value->clock == 3 ? 3600 : 60));

    counts->clocks += records;
    counts->long_clocks += value->clock == 3 ? records : 0;
    counts->first_hour += value->clock == 3 && first == 0 ? records : 0;
    counts->day_clocks += first >= 24 ? records : 0;
    counts->afternoon += first >= 13 && first < 24 ? records : 0;
    counts->round_seconds += fmod(floor(value->amount), 5) == 0 ? records : 0;
}

static void
count_value(measure_counts *counts, text_view text, double records)
{
    quantity_form form = {counts->base, false};
    quantity_value value;

    if (!quantity_value_read(text, &form, &value))
        return;
    counts->quantities += records;
    counts->commas += value.mark == ',' ? records : 0;
    counts->points += value.mark == '.' ? records : 0;
    if (value.clock != 0)
        count_clock(counts, &value, records);
    else if (value.unit == NULL)
        counts->plain += records;
    else {
        counts->with_unit += records;
        counts->with_letter += value.short_unit ? records : 0;
        count_unit(counts, value.unit, records);
    }
}

/*
 * Whether clocks are durations and not times of day: other values say it, some are longer than a day has
 * hours, most are before one at night, or some have hours where others have none. If nothing says it:
 * durations of minutes and seconds end in any second, and hardly one is between 13 and 24 minutes where all
 * are shorter.
 */
static bool
are_durations(const measure_counts *counts)
{
    double least = LEAST_SAYING_TIME * counts->quantities;

    return counts->with_unit >= least || counts->day_clocks >= least ||
           counts->first_hour > counts->clocks / 2 ||
           (counts->long_clocks >= least && counts->clocks - counts->long_clocks >= least) ||
           (counts->long_clocks == 0 && counts->afternoon <= MOST_AFTERNOON * counts->clocks &&
            counts->round_seconds <= MOST_ROUND_SECONDS * counts->clocks);
}

static bool
enough(const measure_counts *counts, double with_digit)
{
    double known = counts->with_unit;

    if (counts->clocks > 0 && !are_durations(counts))
        return false;
    known += counts->clocks;
    return counts->quantities >= LEAST_QUANTITIES * with_digit &&
           known >= LEAST_WITH_UNIT * counts->quantities &&
           (counts->with_letter <= known / 2 || known >= LEAST_WITH_LETTER * counts->quantities);
}

/*
 * The measures that values name; seconds too, for clocks and "3m". Counts the records of the values, and of
 * those with a digit.
 */
static int
find_measures(const looked_at *looked_at, double *filled, double *with_digit, const char **bases)
{
    const dictionary *values = looked_at->values;
    int count = 1;

    bases[0] = "s";
    for (uint32 v = 0; v < looked_at->count; v++) {
        uint32 code = looked_at->codes[v];
        text_view text = values->texts[code];
        quantity_value value;
        bool digit = false;
        int b = 0;

        for (uint32 i = 0; i < text.length && !digit; i++)
            digit = text_view_at(text, i) >= '0' && text_view_at(text, i) <= '9';
        *filled += values->records[code];
        *with_digit += digit ? values->records[code] : 0;
        if (!quantity_value_read(text, &(quantity_form){NULL, false}, &value) || value.unit == NULL)
            continue;
        while (b < count && strcmp(bases[b], value.unit->base) != 0)
            b++;
        if (b == count && count < MOST_MEASURES)
            bases[count++] = value.unit->base;
    }
    return count;
}

typedef struct amount_code {
    double amount;
    uint32 code;
} amount_code;

static int
compare_amounts(const void *a, const void *b)
{
    const amount_code *x = a, *y = b;

    if (x->amount != y->amount)
        return x->amount < y->amount ? -1 : 1;
    return x->code < y->code ? -1 : x->code > y->code;
}

/* Amounts of all values, sorted. known: of those that say their unit, in base units; else all, in the unit.
 */
static uint32
read_amounts(const column_profile *profile, const unit_entry *unit, bool known, amount_code *amounts)
{
    const dictionary *values = profile->values;
    quantity_form form = {unit->base, profile->decimal_comma};
    uint32 used = 0;

    for (uint32 code = 1; code < values->count; code++) {
        quantity_value value;

        if ((code & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
        if (!quantity_value_read(values->texts[code], &form, &value) ||
            (known && value.unit == NULL && value.clock != 3))
            continue;
        amounts[used].amount = quantity_value_amount(&value, unit, known ? 0 : profile->usual * unit->factor);
        if (!known)
            amounts[used].amount = quantity_value_in(amounts[used].amount, unit);
        amounts[used++].code = code;
    }
    qsort(amounts, used, sizeof(amount_code), compare_amounts);
    return used;
}

static int
compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Three significant digits. */
static double
rounded(double number)
{
    double scale = 1;

    while (number * scale >= 1000)
        scale /= 10;
    while (number * scale < 100 && scale < 1e15)
        scale *= 10;
    return floor(number * scale + 0.5) / scale;
}

/*
 * What is usual, in the unit, where plain values and clocks would lie far from what the others say if they
 * were read in the column's unit, and not where they are read by it; 0: it need not be known.
 */
static double
find_usual(const column_profile *profile, const unit_entry *unit, const amount_code *known, uint32 count)
{
    const dictionary *values = profile->values;
    quantity_form form = {unit->base, profile->decimal_comma};
    double plain = 0, far = 0, still_far = 0, low, high, usual;

    if (count < WELL_KNOWN)
        return 0;
    low = known[count / 20].amount / FAR;
    high = known[count - 1 - count / 20].amount * FAR;
    usual = known[count / 2].amount;
    if (low <= 0)
        return 0;
    for (uint32 code = 1; code < values->count; code++) {
        double records = values->records[code], amount, near;
        quantity_value value;

        if (!quantity_value_read(values->texts[code], &form, &value) || value.unit != NULL ||
            value.clock == 3)
            continue;
        amount = quantity_value_amount(&value, unit, 0);
        near = quantity_value_amount(&value, unit, usual);
        plain += records;
        far += amount < low || amount > high ? records : 0;
        still_far += near < low || near > high ? records : 0;
    }
    return far > MOST_FAR * plain && still_far < far / 2 ? rounded(usual / unit->factor) : 0;
}

/* Equal amounts are one value: the share of equal pairs, and the first code of each. */
static void
join_equal(MemoryContext context, column_profile *profile, const amount_code *amounts, uint32 count)
{
    const dictionary *values = profile->values;
    double equal = 0, read = 0;

    profile->same = MemoryContextAllocExtended(context, mul_size(Max(values->count, 1), sizeof(uint32)),
                                               MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
    for (uint32 i = 0, end; i < count; i = end) {
        double records = 0;

        for (end = i; end < count && amounts[end].amount == amounts[i].amount; end++) {
            records += values->records[amounts[end].code];
            profile->same[amounts[end].code] = amounts[i].code;
        }
        equal += records * (records - 1);
        read += records;
    }
    if (read > 1)
        profile->equal_share = equal / (read * (read - 1));
}

/* ---- numbers of something: "1,337 votes", "35 reviews" ---- */

#define MOST_WORDS 8
#define LONGEST_WORD 15
#define LEAST_WITH_WORD 0.5 /* of the values with a digit, that have the column's word */
#define LEAST_COUNTS 0.9    /* that have it or are plain */
#define MOST_DIGITS 6.5     /* on average: longer numbers are no counts */

/* The word behind a number and blanks, in lower case and without an s at its end; false: something else
 * stands there. */
static bool
word_of_count(text_view text, char word[LONGEST_WORD + 1])
{
    uint32 i = 0, length = 0;

    while (i < text.length && ((text_view_at(text, i) >= '0' && text_view_at(text, i) <= '9') ||
                               (i > 0 && strchr(".,", (int)Min(text_view_at(text, i), 127)) != NULL)))
        i++;
    if (i == 0)
        return false;
    if (i < text.length && text_view_at(text, i) != ' ')
        return false;
    while (i < text.length && text_view_at(text, i) == ' ')
        i++;
    for (; i < text.length && length < LONGEST_WORD; i++) {
        uint32 c = text_view_at(text, i);

        if (!((c | 32) >= 'a' && (c | 32) <= 'z' && c < 128))
            return false;
        word[length++] = (char)(c | 32);
    }
    if (i < text.length || length == 1)
        return false;
    if (length > 0 && word[length - 1] == 's')
        length--;
    word[length] = '\0';
    return true;
}

/* A column whose numbers all count the same is one of numbers. */
static void
find_counts(column_profile *profile, const looked_at *looked_at, double with_digit)
{
    const dictionary *values = profile->values;
    char words[MOST_WORDS][LONGEST_WORD + 1], word[LONGEST_WORD + 1];
    double records[MOST_WORDS] = {0}, plain = 0, most = 0, *numbers;
    uint32 used = 0;
    int count = 0;

    if ((profile->kind != KIND_CODE && profile->kind != KIND_NAME && profile->kind != KIND_TEXT) ||
        profile->mean_digits >= MOST_DIGITS)
        return;
    for (uint32 v = 0; v < looked_at->count; v++) {
        uint32 code = looked_at->codes[v];
        int w = 0;

        if (!word_of_count(values->texts[code], word))
            continue;
        while (w < count && strcmp(words[w], word) != 0)
            w++;
        if (word[0] == '\0')
            plain += values->records[code];
        else if (w < MOST_WORDS) {
            if (w == count)
                strcpy(words[count++], word);
            records[w] += values->records[code];
        }
    }
    for (int w = 0; w < count; w++)
        most = Max(most, records[w]);
    if (most < LEAST_WITH_WORD * with_digit || most + plain < LEAST_COUNTS * with_digit)
        return;
    numbers = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(values->count, sizeof(double)));
    for (uint32 code = 1; code < values->count; code++)
        used += parse_number(values->texts[code], &numbers[used]);
    qsort(numbers, used, sizeof(double), compare_numbers);
    profile->kind = KIND_NUMBER;
    profile->spread = used < 2 ? 0 : numbers[used - 1 - used / 20] - numbers[used / 20];
    pfree(numbers);
}

void
quantities_find(MemoryContext context, column_profile *profile)
{
    const dictionary *values = profile->values;
    const char *bases[MOST_MEASURES];
    measure_counts best = {0};
    const unit_entry *unit = NULL;
    double filled = 0, with_digit = 0, most = 0;
    looked_at looked_at;
    amount_code *amounts;
    uint32 count;
    int measures;

    if (profile->kind == KIND_EMPTY || profile->kind == KIND_EMAIL || profile->kind == KIND_DATE ||
        profile->distinct < LEAST_VALUES)
        return;
    looked_at = choose_values(values);
    measures = find_measures(&looked_at, &filled, &with_digit, bases);
    if (with_digit < LEAST_WITH_DIGIT * filled)
        return;
    for (int m = 1; m <= measures; m++) {
        measure_counts counts = {.base = bases[m % measures]}; /* seconds last: "5m" alone are meters */

        for (uint32 v = 0; v < looked_at.count; v++)
            count_value(&counts, values->texts[looked_at.codes[v]], values->records[looked_at.codes[v]]);
        if (enough(&counts, with_digit) && (best.base == NULL || counts.quantities > best.quantities))
            best = counts;
    }
    if (best.base == NULL) {
        find_counts(profile, &looked_at, with_digit);
        return;
    }
    for (int u = 0; u < best.unit_count; u++) {
        if (best.units[u].records > most ||
            (best.units[u].records == most && unit != NULL && best.units[u].unit->factor > unit->factor)) {
            most = best.units[u].records;
            unit = best.units[u].unit;
        }
    }
    unit = quantity_unit_named((text_view){unit == NULL ? "s" : quantity_unit_name(unit),
                                           (uint32)strlen(unit == NULL ? "s" : quantity_unit_name(unit)), 1});
    if (unit == NULL || strcmp(unit->base, best.base) != 0)
        return;

    profile->decimal_comma = best.commas > best.points;
    profile->unit = quantity_unit_name(unit);
    profile->is_money = quantity_unit_is_money(unit);
    amounts = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(values->count, sizeof(amount_code)));
    count = read_amounts(profile, unit, true, amounts);
    profile->usual = find_usual(profile, unit, amounts, count);
    count = read_amounts(profile, unit, false, amounts);
    profile->kind = KIND_QUANTITY;
    profile->spread =
        count < 2 ? 0 : rounded(amounts[count - 1 - count / 20].amount - amounts[count / 20].amount);
    profile->wide = count > 1 && amounts[count / 20].amount > 0 &&
                    amounts[count - 1 - count / 20].amount > WIDE * amounts[count / 20].amount;
    join_equal(context, profile, amounts, count);
    pfree(amounts);
}

char *
quantities_expression(const column_profile *profile)
{
    StringInfoData out;

    initStringInfo(&out);
    appendStringInfo(&out, "mastering.quantity(%s::pg_catalog.text, '%s'", profile->expression,
                     profile->unit);
    if (profile->usual > 0) {
        appendStringInfoString(&out, ", usual => ");
        append_json_number(&out, profile->usual);
    }
    appendStringInfoString(&out, profile->decimal_comma ? ", decimal_comma => true)" : ")");
    return out.data;
}
