/*
 * quantity_units.c: see quantity_units.h.
 */
#include "kernel/quantity_units.h"

/* Characters that are no Latin-1 have places of their own in the names below. */
#define EURO "\x80"
#define RUPEE "\x81"
#define WON "\x82"
#define ROUBLE "\x83"
#define LIRA "\x84"
#define BAHT "\x85"
#define SHEKEL "\x86"
#define POUND "\xa3"
#define YEN "\xa5"
#define DEGREE "\xb0"
#define SQUARE "\xb2"
#define CUBE "\xb3"

/* Of names that several have, the first is what is meant where nothing says more. */
const unit_entry quantity_more_units[] = {
    {"'", "mm", 304.8},
    {"s", "s", 1},
    {"\"", "s", 1},
    {"sekunden", "s", 1},
    {"sekunde", "s", 1},
    {"secondes", "s", 1},
    {"segundos", "s", 1},
    {"m", "s", 60},
    {"'", "s", 60},
    {"minuten", "s", 60},
    {"minutos", "s", 60},
    {"std", "s", 3600},
    {"stunden", "s", 3600},
    {"stunde", "s", 3600},
    {"heures", "s", 3600},
    {"heure", "s", 3600},
    {"horas", "s", 3600},
    {"hora", "s", 3600},
    {"d", "s", 86400},
    {"days", "s", 86400},
    {"day", "s", 86400},
    {"tage", "s", 86400},
    {"tag", "s", 86400},
    {"jours", "s", 86400},
    {"jour", "s", 86400},
    {"weeks", "s", 604800},
    {"week", "s", 604800},
    {"wks", "s", 604800},
    {"wk", "s", 604800},
    {"wochen", "s", 604800},
    {"woche", "s", 604800},
    {"months", "s", 2629746}, /* a twelfth of a year of the Gregorian calendar */
    {"month", "s", 2629746},
    {"mos", "s", 2629746},
    {"mo", "s", 2629746},
    {"monate", "s", 2629746},
    {"monat", "s", 2629746},
    {"mois", "s", 2629746},
    {"years", "s", 31556952},
    {"year", "s", 31556952},
    {"yrs", "s", 31556952},
    {"yr", "s", 31556952},
    {"y", "s", 31556952},
    {"jahre", "s", 31556952},
    {"jahr", "s", 31556952},
    {"ans", "s", 31556952},
    {"mms", "mm", 1},
    {"cms", "mm", 10},
    {"mtr", "mm", 1000},
    {"mtrs", "mm", 1000},
    {"kms", "mm", 1000000},
    {"miles", "mm", 1609344},
    {"mile", "mm", 1609344},
    {"mi", "mm", 1609344},
    {"tonnes", "g", 1000000},
    {"tonne", "g", 1000000},
    {"t", "g", 1000000},
    {"kgs", "g", 1000},
    {"gms", "g", 1},
    {"gramm", "g", 1},
    {"kilogramm", "g", 1000},
    {"ltrs", "ml", 1000},
    {"litros", "ml", 1000},
    {"litro", "ml", 1000},
    {"hl", "ml", 100000},
    {"m3", "ml", 1000000},
    {"m" CUBE, "ml", 1000000},
    {"mib", "mb", 1.048576},
    {"gib", "mb", 1073.741824},
    {"tib", "mb", 1099511.627776},
    {"m2", "m2", 1},
    {"m" SQUARE, "m2", 1},
    {"qm", "m2", 1},
    {"sqm", "m2", 1},
    {"sq m", "m2", 1},
    {"square meters", "m2", 1},
    {"square metres", "m2", 1},
    {"sqft", "m2", 0.09290304},
    {"sq ft", "m2", 0.09290304},
    {"ft2", "m2", 0.09290304},
    {"ft" SQUARE, "m2", 0.09290304},
    {"square feet", "m2", 0.09290304},
    {"acres", "m2", 4046.8564224},
    {"acre", "m2", 4046.8564224},
    {"hectares", "m2", 10000},
    {"hectare", "m2", 10000},
    {"ha", "m2", 10000},
    {"km2", "m2", 1000000},
    {"km" SQUARE, "m2", 1000000},
    {"sq km", "m2", 1000000},
    {"sq mi", "m2", 2589988.110336},
    {"square miles", "m2", 2589988.110336},
    {"km/h", "kph", 1},
    {"kmh", "kph", 1},
    {"kph", "kph", 1},
    {"m/s", "kph", 3.6},
    {"mph", "kph", 1.609344},
    {"knots", "kph", 1.852},
    {DEGREE "c", "celsius", 1},
    {"celsius", "celsius", 1},
    {DEGREE "f", "fahrenheit", 1},
    {"fahrenheit", "fahrenheit", 1},
    {"deg", "deg", 1},
    {"degrees", "deg", 1},
    {DEGREE, "deg", 1},
    {"kcal", "kcal", 1},
    {"kj", "kcal", 0.2390057361},
    {"kwh", "kwh", 1},
    {"wh", "kwh", 0.001},
    {"bar", "bar", 1},
    {"mbar", "bar", 0.001},
    {"hpa", "bar", 0.001},
    {"psi", "bar", 0.06894757293},
    {"db", "db", 1},
    {"lm", "lm", 1},
    {"lumens", "lm", 1},
    {"lumen", "lm", 1},
    {"ppm", "ppm", 1},
    {"pages", "pp", 1},
    {"page", "pp", 1},
    {"pp", "pp", 1},
    {"p", "pp", 1},
    {"units", "pc", 1},
    {"unit", "pc", 1},
    {"piece", "pc", 1},
    {"pc", "pc", 1},
    {"percent", "%", 1},
    {"per cent", "%", 1},
    {"pct", "%", 1},
    {"% vol", "%", 1},
    {"%vol", "%", 1},
    {"% abv", "%", 1},
    {"% alc", "%", 1},
};

