/*
 * quantity_value.c: see quantity_value.h. Units are those of quantity.c and, as a value has no other words
 * that they could be, those of quantity_units.h.
 */
#include "kernel/quantity_value.h"

#include <math.h>
#include <string.h>

#include "kernel/characters.h"
#include "kernel/quantity_units.h"

#define COUNT(entries) (sizeof(entries) / sizeof(entries)[0])

static inline bool
is_blank(uint32_t c)
{
    return c == ' ' || (c >= 9 && c <= 13) || c == 0xa0 || c == 0x2009 || c == 0x202f || c == 0x3000;
}

/* A character as the names of units have it. */
static inline uint32_t
folded(uint32_t c)
{
    switch (c) {
    case 0x20ac:
        return 0x80;
    case 0x20b9:
        return 0x81;
    case 0x20a9:
        return 0x82;
    case 0x20bd:
        return 0x83;
    case 0x20ba:
        return 0x84;
    case 0x0e3f:
        return 0x85;
    case 0x20aa:
        return 0x86;
    case 0xba: /* a masculine ordinal, written for a degree */
        return 0xb0;
    case 0x2018:
    case 0x2019:
    case 0x2032:
    case 0xb4:
        return '\'';
    case 0x201d:
    case 0x2033:
        return '"';
    default:
        return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c >= 0x80 && c <= 0x86 ? 0 : c;
    }
}

static uint32_t
after_blanks(text_view text, uint32_t i)
{
    while (is_blank(character_at(text, i)))
        i++;
    return i;
}

/* The place behind a name; 0: it does not stand there. A letter must not go on behind a letter. */
static uint32_t
name_end(text_view text, uint32_t i, const char *name)
{
    uint32_t last = 0;

    for (; *name != '\0'; name++) {
        if (*name == ' ') {
            uint32_t end = i;

            while (is_blank(character_at(text, end)) || character_at(text, end) == '.' ||
                   character_at(text, end) == '-')
                end++;
            if (end == i)
                return 0;
            i = end;
            continue;
        }
        last = folded(character_at(text, i));
        if (last != (uint32_t)(unsigned char)*name)
            return 0;
        i++;
    }
    return is_letter(last) && is_letter(character_at(text, i)) ? 0 : i;
}

/* Keeps the longest name at a place. */
static void
match(const unit_entry *entries, size_t count, const char *base, text_view text, uint32_t i,
      const unit_entry **unit, uint32_t *end)
{
    uint32_t first = folded(character_at(text, i));

    for (size_t e = 0; e < count; e++) {
        uint32_t behind;

        /* Most entries end here: this is done for each record. */
        if ((uint32_t)(unsigned char)entries[e].name[0] != first ||
            (base != NULL && strcmp(entries[e].base, base) != 0))
            continue;
        behind = name_end(text, i, entries[e].name);
        if (behind > *end) {
            *end = behind;
            *unit = &entries[e];
        }
    }
}

/* The place behind the unit at a place; 0: there is none. */
static uint32_t
read_unit(text_view text, uint32_t i, const char *base, const unit_entry **unit)
{
    uint32_t end = 0;

    match(quantity_units, quantity_unit_count, base, text, i, unit, &end);
    match(quantity_more_units, quantity_more_units_count, base, text, i, unit, &end);
    match(quantity_currencies, quantity_currencies_count, base, text, i, unit, &end);
    return end;
}

bool
quantity_unit_is_money(const unit_entry *unit)
{
    return unit >= quantity_currencies && unit < quantity_currencies + quantity_currencies_count;
}

/* ---- numbers ---- */

#define MOST_DIGITS 15 /* a double has them all */
#define MOST_RUNS 7    /* of digits, with what parts them */

