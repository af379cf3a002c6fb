/*
 * fuzz_values.c: what single values are made of and compared by: short texts folded at once, dates and
 * numbers, digests and the hash of a multiset.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "kernel/multiset_hash.h"
#include "kernel/sha256.h"
#include "kernel/short_text.h"
#include "kernel/similarity.h"

/* ---- short texts ---- */

static bool
naive_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What a text is, character by character, and in folded what it becomes. */
static short_text_kind
naive_short(const unsigned char *text, uint32_t length, bool spaces, unsigned char *folded)
{
    short_text_kind kind = SHORT_TEXT_FOLDED;

    for (uint32_t i = 0; i < length; i++)
        if (text[i] >= 128)
            return SHORT_TEXT_OTHER;
    for (uint32_t i = 0; i < length; i++) {
        folded[i] = text[i] >= 'A' && text[i] <= 'Z' ? (unsigned char)(text[i] + 32) : text[i];
        if (naive_word(text[i]))
            continue;
        folded[i] = ' ';
        if (!spaces || i == 0 || i + 1 == length || !naive_word(text[i - 1]) || text[i] == '\'' ||
            text[i] == '`')
            kind = SHORT_TEXT_ASCII;
    }
    return kind;
}

/* Texts of every length from each place of a on, with what follows behind them, which stays as it is. */
void
fuzz_short(void)
{
    for (uint32_t from = 0; from < a.length && from < 40; from += 5)
        for (uint32_t length = 0; length <= SHORT_TEXT && from + length <= a.length; length++) {
            unsigned char before[SHORT_TEXT_ROOM] = {0}, folded[SHORT_TEXT_ROOM],
                          *text = malloc(SHORT_TEXT_ROOM);
            bool spaces = b.length % 2 == 0;
            short_text_kind wanted, kind;

            if (text == NULL)
                abort();
            for (uint32_t i = 0; i < SHORT_TEXT_ROOM && from + i < a.length; i++)
                before[i] = (unsigned char)a.points[from + i];
            memcpy(text, before, SHORT_TEXT_ROOM);
            memcpy(folded, before, SHORT_TEXT_ROOM);
            wanted = naive_short(before, length, spaces, folded);
            kind = short_text_fold((char *)text, length, spaces);
#ifndef __SSE2__
            if (wanted == SHORT_TEXT_FOLDED)
                wanted = SHORT_TEXT_ASCII;
#endif
            if (kind != wanted)
                complain("kind of a short text", wanted, kind);
            if (memcmp(text, kind == SHORT_TEXT_FOLDED ? folded : before, SHORT_TEXT_ROOM) != 0)
                complain("short text", from, length);
            free(text);
        }
}

/* ---- dates and numbers ---- */

