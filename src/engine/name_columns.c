/*
 * name_columns.c: see name_columns.h.
 */
#include "compat.h"

#include "engine/name_columns.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define LEAST_OF_MOST 0.5 /* of the greatest such share: firms are named after persons, too */
#define LEAST_UNNAMED 10  /* records without a person's name, and the share of all below */
#define LEAST_UNNAMED_SHARE 0.02
#define LEAST_COMPLETED 0.25 /* of these, that have a value */
#define MOST_BESIDE 0.05     /* of a column's records, that name a person, too */
#define MOST_WITH_DIGITS 0.2
#define MOST_CHARACTERS 60
#define LEAST_DIFFERENT 0.3 /* of the values */
#define LEAST_OWN_SCRIPT 0.5

static bool
of_words(const column_profile *profile)
{
    return (profile->kind == KIND_NAME || profile->kind == KIND_TEXT) && !profile->is_group &&
           !profile->is_list;
}

/* Whether the values could be names: words that differ from record to record. */
static bool
may_name(const column_profile *profile)
{
    return of_words(profile) && profile->with_digits <= MOST_WITH_DIGITS &&
           profile->mean_length <= MOST_CHARACTERS && share_different(profile) >= LEAST_DIFFERENT;
}

/* The share of a column's values that have a letter beyond the Latin alphabets. */
static double
own_script(const column_profile *profile)
{
    double records = 0, own = 0;

    for (uint32 code = 1; code < profile->values->count; code++) {
        text_view text = profile->values->texts[code];
        bool any = false;

        for (uint32 i = 0; i < text.length && !any; i++) {
            uint32 c = text_view_at(text, i);

            any = c >= 0x370 && (c < 0x1E00 || c >= 0x2C00 || (c >= 0x1F00 && c < 0x2000));
        }
        records += profile->values->records[code];
        own += any ? profile->values->records[code] : 0;
    }
    return records > 0 ? own / records : 0;
}

/* How many records no column that is marked names, and by column how many of these have a value there. */
static uint64
count_unnamed(const record_store *store, const bool *names, int count, uint64 *completed)
{
    uint64 unnamed = 0;

    memset(completed, 0, count * sizeof(uint64));
    for (uint32 record = 0; record < store->records.count; record++) {
        const uint32 *row = record_row(&store->records, record);
        bool named = false;

        for (int i = 0; i < count && !named; i++)
            named = names[i] && row[i] != 0;
        if (!named) {
            unnamed++;
            for (int i = 0; i < count; i++)
                completed[i] += row[i] != 0;
        }
        if ((record & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    return unnamed;
}

void
name_columns_find(const record_store *store, column_profile *profiles, int count)
{
    double most = 0, least;
    uint64 *completed = palloc0(Max(count, 1) * sizeof(uint64)), unnamed;
    bool *names = palloc0(Max(count, 1) * sizeof(bool));

    for (int i = 0; i < count; i++)
        if (of_words(&profiles[i]))
            most = Max(most, profiles[i].given_names);
    for (int i = 0; i < count; i++)
        names[i] = most >= SOME_GIVEN_NAMES && of_words(&profiles[i]) &&
                   profiles[i].given_names >= Max(SOME_GIVEN_NAMES, LEAST_OF_MOST * most);
    unnamed = most < SOME_GIVEN_NAMES ? 0 : count_unnamed(store, names, count, completed);
    least = LEAST_COMPLETED * (double)unnamed;
    if (unnamed < Max(LEAST_UNNAMED, LEAST_UNNAMED_SHARE * store->records.count))
        unnamed = 0;

    /* The one that names most of them, then what names most of the others. */
    while (unnamed > 0 && (double)unnamed >= least) {
        int best = -1;

        for (int i = 0; i < count; i++)
            if (!names[i] && may_name(&profiles[i]) && (double)completed[i] >= least &&
                profiles[i].filled - completed[i] <= MOST_BESIDE * (double)profiles[i].filled &&
                (best < 0 || completed[i] > completed[best]))
                best = i;
        if (best < 0)
            break;
        names[best] = profiles[best].completes_names = true;
        profiles[best].in_own_script = own_script(&profiles[best]) >= LEAST_OWN_SCRIPT;
        unnamed = count_unnamed(store, names, count, completed);
    }
    pfree(completed);
    pfree(names);
}