static const double powers_of_ten[MOST_DIGITS + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                      1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

typedef struct digit_runs {
    int count;
    uint32_t lengths[MOST_RUNS];
    uint32_t kept[MOST_RUNS];   /* digits of a run before the number had MOST_DIGITS; of decimals more change
                                   nothing */
    uint32_t parted[MOST_RUNS]; /* by what a run is parted from the one before; blanks are ' ' */
    double digits;              /* all of them as one number */
    uint32_t used;              /* of them, but leading zeros */
} digit_runs;

static bool
add_run(text_view text, uint32_t *i, uint32_t parted, digit_runs *runs)
{
    uint32_t length = digits_from(text, *i);

    if (runs->count == MOST_RUNS)
        return false;
    runs->lengths[runs->count] = length;
    runs->parted[runs->count++] = parted;
    for (uint32_t end = *i + length; *i < end; ++*i) {
        uint32_t digit = character_at(text, *i) - '0';

        if (runs->used == MOST_DIGITS || runs->kept[runs->count - 1] == MOST_DIGITS)
            continue;
        runs->used += runs->used > 0 || digit > 0;
        runs->kept[runs->count - 1]++;
        runs->digits = runs->digits * 10 + digit;
    }
    return true;
}

/* What parts two runs of digits of one number; 0: nothing does. Blanks and apostrophes part thousands only.
 */
static uint32_t
part_at(text_view text, uint32_t i, const digit_runs *runs)
{
    uint32_t c = character_at(text, i);

    if (!is_digit(character_at(text, i + 1)))
        return 0;
    if (c == '.' || c == ',')
        return c;
    if ((is_blank(c) || folded(c) == '\'') && runs->lengths[runs->count - 1] <= 3 &&
        digits_from(text, i + 1) == 3 && (runs->count == 1 || runs->lengths[runs->count - 1] == 3))
        return is_blank(c) ? ' ' : '\'';
    return 0;
}

/* The run that has the decimals; 0: none has. mark: what parts them off, where nothing else can be meant. */
static int
decimal_run(const digit_runs *runs, bool decimal_comma, char *mark)
{
    int last = runs->count - 1, alike = 0;
    uint32_t parted;

    if (last == 0)
        return 0;
    parted = runs->parted[last];
    for (int i = 1; i <= last; i++)
        alike += runs->parted[i] == parted;
    if ((parted != '.' && parted != ',') || alike > 1)
        return 0;
    if (last > 1 || runs->lengths[last] != 3 || runs->lengths[0] > 3 || runs->lengths[0] == 0 ||
        runs->digits < powers_of_ten[3]) {
        *mark = (char)parted;
        return last;
    }
    return parted == (decimal_comma ? ',' : '.') ? last : 0;
}

/* "1/2" behind a number, and one behind a blank: "3 1/2"; also as one character. */
static void
read_fraction(text_view text, uint32_t *i, double *amount)
{
    uint32_t place = character_at(text, *i) == '-' ? *i + 1 : after_blanks(text, *i);
    uint32_t c = character_at(text, place);

    if (c >= 0xbc && c <= 0xbe) {
        *amount += (c - 0xbb) * 0.25;
        *i = place + 1;
    } else if (place > *i && is_digit(c) && character_at(text, place + 1) == '/' &&
               character_at(text, place + 2) >= '1' && character_at(text, place + 2) <= '9' &&
               !is_digit(character_at(text, place + 3))) {
        *amount += (double)(c - '0') / (character_at(text, place + 2) - '0');
        *i = place + 3;
    } else if (character_at(text, *i) == '/' && character_at(text, *i + 1) >= '1' &&
               character_at(text, *i + 1) <= '9' && !is_digit(character_at(text, *i + 2))) {
        *amount /= character_at(text, *i + 1) - '0';
        *i += 2;
    }
}

/* A number; moves *i behind it. False: not what can be read. */
static bool
read_number(text_view text, uint32_t *i, bool decimal_comma, double *amount, char *mark)
{
    digit_runs runs = {0};
    uint32_t place = *i, parted;
    int decimals;

    if (character_at(text, place) >= 0xbc && character_at(text, place) <= 0xbe) {
        *amount = (character_at(text, place) - 0xbb) * 0.25;
        *i = place + 1;
        return true;
    }
    if (!is_digit(character_at(text, place)) &&
        !((character_at(text, place) == '.' || character_at(text, place) == ',') &&
          is_digit(character_at(text, place + 1))))
        return false;
    if (!add_run(text, &place, 0, &runs))
        return false;
    while ((parted = part_at(text, place, &runs)) != 0) {
        place++;
        if (!add_run(text, &place, parted, &runs))
            return false;
    }
    decimals = decimal_run(&runs, decimal_comma, mark);
    for (int run = 0; run < runs.count; run++)
        if (run != decimals || run == 0)
            if (runs.kept[run] < runs.lengths[run] ||
                (run > 0 && (runs.lengths[run] != 3 || runs.lengths[0] == 0 || runs.lengths[0] > 3)))
                return false;
    *amount = decimals > 0 ? runs.digits / powers_of_ten[runs.kept[decimals]] : runs.digits;
    *i = place;
    if (decimals == 0)
        read_fraction(text, i, amount);
    return true;
}

/* ---- values ---- */

typedef struct value_reading {
    text_view text;
    uint32_t i;
    quantity_form form;
    quantity_value *value;
} value_reading;

/* Nothing more but a point, and what explains in parentheses. */
static bool
ends(value_reading *reading)
{
    text_view text = reading->text;
    uint32_t i = after_blanks(text, reading->i);

    if (character_at(text, i) == '.')
        i = after_blanks(text, i + 1);
    return i >= text.length || (character_at(text, i) == '(' && character_at(text, text.length - 1) == ')');
}

static void
skip_multiplier(value_reading *reading, bool money, double *amount)
{
    const unit_entry *unit = NULL;
    uint32_t place = after_blanks(reading->text, reading->i), end = 0;

    match(quantity_multipliers, quantity_multipliers_count, NULL, reading->text, place, &unit, &end);
    if (money)
        match(quantity_money_multipliers, quantity_money_multipliers_count, NULL, reading->text, place, &unit,
              &end);
    if (end == 0)
        return;
    *amount *= unit->factor;
    reading->i = character_at(reading->text, end) == '.' ? end + 1 : end;
}

/* The unit behind a number, behind blanks or one hyphen. */
static bool
take_unit(value_reading *reading, const unit_entry **unit)
{
    uint32_t place = after_blanks(reading->text, reading->i), end;

    if (character_at(reading->text, place) == '-')
        place = after_blanks(reading->text, place + 1);
    end = read_unit(reading->text, place, reading->form.base, unit);
    if (end == 0)
        return false;
    reading->value->short_unit = end == place + 1 && is_letter(character_at(reading->text, place));
    reading->i = character_at(reading->text, end) == '.' ? end + 1 : end;
    return true;
}

/* "$ 1,299.00", "USD 12", "$1.5M", "12.-", "Rs. 500/-": from behind the currency on. */
static bool
read_money(value_reading *reading, const unit_entry *unit, uint32_t end)
{
    const unit_entry *again = NULL;
    quantity_value *value = reading->value;
    double amount;

    reading->i = after_blanks(reading->text, character_at(reading->text, end) == '.' ? end + 1 : end);
    if (character_at(reading->text, reading->i) == '-' || character_at(reading->text, reading->i) == 0x2212) {
        value->amount = -1;
        reading->i++;
    }
    if (!read_number(reading->text, &reading->i, reading->form.decimal_comma, &amount, &value->mark))
        return false;
    skip_multiplier(reading, true, &amount);
    if (character_at(reading->text, reading->i) == '.' || character_at(reading->text, reading->i) == ',' ||
        character_at(reading->text, reading->i) == '/') {
        uint32_t dash = character_at(reading->text, reading->i + 1);

        reading->i += dash == '-' || dash == 0x2013 || dash == 0x2014 ? 2 : 0;
    }
    if (!ends(reading)) {
        /* The same currency once more: "$12 USD". */
        reading->i = after_blanks(reading->text, reading->i);
        end = 0;
        match(quantity_currencies, quantity_currencies_count, unit->base, reading->text, reading->i, &again,
              &end);
        if (end == 0)
            return false;
        reading->i = end;
    }
    value->amount *= amount;
    value->unit = unit;
    return ends(reading);
}

/* Two digits behind a colon, which may have blanks around it; 99 and more: there are none. */
static uint32_t
clock_part(text_view text, uint32_t *i)
{
    uint32_t place = after_blanks(text, *i);
    uint32_t part;

    if (character_at(text, place) != ':')
        return 100;
    place = after_blanks(text, place + 1);
    if (digits_from(text, place) != 2)
        return 100;
    part = (character_at(text, place) - '0') * 10 + character_at(text, place + 1) - '0';
    *i = place + 2;
    return part < 60 ? part : 99;
}

/* "3:44", "1:52:00", "1:52 h": from the first colon on. */
static bool
read_clock(value_reading *reading, double first)
{
    quantity_value *value = reading->value;
    const unit_entry *unit = NULL;
    uint32_t second, third;
    double amount;

    second = clock_part(reading->text, &reading->i);
    if (second >= 60)
        return false;
    third = clock_part(reading->text, &reading->i);
    if (third == 99)
        return false;
    value->clock = third == 100 ? 2 : 3;
    amount = first * 60 + second;
    if (value->clock == 3)
        amount = amount * 60 + third;
    if (character_at(reading->text, reading->i) == '.' &&
        is_digit(character_at(reading->text, reading->i + 1))) {
        double fraction;
        char mark;

        if (!read_number(reading->text, &reading->i, false, &fraction, &mark) || fraction >= 1)
            return false;
        amount += fraction;
    }
    if (!ends(reading)) {
        if (!take_unit(reading, &unit) || strcmp(unit->base, "s") != 0 ||
            (unit->factor != 60 && unit->factor != 3600) || !ends(reading))
            return false;
        value->unit = unit;
        if (value->clock == 2 && unit->factor == 3600)
            amount *= 60;
        value->clock = 0;
    }
    value->amount *= amount;
    return true;
}

/* What may stand between two parts of a sum. */
static void
skip_between(value_reading *reading)
{
    static const char *const words[] = {"and", "und", "et", "y"};
    text_view text = reading->text;
    uint32_t c;

    while (is_blank(c = character_at(text, reading->i)) || c == ',' || c == '&' || c == '+' || c == ':' ||
           c == '-')
        reading->i++;
    for (size_t w = 0; w < COUNT(words); w++) {
        uint32_t end = name_end(text, reading->i, words[w]);

        if (end != 0 && is_blank(character_at(text, end))) {
            reading->i = after_blanks(text, end);
            return;
        }
    }
}

/* "1 h 52 min", "5' 10\"", "3 lb 4 oz", from the unit of the first part on: of one measure, falling. */
static bool
read_sum(value_reading *reading, double amount, const unit_entry *unit)
{
    quantity_value *value = reading->value;
    bool short_unit = value->short_unit;
    double sum = amount * unit->factor;

    reading->form.base = unit->base;
    while (!ends(reading)) {
        const unit_entry *next = NULL;

        skip_between(reading);
        if (quantity_unit_is_money(unit) ||
            !read_number(reading->text, &reading->i, reading->form.decimal_comma, &amount, &value->mark))
            return false;
        if (!take_unit(reading, &next)) {
            /* "1 h 52", "5' 10": what follows hours and feet needs no name. */
            double factor = strcmp(unit->base, "s") == 0 && unit->factor == 3600     ? 60
                            : strcmp(unit->base, "mm") == 0 && unit->factor == 304.8 ? 25.4
                                                                                     : 0;

            if (factor == 0 || !ends(reading))
                return false;
            sum += amount * factor;
            break;
        }
        if (next->factor >= unit->factor)
            return false;
        sum += amount * next->factor;
        unit = next;
        short_unit = false; /* two of them are no accident */
    }
    value->amount *= sum;
    value->unit = unit;
    value->short_unit = short_unit;
    return true;
}

/* ISO 8601: "PT1H52M". Years and months are left out: of them nobody writes durations of things. */
static bool
read_iso(value_reading *reading)
{
    static const struct {
        char letter;
        bool time;
        double factor;
    } parts[] = {
        {'w', false, 604800}, {'d', false, 86400}, {'h', true, 3600}, {'m', true, 60}, {'s', true, 1}};
    text_view text = reading->text;
    size_t part = 0;
    bool time = false, any = false;
    double sum = 0;

    if (reading->form.base != NULL && strcmp(reading->form.base, "s") != 0)
        return false;
    for (reading->i++; reading->i < text.length;) {
        uint32_t letter;
        double amount;
        char mark;

        if (!time && folded(character_at(text, reading->i)) == 't') {
            time = true;
            reading->i++;
        }
        if (!read_number(text, &reading->i, false, &amount, &mark))
            return false;
        letter = folded(character_at(text, reading->i++));
        while (part < COUNT(parts) && ((uint32_t)parts[part].letter != letter || parts[part].time != time))
            part++;
        if (part == COUNT(parts))
            return false;
        sum += amount * parts[part++].factor;
        any = true;
    }
    reading->value->amount = sum;
    reading->value->unit = quantity_unit_named((text_view){"min", 3, 1});
    return any;
}

/* "~ 5 kg", "ca. 5 kg": what is not exact is compared as if it were. */
static void
skip_about(value_reading *reading)
{
    static const char *const words[] = {"ca", "c", "approx", "approximately", "about", "circa"};
    text_view text = reading->text;

    if (character_at(text, 0) == '~' || character_at(text, 0) == 0x2248)
        reading->i = after_blanks(text, 1);
    for (size_t w = 0; w < COUNT(words) && reading->i == 0; w++) {
        uint32_t end = name_end(text, 0, words[w]);

        if (end != 0 && (character_at(text, end) == '.' || is_blank(character_at(text, end))))
            reading->i = after_blanks(text, character_at(text, end) == '.' ? end + 1 : end);
    }
}

static bool
read_value(value_reading *reading)
{
    text_view text = reading->text;
    quantity_value *value = reading->value;
    const unit_entry *unit = NULL;
    uint32_t end = 0;
    double amount;

    *value = (quantity_value){.amount = 1};
    reading->i = 0;
    skip_about(reading);
    if (folded(character_at(text, reading->i)) == 'p' &&
        (is_digit(character_at(text, reading->i + 1)) || folded(character_at(text, reading->i + 1)) == 't'))
        return read_iso(reading);
    if (character_at(text, reading->i) == '-' || character_at(text, reading->i) == 0x2212 ||
        character_at(text, reading->i) == '+') {
        value->amount = character_at(text, reading->i) == '+' ? 1 : -1;
        reading->i = after_blanks(text, reading->i + 1);
    }
    match(quantity_currencies, quantity_currencies_count, reading->form.base, text, reading->i, &unit, &end);
    if (end != 0)
        return read_money(reading, unit, end);
    if (!read_number(text, &reading->i, reading->form.decimal_comma, &amount, &value->mark))
        return false;
    if (character_at(text, after_blanks(text, reading->i)) == ':')
        return (reading->form.base == NULL || strcmp(reading->form.base, "s") == 0) &&
               read_clock(reading, amount);
    skip_multiplier(reading, false, &amount);
    if (ends(reading)) {
        value->amount *= amount;
        return true;
    }
    return take_unit(reading, &unit) && read_sum(reading, amount, unit);
}

#define LONGEST_QUANTITY 80 /* characters; longer texts are not looked at */

bool
quantity_value_read(text_view text, const quantity_form *form, quantity_value *value)
{
    value_reading reading = {text, 0, *form, value};
    uint32_t first = after_blanks(text, 0), end = text.length;
    bool digit = false;

    while (end > first && is_blank(character_at(text, end - 1)))
        end--;
    if (end == first || end - first > LONGEST_QUANTITY)
        return false;
    for (uint32_t i = first; i < end && !digit; i++)
        digit = is_digit(character_at(text, i)) ||
                (character_at(text, i) >= 0xbc && character_at(text, i) <= 0xbe);
    if (!digit)
        return false;
    reading.text =
        (text_view){(const char *)text.chars + (size_t)first * text.width, end - first, text.width};
    if (read_value(&reading) && isfinite(value->amount))
        return true;
    /* "3m 48sec" is read as a length first. */
    if (form->base != NULL)
        return false;
    reading.form = *form;
    reading.form.base = "s";
    return read_value(&reading) && isfinite(value->amount);
}

/* How many times the one amount the other is, at least 1; nothing is far from everything. */
static double
times(double a, double b)
{
    return a <= 0 ? INFINITY : a > b ? a / b : b / a;
}

static double
nearest(double number, const double *factors, size_t count, double usual)
{
    double best = number * factors[0];

    for (size_t f = 1; f < count; f++)
        if (times(number * factors[f], usual) < times(best, usual))
            best = number * factors[f];
    return best;
}

double
quantity_value_amount(const quantity_value *value, const unit_entry *unit, double usual)
{
    if (value->unit != NULL || value->clock == 3)
        return value->amount;
    if (value->clock == 2) {
        const double factors[] = {unit->factor >= 3600 ? 60 : 1, unit->factor >= 3600 ? 1 : 60};

        return nearest(value->amount, factors, usual > 0 ? COUNT(factors) : 1, usual);
    }
    if (strcmp(unit->base, "s") == 0) {
        const double factors[] = {unit->factor, 0.001, 1, 60, 3600, 86400};

        return nearest(value->amount, factors, usual > 0 ? COUNT(factors) : 1, usual);
    } else {
        const double factors[] = {unit->factor, unit->factor / 1000, unit->factor * 1000};

        return nearest(value->amount, factors,
                       usual > 0 && !quantity_unit_is_money(unit) ? COUNT(factors) : 1, usual);
    }
}

double
quantity_value_in(double amount, const unit_entry *unit)
{
    double number = amount / unit->factor, scale = 1, size = fabs(number);

    if (!(size > 0) || !isfinite(size))
        return size == 0 ? 0 : number; /* -0 is written otherwise */
    while (size * scale < 1e8 && scale < 1e15)
        scale *= 10;
    if (size >= 1e9)
        return floor(number + 0.5);
    return floor(number * scale + 0.5) / scale;
}

const unit_entry *
quantity_unit_named(text_view name)
{
    const unit_entry *unit = NULL;

    return read_unit(name, 0, NULL, &unit) == name.length && name.length > 0 ? unit : NULL;
}

static const unit_entry *
shorter(const unit_entry *entries, size_t count, const unit_entry *unit, const unit_entry *best)
{
    for (size_t e = 0; e < count; e++) {
        const char *name = entries[e].name;
        bool plain = true;

        if (strcmp(entries[e].base, unit->base) != 0 || entries[e].factor != unit->factor ||
            (strchr("my", name[0]) != NULL && name[1] == '\0' && strcmp(unit->base, "s") == 0))
            continue;
        for (const char *c = name; *c != '\0'; c++)
            plain = plain && ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '%');
        if (plain && (best == NULL || strlen(name) < strlen(best->name)))
            best = &entries[e];
    }
    return best;
}

const char *
quantity_unit_name(const unit_entry *unit)
{
    const unit_entry *best;

    if (unit->factor == 1)
        return unit->base;
    best = shorter(quantity_units, quantity_unit_count, unit, NULL);
    best = shorter(quantity_more_units, quantity_more_units_count, unit, best);
    best = shorter(quantity_currencies, quantity_currencies_count, unit, best);
    return best == NULL ? unit->name : best->name;
}
