/*
 * test_numeric.c: numbers, dates and places. The day count is checked by walking the calendar, the
 * distances against the C library's trigonometry.
 */
#include "kernel/similarity.h"
#include "unit.h"

static bool
leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Every day from 4713 BC (year -4712) to 2400. */
static void
test_days(void)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    calendar_date date = {-4712, 1, 1};
    int64_t expected = calendar_date_days(date);
    uint32_t wrong = 0;

    for (; date.year < 2400; date.year++)
        for (date.month = 1; date.month <= 12; date.month++)
            for (date.day = 1; date.day <= days[date.month - 1] + (date.month == 2 && leap(date.year));
                 date.day++)
                wrong += calendar_date_days(date) != expected++;
    unit_ok(wrong == 0, "every day from 4713 BC to 2400 follows the one before");
    unit_ok(calendar_date_days((calendar_date){2000, 1, 1}) == 0, "2000-01-01 is day 0");
    unit_ok(calendar_date_days((calendar_date){1970, 1, 1}) == -10957, "1970-01-01 is day -10957");
    unit_ok(calendar_date_days((calendar_date){5874897, 12, 31}) == 2145031948,
            "the last date of PostgreSQL");
}

static void
check_dates(calendar_date a, calendar_date b, double expected, const char *name)
{
    unit_ok(unit_near(date_similarity(a, b), expected, 1e-15) &&
                date_similarity(a, b) == date_similarity(b, a),
            name);
}

static void
test_dates(void)
{
    check_dates((calendar_date){1980, 3, 5}, (calendar_date){1980, 3, 5}, 1, "equal dates");
    check_dates((calendar_date){1980, 3, 5}, (calendar_date){1980, 5, 3}, 0.95, "day and month swapped");
    check_dates((calendar_date){1980, 3, 5}, (calendar_date){1980, 3, 15}, 0.9, "one digit");
    check_dates((calendar_date){1980, 3, 5}, (calendar_date){1990, 3, 5}, 0.9, "one digit of the year");
    check_dates((calendar_date){1980, 3, 12}, (calendar_date){1980, 3, 21}, 0.9,
                "neighbouring digits swapped");
    check_dates((calendar_date){1978, 3, 12}, (calendar_date){1987, 3, 12}, 0.9,
                "digits of the year swapped");
    check_dates((calendar_date){1980, 1, 31}, (calendar_date){1980, 1, 5}, 0.8, "year and month");
    check_dates((calendar_date){1980, 1, 5}, (calendar_date){1980, 12, 5}, 0.8, "year and day");
    check_dates((calendar_date){1989, 5, 20}, (calendar_date){1991, 5, 20}, 0.7, "ten years apart at most");
    check_dates((calendar_date){1980, 1, 31}, (calendar_date){1979, 12, 5}, 0.5 * (1 - 57 / 3650.0),
                "57 days");
    check_dates((calendar_date){1980, 1, 31}, (calendar_date){1880, 12, 5}, 0, "a hundred years");
    check_dates((calendar_date){-10, 1, 1}, (calendar_date){12345, 6, 7}, 0, "years without four digits");
}

static void
test_numbers(void)
{
    unit_ok(numeric_similarity(1, 1, 1) == 1 && numeric_similarity(1, 2, 4) == 0.75 &&
                numeric_similarity(2, 1, 4) == 0.75 && numeric_similarity(1, 9, 4) == 0,
            "numbers");
    unit_ok(numeric_similarity(NAN, NAN, 1) == 1 && numeric_similarity(NAN, 0, 1) == 0 &&
                numeric_similarity(0, NAN, 1) == 0,
            "NaN");
    unit_ok(numeric_similarity(INFINITY, INFINITY, 1) == 1 &&
                numeric_similarity(INFINITY, -INFINITY, 1) == 0 &&
                numeric_similarity(INFINITY, 0, INFINITY) == 0 && numeric_similarity(1e308, -1e308, 1) == 0 &&
                numeric_similarity(0.0, -0.0, 1) == 1,
            "infinity and overflow");
}

static double
naive_km(double latitude_a, double longitude_a, double latitude_b, double longitude_b)
{
    const double radian = 3.14159265358979323846 / 180;
    double p = sin((latitude_a - latitude_b) * radian / 2), l = sin((longitude_a - longitude_b) * radian / 2);
    double h = p * p + cos(latitude_a * radian) * cos(latitude_b * radian) * l * l;

    return 2 * 6371.0088 * asin(sqrt(fmin(1, h)));
}

static double
random_degrees(uint64_t *seed, double range)
{
    return ((double)(unit_random(seed) >> 11) / 9007199254740992.0 * 2 - 1) * range;
}

static void
test_places(void)
{
    uint64_t seed = 7;
    double worst = 0;
    uint32_t wrong = 0;

    for (int i = 0; i < 200000; i++) {
        double a = random_degrees(&seed, 90), b = random_degrees(&seed, 180);
        bool near_by = i % 2;
        double c = near_by ? fmax(-90, fmin(90, a + random_degrees(&seed, 0.01))) : random_degrees(&seed, 90);
        double d = near_by ? b + random_degrees(&seed, 0.01) : random_degrees(&seed, 540);
        double scale = near_by ? 10 : 30000;
        double value = geo_similarity(a, b, c, d, scale);
        double km = naive_km(a, b, c, d);

        /* Close to the antipodes the arc sine itself is that inexact. */
        worst = fmax(worst, fabs(fmax(0, 1 - km / scale) - value) * scale / fmax(km, 1e-3));
        wrong += value != geo_similarity(c, d, a, b, scale) || value < 0 || value > 1;
    }
    unit_ok(worst < 1e-7, "distances agree with the C library's");
    unit_ok(wrong == 0, "distances are symmetric and bounded");
    unit_ok(geo_similarity(52.52, 13.405, 48.8566, 2.3522, 2000) > 0.56 &&
                geo_similarity(52.52, 13.405, 48.8566, 2.3522, 2000) < 0.562,
            "Berlin and Paris are 878 km apart");
    unit_ok(geo_similarity(0, 179.9, 0, -179.9, 100) > 0.77, "the date line is no distance");
    unit_ok(geo_similarity(90, 0, 90, 123, 1) > 0.999999, "a pole has no longitude");
    unit_ok(geo_similarity(NAN, 0, 0, 0, 1) == 0 && geo_similarity(0, INFINITY, 0, 0, 1) == 0 &&
                geo_similarity(91, 0, 91, 0, 1) == 0,
            "what is no place");
}

int
main(void)
{
    test_days();
    test_dates();
    test_numbers();
    test_places();
    return unit_done();
}
