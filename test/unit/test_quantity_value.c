/*
 * test_quantity_value.c: values that are quantities, and values that are none.
 */
#include "kernel/quantity_value.h"
#include "unit.h"

static text_view
view(const char *text)
{
    return (text_view){text, (uint32_t)strlen(text), 1};
}

typedef struct value_case {
    const char *text;
    double amount;    /* in base units */
    const char *unit; /* its short name; "": none */
} value_case;

static void
check(const value_case *cases, size_t count, const char *base, bool decimal_comma)
{
    for (size_t i = 0; i < count; i++) {
        quantity_value value;
        char name[200];
        bool read = quantity_value_read(view(cases[i].text), &(quantity_form){base, decimal_comma}, &value);

        snprintf(name, sizeof name, "\"%s\" is %g %s", cases[i].text, cases[i].amount, cases[i].unit);
        unit_ok(read && unit_near(value.amount, cases[i].amount, 1e-9 * (1 + fabs(cases[i].amount))) &&
                    strcmp(value.unit == NULL ? "" : quantity_unit_name(value.unit), cases[i].unit) == 0,
                name);
    }
}

static void
test_values(void)
{
    static const value_case any[] = {
        {"112 min", 6720, "min"},
        {"1 hr. 52 min.", 6720, "min"},
        {"1 h 52", 6720, "h"},
        {"1h52m", 6720, "min"},
        {"1 hour and 52 minutes", 6720, "min"},
        {"3m 48sec", 228, "s"},
        {"4m-37sec", 277, "s"},
        {"2h30", 9000, "h"},
        {"PT1H52M", 6720, "min"},
        {"P1DT2H3.5S", 93603.5, "min"},
        {"1:52 h", 6720, "h"},
        {"3:44 min", 224, "min"},
        {"3:44", 224, ""},
        {"02 :41", 161, ""},
        {"1:03:44", 3824, ""},
        {"10.4 %", 10.4, "%"},
        {"10,4%", 10.4, "%"},
        {"4.5% vol.", 4.5, "%"},
        {"13 MP", 13, "mp"},
        {"13 megapixels", 13, "mp"},
        {"$ 12.99", 12.99, "usd"},
        {"$12.99 USD", 12.99, "usd"},
        {"1,299.00 USD", 1299, "usd"},
        {"1.299,00 EUR", 1299, "eur"},
        {"\xa3"
         "12",
         12, "gbp"},
        {"CHF 12.-", 12, "chf"},
        {"$1.5M", 1500000, "usd"},
        {"$-5", -5, "usd"},
        {"-$5", -5, "usd"},
        {"1.2 million km", 1.2e12, "km"},
        {"0.5 l", 500, "l"},
        {"500 ml", 500, "ml"},
        {"5' 10\"", 1778, "in"},
        {"5'10", 1778, "ft"},
        {"6 ft 0 in", 1828.8, "in"},
        {"1.83 m (6 ft 0 in)", 1830, "m"},
        {"3 1/2 in", 88.9, "in"},
        {"1/2 inch", 12.7, "in"},
        {"3\xbd in", 88.9, "in"},
        {"12-inch", 304.8, "in"},
        {"85 m\xb2", 85, "m2"},
        {"1 200 sq ft", 111.483648, "ft2"},
        {"-4 \xb0"
         "C",
         -4, "celsius"},
        {"100 km/h", 100, "kph"},
        {"~ 5 kg", 5000, "kg"},
        {"ca. 5 kg", 5000, "kg"},
        {"about 1 h 5 min", 3900, "min"},
        {"15,000 Kms", 15e9, "km"},
        {"Rs. 45,000/-", 45000, "inr"},
        {"Approx. $5", 5, "usd"},
        {".5 kg", 500, "kg"},
        {"1'299.50 CHF", 1299.5, "chf"},
        {"320 pages", 320, "pp"},
        {"  7 kg  ", 7000, "kg"},
        {"123456789012345 km", 123456789012345e6, "km"},
        {"4.50000000000000000000 kg", 4500, "kg"},
        {"0.12345678901234567890 kg", 123.45678901234567, "kg"},
        {"123456789.0123456789 kg", 123456789012.345679, "kg"},
        {"112", 112, ""},
        {"-1,5", -1.5, ""},
        {"1,299", 1299, ""},
        {"1.299", 1.299, ""},
        {"1 234 567", 1234567, ""},
        {"0,125", 0.125, ""},
    };
    static const value_case comma[] = {
        {"1,299", 1.299, ""}, {"1.299", 1299, ""}, {"1.299,5 kg", 1299500, "kg"}, {"12,5 kg", 12500, "kg"}};
    static const value_case times[] = {
        {"112m", 6720, "min"}, {"3'44\"", 224, "s"}, {"2 m", 120, "min"}, {"3:44", 224, ""}, {"5", 5, ""}};
    static const value_case dollars[] = {{"$5", 5, "cad"}, {"5 CAD", 5, "cad"}, {"7", 7, ""}};

    check(any, sizeof any / sizeof any[0], NULL, false);
    check(comma, sizeof comma / sizeof comma[0], NULL, true);
    check(times, sizeof times / sizeof times[0], "s", false);
    check(dollars, sizeof dollars / sizeof dollars[0], "cad", false);
}