/* They stand before or behind the number. A dollar is that of the column. */
const unit_entry quantity_currencies[] = {
    {"$", "usd", 1},    {"usd", "usd", 1}, {"us$", "usd", 1},   {"dollars", "usd", 1}, {"dollar", "usd", 1},
    {"eur", "eur", 1},  {EURO, "eur", 1},  {"euros", "eur", 1}, {"euro", "eur", 1},    {"gbp", "gbp", 1},
    {POUND, "gbp", 1},  {"chf", "chf", 1}, {"fr", "chf", 1},    {"jpy", "jpy", 1},     {YEN, "jpy", 1},
    {"yen", "jpy", 1},  {"cny", "cny", 1}, {"rmb", "cny", 1},   {YEN, "cny", 1},       {"inr", "inr", 1},
    {"rs", "inr", 1},   {RUPEE, "inr", 1}, {"cad", "cad", 1},   {"ca$", "cad", 1},     {"c$", "cad", 1},
    {"$", "cad", 1},    {"aud", "aud", 1}, {"au$", "aud", 1},   {"a$", "aud", 1},      {"$", "aud", 1},
    {"nzd", "nzd", 1},  {"nz$", "nzd", 1}, {"$", "nzd", 1},     {"hkd", "hkd", 1},     {"hk$", "hkd", 1},
    {"$", "hkd", 1},    {"sgd", "sgd", 1}, {"s$", "sgd", 1},    {"$", "sgd", 1},       {"mxn", "mxn", 1},
    {"$", "mxn", 1},    {"brl", "brl", 1}, {"r$", "brl", 1},    {"sek", "sek", 1},     {"kr", "sek", 1},
    {"nok", "nok", 1},  {"kr", "nok", 1},  {"dkk", "dkk", 1},   {"kr", "dkk", 1},      {"pln", "pln", 1},
    {"zl", "pln", 1},   {"czk", "czk", 1}, {"huf", "huf", 1},   {"ron", "ron", 1},     {"rub", "rub", 1},
    {ROUBLE, "rub", 1}, {"try", "try", 1}, {LIRA, "try", 1},    {"zar", "zar", 1},     {"krw", "krw", 1},
    {WON, "krw", 1},    {"thb", "thb", 1}, {BAHT, "thb", 1},    {"ils", "ils", 1},     {SHEKEL, "ils", 1},
};

/* Words between a number and its unit. */
const unit_entry quantity_multipliers[] = {
    {"thousand", "", 1e3}, {"millionen", "", 1e6}, {"millions", "", 1e6},  {"million", "", 1e6},
    {"mio", "", 1e6},      {"mn", "", 1e6},        {"billions", "", 1e9},  {"billion", "", 1e9},
    {"bn", "", 1e9},       {"mrd", "", 1e9},       {"trillion", "", 1e12},
};

/* Of amounts of money only: elsewhere these letters are units or sizes. */
const unit_entry quantity_money_multipliers[] = {
    {"k", "", 1e3},
    {"mm", "", 1e6},
    {"m", "", 1e6},
    {"b", "", 1e9},
};

#define COUNT(entries) (sizeof(entries) / sizeof(entries)[0])

const size_t quantity_more_units_count = COUNT(quantity_more_units);
const size_t quantity_currencies_count = COUNT(quantity_currencies);
const size_t quantity_multipliers_count = COUNT(quantity_multipliers);
const size_t quantity_money_multipliers_count = COUNT(quantity_money_multipliers);
