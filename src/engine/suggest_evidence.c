/*
 * suggest_evidence.c: see suggest_evidence.h.
 */
#include "compat.h"

#include "engine/suggest_evidence.h"
#include "engine/value_reader.h"
#include "utils/memutils.h"

#define LEAST_DIGITS 6.5    /* of an identifier, on average: postcodes have fewer */
#define MOST_HOLDERS 6      /* records that have one identifier */
#define LEAST_DIFFERENT 0.3 /* of the values of an identifier */
#define CROWD 10            /* records with one value, and the times of the usual number below */
#define CROWD_TIMES 5
#define LEAST_WORDS 1.6 /* of a whole name, on average */
#define MOST_YEARS 0.1  /* of the values, that are years alone */
#define LEAST_YEARS 10  /* that the middle half of birth dates spans */
#define MOST_SHARED 0.1 /* of the pairs of values, that are equal */
#define LEAST_FILLED 0.05
#define LEAST_NAMED 0.5 /* of the records, that have a person's or a firm's name */
#define LEAST_WORDS_OF_PLACES 1.4
#define MOST_NUMBERED 0.2 /* of names of places, that have digits */
#define LEAST_NAMES 0.5   /* different ones, of all */
#define LEAST_TELLING 2   /* columns that tell people apart, beside their names */

bool
is_identifier(const column_profile *profile)
{
    return profile->kind == KIND_CODE && !profile->is_list && !profile->is_group &&
           profile->mean_digits >= LEAST_DIGITS && profile->top_records[0] <= MOST_HOLDERS &&
           share_different(profile) >= LEAST_DIFFERENT;
}

bool
has_crowded_values(const column_profile *profile)
{
    return profile->top_records[0] >= CROWD * profile->share &&
           profile->top_records[0] * profile->of_all >= CROWD_TIMES * (double)profile->filled;
}

static int
compare_years(const void *a, const void *b)
{
    return *(const int32 *)a - *(const int32 *)b;
}

/*
 * Dates of birth lie decades apart; dates of what happened to a record crowd in a few years. What equal ones
 * mean is not what it means that one is the year of the other.
 */
static bool
are_birth_dates(const column_profile *profile)
{
    const dictionary *values = profile->values;
    int32 *years;
    uint32 used = 0, span;

    if (profile->kind != KIND_DATE || profile->is_list || profile->with_years > MOST_YEARS)
        return false;
    years = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(values->count, 1), sizeof(int32)));
    for (uint32 code = 1; code < values->count; code++) {
        calendar_date date;

        if (parse_date(values->texts[code], &date))
            years[used++] = date.year;
    }
    qsort(years, used, sizeof(int32), compare_years);
    span = used < 4 ? 0 : (uint32)(years[used - 1 - used / 4] - years[used / 4]);
    pfree(years);
    return span >= LEAST_YEARS;
}

static bool
names_persons(const column_profile *profile)
{
    return profile->kind == KIND_NAME && !profile->is_list && profile->given_names >= SOME_GIVEN_NAMES;
}

/* The column with whole names of persons in most records; -1: there is none. */
static int
whole_name(const column_profile *profiles, int count, const bool *chosen)
{
    int best = -1;

    for (int i = 0; i < count; i++)
        if (chosen[i] && names_persons(&profiles[i]) && profiles[i].mean_words >= LEAST_WORDS &&
            (best < 0 || profiles[i].filled > profiles[best].filled))
            best = i;
    return best;
}

/* A part of a group that is compared, too, says nothing more. */
static bool
is_part(const column_profile *profiles, const bool *chosen, int i)
{
    return profiles[i].part_of > 0 && chosen[profiles[i].part_of - 1];
}

static bool
is_shared(const column_profile *profile)
{
    return (profile->kind == KIND_NAME || profile->kind == KIND_TEXT) &&
           profile->equal_share <= MOST_SHARED && profile->filled >= LEAST_FILLED * (double)profile->records;
}

static void
forget(evidence_kind *evidence, int count)
{
    for (int i = 0; i < count; i++)
        evidence[i] = EVIDENCE_NONE;
}

/*
 * Of a table of organisations or places, that have a name and a telephone number or an e-mail address: at one
 * address there are several, and they may have one telephone.
 */
