/*
 * quantity.c: see quantity.h. Units are those of goods: sizes, weights, volumes, storage, power, time. A unit
 * stands behind its number, with a space or a hyphen between them at most.
 */
#include "kernel/quantity.h"

#include <string.h>

#include "kernel/characters.h"

const unit_entry quantity_units[] = {
    /* length */
    {"millimeters", "mm", 1},
    {"millimetres", "mm", 1},
    {"millimeter", "mm", 1},
    {"millimetre", "mm", 1},
    {"mm", "mm", 1},
    {"centimeters", "mm", 10},
    {"centimetres", "mm", 10},
    {"centimeter", "mm", 10},
    {"centimetre", "mm", 10},
    {"cm", "mm", 10},
    {"kilometers", "mm", 1000000},
    {"kilometres", "mm", 1000000},
    {"km", "mm", 1000000},
    {"meters", "mm", 1000},
    {"metres", "mm", 1000},
    {"meter", "mm", 1000},
    {"metre", "mm", 1000},
    {"m", "mm", 1000},
    {"inches", "mm", 25.4},
    {"inch", "mm", 25.4},
    {"in", "mm", 25.4},
    {"''", "mm", 25.4},
    {"\"", "mm", 25.4},
    {"feet", "mm", 304.8},
    {"foot", "mm", 304.8},
    {"ft", "mm", 304.8},
    {"yards", "mm", 914.4},
    {"yard", "mm", 914.4},
    {"yds", "mm", 914.4},
    {"yd", "mm", 914.4},
    /* weight */
    {"milligrams", "g", 0.001},
    {"milligram", "g", 0.001},
    {"mg", "g", 0.001},
    {"kilograms", "g", 1000},
    {"kilogram", "g", 1000},
    {"kilos", "g", 1000},
    {"kilo", "g", 1000},
    {"kg", "g", 1000},
    {"grams", "g", 1},
    {"gram", "g", 1},
    {"gr", "g", 1},
    {"gm", "g", 1},
    {"g", "g", 1},
    {"pounds", "g", 453.59237},
    {"pound", "g", 453.59237},
    {"lbs", "g", 453.59237},
    {"lb", "g", 453.59237},
    {"ounces", "g", 28.349523125},
    {"ounce", "g", 28.349523125},
    {"oz", "g", 28.349523125},
    /* volume */
    {"fluid ounces", "ml", 29.5735295625},
    {"fluid ounce", "ml", 29.5735295625},
    {"fl oz", "ml", 29.5735295625},
    {"floz", "ml", 29.5735295625},
    {"milliliters", "ml", 1},
    {"millilitres", "ml", 1},
    {"milliliter", "ml", 1},
    {"millilitre", "ml", 1},
    {"ml", "ml", 1},
    {"cc", "ml", 1},
    {"cl", "ml", 10},
    {"dl", "ml", 100},
    {"liters", "ml", 1000},
    {"litres", "ml", 1000},
    {"liter", "ml", 1000},
    {"litre", "ml", 1000},
    {"ltr", "ml", 1000},
    {"lt", "ml", 1000},
    {"l", "ml", 1000},
    {"gallons", "ml", 3785.411784},
    {"gallon", "ml", 3785.411784},
    {"gal", "ml", 3785.411784},
    {"quarts", "ml", 946.352946},
    {"quart", "ml", 946.352946},
    {"qt", "ml", 946.352946},
    {"pints", "ml", 473.176473},
    {"pint", "ml", 473.176473},
    {"cubic feet", "ml", 28316.846592},
    {"cubic foot", "ml", 28316.846592},
    {"cu ft", "ml", 28316.846592},
    /* storage: catalogues count in thousands */
    {"kilobytes", "mb", 0.001},
    {"kb", "mb", 0.001},
    {"megabytes", "mb", 1},
    {"megabyte", "mb", 1},
    {"mb", "mb", 1},
    {"gigabytes", "mb", 1000},
    {"gigabyte", "mb", 1000},
    {"gb", "mb", 1000},
    {"terabytes", "mb", 1000000},
    {"terabyte", "mb", 1000000},
    {"tb", "mb", 1000000},
    {"pb", "mb", 1000000000},
    {"kbps", "kbps", 1},
    {"mbps", "kbps", 1000},
    {"gbps", "kbps", 1000000},
    /* electricity */
    {"kilowatts", "w", 1000},
    {"kilowatt", "w", 1000},
    {"kw", "w", 1000},
    {"watts", "w", 1},
    {"watt", "w", 1},
    {"w", "w", 1},
    {"hp", "w", 745.69987158227},
    {"volts", "v", 1},
    {"volt", "v", 1},
    {"vac", "v", 1},
    {"vdc", "v", 1},
    {"mv", "v", 0.001},
    {"kv", "v", 1000},
    {"v", "v", 1},
    {"mah", "mah", 1},
    {"ah", "mah", 1000},
    {"amps", "a", 1},
    {"amp", "a", 1},
    {"ma", "a", 0.001},
    {"a", "a", 1},
    {"hertz", "hz", 1},
    {"hz", "hz", 1},
    {"khz", "hz", 1000},
    {"mhz", "hz", 1000000},
    {"ghz", "hz", 1000000000},
    /* time */
    {"milliseconds", "s", 0.001},
    {"ms", "s", 0.001},
    {"seconds", "s", 1},
    {"second", "s", 1},
    {"secs", "s", 1},
    {"sec", "s", 1},
    {"minutes", "s", 60},
    {"minute", "s", 60},
    {"mins", "s", 60},
    {"min", "s", 60},
    {"hours", "s", 3600},
    {"hour", "s", 3600},
    {"hrs", "s", 3600},
    {"hr", "s", 3600},
    {"h", "s", 3600},
    /* others */
    {"megapixels", "mp", 1},
    {"megapixel", "mp", 1},
    {"mega pixels", "mp", 1},
    {"mega pixel", "mp", 1},
    {"mp", "mp", 1},
    {"btu", "btu", 1},
    {"rpm", "rpm", 1},
    {"dpi", "dpi", 1},
    {"cfm", "cfm", 1},
    {"fps", "fps", 1},
    {"pieces", "pc", 1},
    {"pcs", "pc", 1},
    {"pack", "pc", 1},
    {"pk", "pc", 1},
    {"count", "pc", 1},
    {"ct", "pc", 1},
    {"x", "x", 1},
    {"%", "%", 1},
};