static void
test_others(void)
{
    static const char *const none[] = {
        "",
        "-",
        "unk.",
        "m sec",
        "2 Main St",
        "12 Angry Men",
        "24 Hour Fitness",
        "DSC-W120",
        "JGS524F",
        "2013-05-01",
        "1.2.2013",
        "555-1234",
        "10-12 mm",
        "6 x 330 ml",
        "20 x 30 cm",
        "1:75",
        "1:2:3:4",
        "192.168.1.1",
        "1,23,45 kg",
        "5 kg 3 ml",
        "5 kg 3",
        "3 min 1 h",
        "1234567890123456 g",
        "5 kg and more",
        "$",
        "$ 5 EUR",
        "12abc",
        "3:44 kg",
        "1e5 g",
        "0 1:19",
        "21 8666",
        "kg",
        "P",
        "PT",
        "PT5X",
        "1/0 kg",
    };
    quantity_value value;

    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        char name[100];

        snprintf(name, sizeof name, "\"%s\" is none", none[i]);
        unit_ok(!quantity_value_read(view(none[i]), &(quantity_form){NULL, false}, &value), name);
    }
    unit_ok(!quantity_value_read(view("5 kg"), &(quantity_form){"s", false}, &value), "a weight is no time");
    unit_ok(!quantity_value_read(view("5 EUR"), &(quantity_form){"usd", false}, &value),
            "euros are no dollars");
}

static double
amount_of(const char *text, const char *unit, double usual)
{
    const unit_entry *entry = quantity_unit_named(view(unit));
    quantity_value value;

    if (entry == NULL || !quantity_value_read(view(text), &(quantity_form){entry->base, false}, &value))
        return NAN;
    return quantity_value_in(quantity_value_amount(&value, entry, usual), entry);
}

