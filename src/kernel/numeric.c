/*
 * numeric.c: how alike two numbers, dates or places are.
 *
 * The trigonometry is our own: a C library picks among implementations by processor, and their last bits
 * differ. With sums, products, divisions and square roots alone, which IEEE 754 fixes, the results are the
 * same everywhere.
 */
#include <math.h>

#include "kernel/similarity.h"

#define PI 3.14159265358979323846
#define EARTH_RADIUS_KM 6371.0088 /* mean radius, IUGG */
#define DATE_DECAY_DAYS 3650.0
#define DATE_DIGITS 8

double
numeric_similarity(double a, double b, double scale)
{
    double value;

    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b) ? 1.0 : 0.0;
    if (a == b)
        return 1.0;
    if (scale == RELATIVE_SCALE)
        return (a > 0) == (b > 0) ? fmin(fabs(a), fabs(b)) / fmax(fabs(a), fabs(b)) : 0.0;
    value = 1.0 - fabs(a - b) / scale;
    return value > 0.0 ? value : 0.0;
}

int64_t
calendar_date_days(calendar_date date)
{
    /* Counted in years that begin in March, so that a leap day is the last of its year. */
    int64_t year = (int64_t)date.year - (date.month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t month = (date.month + 9) % 12;
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 730425;
}

/* YYYYMMDD, first digit first. False for a year that has not four digits. */
static bool
date_digits(calendar_date date, uint8_t digits[DATE_DIGITS])
{
    uint32_t number;

    if (date.year < 0 || date.year > 9999)
        return false;
    number = (uint32_t)date.year * 10000 + (uint32_t)date.month * 100 + date.day;
    for (int i = DATE_DIGITS - 1; i >= 0; i--) {
        digits[i] = (uint8_t)(number % 10);
        number /= 10;
    }
    return true;
}

/* Whether one typing error separates two dates: a digit, or two neighbours swapped. */
static bool
one_slip_apart(calendar_date a, calendar_date b)
{
    uint8_t x[DATE_DIGITS], y[DATE_DIGITS];
    int differ = 0, first = 0;

    if (!date_digits(a, x) || !date_digits(b, y))
        return false;
    for (int i = DATE_DIGITS - 1; i >= 0; i--) {
        if (x[i] != y[i]) {
            differ++;
            first = i;
        }
    }
    if (differ == 1)
        return true;
    return differ == 2 && x[first] == y[first + 1] && x[first + 1] == y[first];
}

/* Of dates of which a part is not known: what both have is compared. */
static double
partial_similarity(calendar_date a, calendar_date b)
{
    bool month = a.month != 0 && b.month != 0, day = month && a.day != 0 && b.day != 0;
    double days, value;

    if (a.year == b.year && (!month || a.month == b.month) && (!day || a.day == b.day))
        return month ? 0.8 : 0.7;
    a.month = month ? a.month : 1;
    b.month = month ? b.month : 1;
    a.day = day ? a.day : 1;
    b.day = day ? b.day : 1;
    days = fabs((double)(calendar_date_days(a) - calendar_date_days(b)));
    value = 0.5 * (1.0 - days / DATE_DECAY_DAYS);
    return value > 0.0 ? value : 0.0;
}

double
date_similarity(calendar_date a, calendar_date b)
{
    int64_t years = (int64_t)a.year - b.year;
    double days, value;

    if (years == 0 && a.month == b.month && a.day == b.day)
        return 1.0;
    if (a.month == 0 || a.day == 0 || b.month == 0 || b.day == 0)
        return partial_similarity(a, b);
    if (years == 0 && a.month == b.day && a.day == b.month)
        return 0.95;
    if (one_slip_apart(a, b))
        return 0.9;
    if (years == 0 && (a.month == b.month || a.day == b.day))
        return 0.8;
    if (a.month == b.month && a.day == b.day && years >= -10 && years <= 10)
        return 0.7;
    days = fabs((double)(calendar_date_days(a) - calendar_date_days(b)));
    value = 0.5 * (1.0 - days / DATE_DECAY_DAYS);
    return value > 0.0 ? value : 0.0;
}

/* Sine of an angle in [-pi/2, pi/2]: Taylor's series to x^21, which is exact to the last digits there. */
static double
sine(double x)
{
    double square = x * x;
    double sum = 0.0;

    for (int k = 20; k >= 2; k -= 2)
        sum = (1.0 - sum) * square / (double)(k * (k + 1));
    return x * (1.0 - sum);
}

/* Arc sine of a number in [0, 1]: its series up to one half, and half the angle above. */
static double
arc_sine(double x)
{
    bool halved = x > 0.5;
    double square, term, sum;

    if (halved)
        x = sqrt((1.0 - x) / 2.0);
    square = x * x;
    term = x;
    sum = x;
    for (int k = 1; k <= 25; k++) {
        term = term * square * (double)(2 * k - 1) / (double)(2 * k);
        sum += term / (double)(2 * k + 1);
    }
    return halved ? PI / 2.0 - 2.0 * sum : sum;
}

/* Half of the difference of two angles in degrees, as the sine's argument: in [-pi/2, pi/2]. */
static double
half_turn(double degrees)
{
    degrees -= 360.0 * floor(degrees / 360.0 + 0.5);
    return degrees * (PI / 360.0);
}

double
geo_similarity(double latitude_a, double longitude_a, double latitude_b, double longitude_b, double scale_km)
{
    double south_north, east_west, chord, value;

    /* Written so that a NaN among the coordinates fails it. */
    if (!(fabs(latitude_a) <= 90.0 && fabs(latitude_b) <= 90.0 && isfinite(longitude_a) &&
          isfinite(longitude_b)))
        return 0.0;
    south_north = sine(half_turn(latitude_a - latitude_b));
    east_west = sine(half_turn(longitude_a - longitude_b));

    /* cos(latitude) = sin(90 - |latitude|). */
    chord = south_north * south_north + sine((90.0 - fabs(latitude_a)) * (PI / 180.0)) *
                                            sine((90.0 - fabs(latitude_b)) * (PI / 180.0)) * east_west *
                                            east_west;
    chord = chord < 1.0 ? chord : 1.0;
    value = 1.0 - 2.0 * EARTH_RADIUS_KM * arc_sine(sqrt(chord)) / scale_km;
    return value > 0.0 ? value : 0.0;
}