const size_t quantity_unit_count = sizeof quantity_units / sizeof quantity_units[0];

static inline bool
is_gap(uint32_t c)
{
    return c == ' ' || c == '-' || c == '.' || c == '\t' || c == 0xa0;
}

static inline uint32_t
lower(uint32_t c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c == 0x201d || c == 0x2033 ? '"' : c;
}

/* The place behind a unit's name at a place; 0: it does not stand there. */
static uint32_t
name_end(text_view text, uint32_t place, const char *name)
{
    uint32_t last;

    for (; *name != '\0'; name++) {
        if (*name == ' ') {
            if (!is_gap(character_at(text, place)))
                return 0;
            while (is_gap(character_at(text, place)))
                place++;
        } else if (lower(character_at(text, place)) == (uint32_t)(unsigned char)*name)
            place++;
        else
            return 0;
    }
    last = lower(character_at(text, place - 1));
    if ((is_letter(last) && is_letter(character_at(text, place))) || is_digit(character_at(text, place)))
        return 0;
    return place;
}

/* The unit at a place; the place behind it, or 0. */
static uint32_t
read_unit(text_view text, uint32_t place, const unit_entry **unit)
{
    for (size_t u = 0; u < quantity_unit_count; u++) {
        uint32_t end = name_end(text, place, quantity_units[u].name);

        if (end != 0) {
            *unit = &quantity_units[u];
            return end;
        }
    }
    return 0;
}

#define MOST_DIGITS 15 /* of a number: a double has them all */