static void
test_columns(void)
{
    quantity_value value;

    unit_ok(amount_of("112", "min", 0) == 112 && amount_of("1 h 52 min", "min", 0) == 112,
            "a plain number has the column's unit");
    unit_ok(amount_of("1:52", "min", 0) == amount_of("112 s", "min", 0) &&
                amount_of("1:52", "h", 0) == amount_of("112 min", "h", 0),
            "two clock parts are minutes and seconds, of hours hours and minutes");
    unit_ok(amount_of("1:52", "min", 6000) == 112 &&
                amount_of("1:52", "h", 100) == amount_of("112 s", "h", 0),
            "or what is nearest to the usual");
    unit_ok(amount_of("213960", "s", 220) == 213.96 && amount_of("3.566", "s", 220) == 213.96 &&
                amount_of("214", "s", 220) == 214,
            "plain times are what is nearest to the usual");
    unit_ok(amount_of("0.5", "ml", 330) == 500 && amount_of("500", "ml", 330) == 500, "volumes, too");
    unit_ok(amount_of("12000", "usd", 12) == 12000, "but no amounts of money");
    unit_ok(amount_of("0", "s", 220) == 0 && amount_of("-3", "s", 220) == -3, "nothing, and less, stay");
    unit_ok(amount_of("-0 kg", "kg", 0) == 0 && !signbit(amount_of("-0 kg", "kg", 0)),
            "less than nothing by nothing is nothing: it is written like it");
    unit_ok(amount_of("1 ft", "in", 0) == 12 && amount_of("5 ft 10 in", "in", 0) == 70, "nine digits count");
    unit_ok(quantity_unit_named(view("parsec")) == NULL && quantity_unit_named(view("")) == NULL,
            "a unit that is none");
    unit_ok(strcmp(quantity_unit_name(quantity_unit_named(view("Minutes"))), "min") == 0 &&
                strcmp(quantity_unit_name(quantity_unit_named(view("\""))), "in") == 0 &&
                strcmp(quantity_unit_name(quantity_unit_named(view("\xb0"
                                                                   "C"))),
                       "celsius") == 0,
            "short names are plain letters");
    unit_ok(quantity_value_read(view("1,5"), &(quantity_form){NULL, false}, &value) && value.mark == ',' &&
                quantity_value_read(view("1.299,00"), &(quantity_form){NULL, false}, &value) &&
                value.mark == ',' &&
                quantity_value_read(view("1,299.00"), &(quantity_form){NULL, false}, &value) &&
                value.mark == '.' &&
                quantity_value_read(view("1,299"), &(quantity_form){NULL, false}, &value) && value.mark == 0,
            "decimal marks where nothing else can be meant");
    unit_ok(
        quantity_value_read(view("5 m"), &(quantity_form){NULL, false}, &value) && value.short_unit &&
            quantity_value_read(view("5 mm"), &(quantity_form){NULL, false}, &value) && !value.short_unit &&
            quantity_value_read(view("1h 5m"), &(quantity_form){NULL, false}, &value) && !value.short_unit,
        "a unit of one letter");
}

/* Wide characters, and every prefix of what is long: no reading beyond the end. */
static void
test_bounds(void)
{
    static const uint32_t euros[] = {0x20ac, 0x202f, '1', 0x202f, '2', '9', '9', ',', '5'};
    static const uint32_t minus[] = {0x2212, '5', 0x00a0, 'k', 'g'};
    static const char long_one[] = "~ 1'299,50 hours and 52 minutes (about 1/2 of 3:44:01.5 or $1.5M)";
    quantity_value value;
    bool safe = true;

    unit_ok(quantity_value_read((text_view){euros, 9, 4}, &(quantity_form){NULL, false}, &value) &&
                value.amount == 1299.5 && strcmp(value.unit->base, "eur") == 0,
            "a sign that is no Latin-1, narrow blanks");
    unit_ok(quantity_value_read((text_view){minus, 5, 4}, &(quantity_form){NULL, false}, &value) &&
                value.amount == -5000,
            "a minus of its own");
    for (uint32_t length = 0; length < sizeof long_one; length++) {
        char *part = malloc(length + 1);

        memcpy(part, long_one, length);
        (void)quantity_value_read((text_view){part, length, 1}, &(quantity_form){NULL, false}, &value);
        free(part);
    }
    for (uint64_t round = 0; round < 200000; round++) {
        static const char alphabet[] = "0123456789.,:' -/%$mhskgPT()\"b";
        uint64_t state = round;
        uint32_t length = (uint32_t)(unit_random(&state) % 12);
        char *text = malloc(length + 1);

        for (uint32_t i = 0; i < length; i++)
            text[i] = alphabet[unit_random(&state) % (sizeof alphabet - 1)];
        if (quantity_value_read((text_view){text, length, 1}, &(quantity_form){NULL, round % 2 == 0}, &value))
            safe &= isfinite(value.amount) &&
                    isfinite(quantity_value_amount(&value, quantity_unit_named(view("min")), 60));
        free(text);
    }
    unit_ok(safe, "random texts give finite amounts");
}

int
main(void)
{
    test_values();
    test_others();
    test_columns();
    test_bounds();
    return unit_done();
}