static void
evidence_of_places(const column_profile *profiles, int count, const bool *chosen, evidence_kind *evidence)
{
    int name = -1;
    bool contact = false;

    for (int i = 0; i < count; i++) {
        const column_profile *profile = &profiles[i];

        if (!chosen[i] || is_part(profiles, chosen, i))
            continue;
        contact |= profile->kind == KIND_EMAIL || profile->kind == KIND_PHONE;
        if (profile->kind == KIND_NAME && !profile->is_list && !profile->is_group && !profile->in_form &&
            profile->mean_words >= LEAST_WORDS_OF_PLACES && profile->with_digits <= MOST_NUMBERED &&
            profile->filled >= LEAST_NAMED * (double)profile->records &&
            share_different(profile) >= LEAST_NAMES &&
            (name < 0 || profile->equal_share < profiles[name].equal_share))
            name = i;
    }
    if (name < 0 || !contact)
        return;
    for (int i = 0; i < count; i++) {
        const column_profile *profile = &profiles[i];

        if (!chosen[i] || is_part(profiles, chosen, i))
            continue;
        if (i == name)
            evidence[i] = EVIDENCE_NAME;
        else if (profile->kind == KIND_EMAIL || profile->kind == KIND_PHONE)
            evidence[i] = EVIDENCE_CONTACT;
        else if (is_shared(profile))
            evidence[i] = EVIDENCE_SHARED;
    }
}

void
suggest_evidence(const column_profile *profiles, int count, const bool *chosen, const int *swapped,
                 evidence_kind *evidence, evidence_kind *swapped_evidence)
{
    int whole = whole_name(profiles, count, chosen), telling = 0;
    bool names = whole >= 0, persons = false;
    double named = 0, records = count > 0 ? (double)profiles[0].records : 0;

    forget(evidence, count);
    *swapped_evidence = EVIDENCE_NONE;
    if (whole >= 0) {
        evidence[whole] = EVIDENCE_NAME;
        named = (double)profiles[whole].filled;
    }
    if (swapped != NULL && (whole < 0 || profiles[swapped[0]].part_of != whole + 1 ||
                            profiles[swapped[1]].part_of != whole + 1)) {
        *swapped_evidence = whole < 0 ? EVIDENCE_NAME : EVIDENCE_NONE;
        named += (double)Max(profiles[swapped[0]].filled, profiles[swapped[1]].filled);
        names = true;
    }
    for (int i = 0; i < count; i++)
        persons |= names_persons(&profiles[i]);
    for (int i = 0; i < count; i++) {
        const column_profile *profile = &profiles[i];

        if (!chosen[i] || evidence[i] != EVIDENCE_NONE || is_part(profiles, chosen, i))
            continue;
        if (profile->completes_names && persons)
            evidence[i] = EVIDENCE_NAME;
        else if (names_persons(profile)) {
            evidence[i] = names ? EVIDENCE_NONE : EVIDENCE_GIVEN_NAME;
            names = true;
        } else if (is_identifier(profile))
            evidence[i] = EVIDENCE_IDENTIFIER;
        else if (profile->kind == KIND_EMAIL || profile->kind == KIND_PHONE)
            evidence[i] = EVIDENCE_CONTACT;
        else if (are_birth_dates(profile))
            evidence[i] = EVIDENCE_BIRTH_DATE;
        else if ((profile->kind == KIND_NAME || profile->kind == KIND_TEXT) &&
                 profile->equal_share <= MOST_SHARED && profile->filled >= LEAST_FILLED * profile->records)
            evidence[i] = EVIDENCE_SHARED;
        if (evidence[i] == EVIDENCE_NAME || evidence[i] == EVIDENCE_GIVEN_NAME)
            named += (double)profile->filled;
        telling += evidence[i] != EVIDENCE_NONE && evidence[i] != EVIDENCE_SHARED &&
                   evidence[i] != EVIDENCE_GIVEN_NAME;
    }
    if (!names || named < LEAST_NAMED * records || telling < LEAST_TELLING) {
        forget(evidence, count);
        *swapped_evidence = EVIDENCE_NONE;
        if (!persons)
            evidence_of_places(profiles, count, chosen, evidence);
    }
}