/* Digits as a number; moves *place. False: too many of them. */
static bool
read_digits(text_view text, uint32_t *place, uint32_t *used, double *number)
{
    while (is_digit(character_at(text, *place))) {
        *number = *number * 10 + (character_at(text, (*place)++) - '0');
        if (++*used > MOST_DIGITS)
            return false;
    }
    return true;
}

/* "1,150", "1.5", "1,5", "3 1/2", "1/2"; moves *place behind it. False: not what can be read. */
static bool
read_amount(text_view text, uint32_t *place, double *amount)
{
    uint32_t used = 0, i = *place;
    double divisor = 1, fraction = 0, whole;

    *amount = 0;
    if (!read_digits(text, &i, &used, amount))
        return false;
    while (character_at(text, i) == ',' && is_digit(character_at(text, i + 1)) &&
           is_digit(character_at(text, i + 2)) && is_digit(character_at(text, i + 3)) &&
           !is_digit(character_at(text, i + 4))) {
        i++;
        if (!read_digits(text, &i, &used, amount))
            return false;
    }
    if ((character_at(text, i) == '.' || character_at(text, i) == ',') &&
        is_digit(character_at(text, i + 1))) {
        uint32_t first = ++i;

        if (!read_digits(text, &i, &used, &fraction))
            return false;
        for (uint32_t d = first; d < i; d++)
            divisor *= 10;
        *amount += fraction / divisor;
    } else if (character_at(text, i) == '/' && is_digit(character_at(text, i + 1))) {
        whole = *amount;
        i++;
        divisor = 0;
        if (!read_digits(text, &i, &used, &divisor) || divisor == 0)
            return false;
        *amount = whole / divisor;
    } else if ((character_at(text, i) == ' ' || character_at(text, i) == '-') &&
               is_digit(character_at(text, i + 1)) && character_at(text, i + 2) == '/' &&
               is_digit(character_at(text, i + 3)) && !is_digit(character_at(text, i + 4)) &&
               character_at(text, i + 3) != '0') {
        *amount += (double)(character_at(text, i + 1) - '0') / (character_at(text, i + 3) - '0');
        i += 4;
    }
    *place = i;
    return true;
}

bool
quantity_next(text_view text, uint32_t *place, quantity *found)
{
    for (uint32_t i = *place; i < text.length;) {
        const unit_entry *unit = NULL;
        uint32_t first = i, end;
        double amount;

        if (!is_digit(character_at(text, i)) ||
            (i > 0 && (is_letter(character_at(text, i - 1)) || is_digit(character_at(text, i - 1)) ||
                       ((character_at(text, i - 1) == '.' || character_at(text, i - 1) == ',' ||
                         character_at(text, i - 1) == '/') &&
                        i > 1 && is_digit(character_at(text, i - 2)))))) {
            i++;
            continue;
        }
        if (!read_amount(text, &i, &amount)) {
            while (is_digit(character_at(text, i)))
                i++;
            continue;
        }
        end = read_unit(text, i, &unit);
        /* Something between them is a unit behind a space or a hyphen, not behind a point. */
        if (end == 0 &&
            (character_at(text, i) == ' ' || character_at(text, i) == '-' || character_at(text, i) == 0xa0)) {
            end = read_unit(text, i + 1, &unit);
            /* A letter by itself is more often something else: "2 x 4", "type 1 a". */
            if (end != 0 && end == i + 2 && strchr("axvhm", (int)lower(character_at(text, i + 1))) != NULL)
                end = 0;
        }
        if (end == 0 || amount <= 0)
            continue;
        *found = (quantity){amount * unit->factor, unit->base, first, end};
        *place = end;
        return true;
    }
    *place = text.length;
    return false;
}