static int
naive_month_days(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Month by month from 2000 on, or back to it. */
static int64_t
naive_days(int year, int month, int day)
{
    int64_t days = day - 1;

    for (int y = 2000; y < year; y++)
        for (int m = 1; m <= 12; m++)
            days += naive_month_days(y, m);
    for (int y = year; y < 2000; y++)
        for (int m = 1; m <= 12; m++)
            days -= naive_month_days(y, m);
    for (int m = 1; m < month; m++)
        days += naive_month_days(year, m);
    return days;
}

/* A date of what stands from place i on; now and then a month or a day is not known. */
static calendar_date
date_at(const fuzz_text *text, uint32_t i)
{
    int year = 1850 + (int)(text->points[i] * 7 % 300), month = (int)(text->points[i + 1] % 13), day = 0;

    if (month != 0)
        day = (int)(text->points[i + 2] % (uint32_t)(naive_month_days(year, month) + 1));
    return (calendar_date){year, (uint8_t)month, (uint8_t)day};
}

/* One digit differs, or two neighbours are swapped. */
static bool
naive_slip(calendar_date x, calendar_date y)
{
    char of_x[16], of_y[16];

    snprintf(of_x, sizeof of_x, "%04d%02d%02d", (int)x.year, x.month, x.day);
    snprintf(of_y, sizeof of_y, "%04d%02d%02d", (int)y.year, y.month, y.day);
    for (int i = 0; i < 8; i++) {
        char was = of_x[i], next = of_x[i + 1];

        of_x[i] = of_y[i];
        if (memcmp(of_x, of_y, 8) == 0)
            return true;
        of_x[i] = was;
        if (i == 7)
            break;
        of_x[i] = next;
        of_x[i + 1] = was;
        if (memcmp(of_x, of_y, 8) == 0)
            return true;
        of_x[i] = was;
        of_x[i + 1] = next;
    }
    return false;
}

static double
naive_date(calendar_date x, calendar_date y)
{
    bool years = x.year == y.year, months = x.month == y.month, days = x.day == y.day;
    bool both_months = x.month != 0 && y.month != 0, both_days = both_months && x.day != 0 && y.day != 0;
    double apart;

    if (years && months && days)
        return 1.0;
    if (!both_days) {
        if (years && (!both_months || months))
            return both_months ? 0.8 : 0.7;
        apart = fabs((double)(naive_days(x.year, both_months ? x.month : 1, 1) -
                              naive_days(y.year, both_months ? y.month : 1, 1)));
        return fmax(0.0, 0.5 * (1.0 - apart / 3650.0));
    }
    if (years && x.month == y.day && x.day == y.month)
        return 0.95;
    if (naive_slip(x, y))
        return 0.9;
    if (years && (months || days))
        return 0.8;
    if (months && days && abs(x.year - y.year) <= 10)
        return 0.7;
    apart = fabs((double)(naive_days(x.year, x.month, x.day) - naive_days(y.year, y.month, y.day)));
    return fmax(0.0, 0.5 * (1.0 - apart / 3650.0));
}

void
fuzz_dates(void)
{
    for (uint32_t i = 0; i + 3 <= a.length && i + 3 <= b.length && i < 60; i += 3) {
        calendar_date x = date_at(&a, i), y = date_at(&b, i);
        double number_x = (double)a.points[i] - 100, number_y = (double)b.points[i] - 100,
               scale = 1 + b.points[i + 1];

        expect("date", naive_date(x, y), date_similarity(x, y));
        if (date_similarity(x, y) != date_similarity(y, x))
            complain("date the other way round", date_similarity(x, y), date_similarity(y, x));
        if (x.month != 0 && x.day != 0)
            expect("days", (double)naive_days(x.year, x.month, x.day), (double)calendar_date_days(x));
        expect("number", fmax(0.0, 1.0 - fabs(number_x - number_y) / scale),
               numeric_similarity(number_x, number_y, scale));
        if (number_x > 0 && number_y > 0)
            expect("share", number_x < number_y ? number_x / number_y : number_y / number_x,
                   numeric_similarity(number_x, number_y, RELATIVE_SCALE));
    }
}

/* ---- digests ---- */

static void
digest_of(const fuzz_text *text, uint32_t from, uint32_t length, uint32_t piece, uint8_t digest[SHA256_BYTES])
{
    sha256_state state;

    sha256_start(&state);
    for (uint32_t i = 0; i < length; i += piece)
        sha256_add(&state, text->points + from + i,
                   (length - i < piece ? length - i : piece) * sizeof(uint32_t));
    sha256_finish(&state, digest);
}

#define MOST_ROWS 12

/* A digest is the same by whatever pieces, with and without instructions; a multiset by whatever order. */
void
fuzz_digests(void)
{
    static multiset_hash there, back, other;
    uint8_t digests[MOST_ROWS][SHA256_BYTES], again[SHA256_BYTES], bytes[MULTISET_HASH_BYTES];
    uint32_t rows = a.length < MOST_ROWS ? a.length : MOST_ROWS, lent = b.length < 3 ? b.length : 3;
    bool instructions;

    memset(&there, 0, sizeof there);
    memset(&back, 0, sizeof back);
    memset(&other, 0, sizeof other);
    instructions = sha256_use_instructions(true);
    for (uint32_t r = 0; r < rows; r++) {
        digest_of(&a, r, a.length - r, a.length, digests[r]);
        (void)sha256_use_instructions(false);
        digest_of(&a, r, a.length - r, 1 + b.length % 40, again);
        (void)sha256_use_instructions(instructions);
        if (memcmp(digests[r], again, SHA256_BYTES) != 0)
            complain("digest in pieces", r, a.length);
        multiset_hash_add(&there, digests[r]);
    }
    for (uint32_t r = 0; r < lent; r++) {
        digest_of(&b, r, b.length - r, 7, again);
        multiset_hash_add(&back, again);
        multiset_hash_add(&other, again);
    }
    for (uint32_t r = rows; r-- > 0;)
        multiset_hash_add(&back, digests[r]);
    if (lent > 0 && memcmp(&there, &back, sizeof there) == 0)
        complain("multiset of more rows", lent, 0);
    multiset_hash_remove_all(&back, &other);
    if (memcmp(&there, &back, sizeof there) != 0)
        complain("multiset in another order", rows, lent);
    multiset_hash_write(&there, bytes);
    multiset_hash_read(&back, bytes);
    if (memcmp(&there, &back, sizeof there) != 0)
        complain("multiset written and read", rows, lent);
    for (uint32_t r = 0; r < rows; r++)
        multiset_hash_remove(&there, digests[r]);
    memset(&other, 0, sizeof other);
    if (memcmp(&there, &other, sizeof there) != 0)
        complain("multiset of no rows", 0, rows);
}