uint32_t
quantity_write(const quantity *quantity, char target[QUANTITY_LENGTH])
{
    double scaled = quantity->amount;
    int exponent = 0;
    uint32_t digits, used = 0;
    char text[4];

    while (scaled >= 999.5) {
        scaled /= 10;
        exponent++;
    }
    while (scaled < 99.95 && exponent > -12) {
        scaled *= 10;
        exponent--;
    }
    digits = (uint32_t)(scaled + 0.5);
    while (digits != 0 && digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    for (int i = 2; i >= 0; i--, digits /= 10)
        text[i] = (char)('0' + digits % 10);
    text[3] = '\0';
    while (used < 2 && text[used] == '0')
        used++;
    /* text + used: the digits; exponent: of the last of them. */
    {
        const char *number = text + used;
        int count = (int)strlen(number), point = count + exponent; /* digits before the point */
        uint32_t at_end = 0;

        if (point <= 0) {
            target[at_end++] = '0';
            target[at_end++] = '.';
            for (int i = point; i < 0; i++)
                target[at_end++] = '0';
        }
        for (int i = 0; i < count; i++) {
            if (i > 0 && i == point)
                target[at_end++] = '.';
            target[at_end++] = number[i];
        }
        for (int i = count; i < point && at_end < QUANTITY_LENGTH - 8; i++)
            target[at_end++] = '0';
        target[at_end++] = ' ';
        for (const char *c = quantity->unit; *c != '\0'; c++)
            target[at_end++] = *c;
        return at_end;
    }
}

/* ---- model numbers ---- */

static inline bool
in_model_number(uint32_t c)
{
    return is_digit(c) || is_letter(c) || c == '-' || c == '/' || c == '.' || c == '_' || c == '#' ||
           c == '+';
}

#define SHORTEST_MODEL_NUMBER 4

static bool
is_model_number(const uint32_t *characters, uint32_t length)
{
    bool letter = false, digit = false;

    for (uint32_t i = 0; i < length; i++) {
        letter |= is_letter(characters[i]);
        digit |= is_digit(characters[i]);
    }
    return letter && digit && length >= SHORTEST_MODEL_NUMBER;
}

/* Whether the characters of a word are quantities and what parts them. */
static bool
is_all_quantity(text_view text, uint32_t first, uint32_t end)
{
    text_view word = {(const char *)text.chars + (size_t)first * text.width, end - first, text.width};
    uint32_t place = 0, covered = 0;
    quantity found;

    while (quantity_next(word, &place, &found)) {
        for (; covered < found.first; covered++)
            if (is_letter(character_at(word, covered)) || is_digit(character_at(word, covered)))
                return false;
        covered = found.end;
    }
    for (; covered < word.length; covered++)
        if (is_letter(character_at(word, covered)) || is_digit(character_at(word, covered)))
            return false;
    return true;
}

/* "24-port", "5-disc": a number that counts what follows. */
static bool
is_count(text_view text, uint32_t first, uint32_t end)
{
    uint32_t i = first;

    while (i < end && is_digit(character_at(text, i)))
        i++;
    if (i == first || i > first + 3 || character_at(text, i) != '-')
        return false;
    for (i++; i < end; i++)
        if (is_digit(character_at(text, i)))
            return false;
    return true;
}

bool
model_number_next(text_view text, uint32_t *place, uint32_t *characters, uint32_t *length,
                  uint32_t *before_stroke)
{
    for (uint32_t i = *place; i < text.length;) {
        uint32_t first, stroke = 0;

        while (i < text.length && !in_model_number(character_at(text, i)))
            i++;
        first = i;
        *length = 0;
        while (i < text.length && in_model_number(character_at(text, i))) {
            uint32_t c = character_at(text, i++);

            if (c == '/' && stroke == 0)
                stroke = *length;
            if (!is_digit(c) && !is_letter(c))
                continue;
            if (*length < MODEL_NUMBER_LENGTH)
                characters[*length] = c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c;
            ++*length;
        }
        if (*length > MODEL_NUMBER_LENGTH || !is_model_number(characters, *length) ||
            is_all_quantity(text, first, i) || is_count(text, first, i))
            continue;
        *before_stroke = stroke < *length && is_model_number(characters, stroke) ? stroke : 0;
        *place = i;
        return true;
    }
    *place = text.length;
    return false;
}
