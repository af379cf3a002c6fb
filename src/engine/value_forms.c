/*
 * value_forms.c: see value_forms.h. A form is worth having where some values are written in it and others are
 * not.
 */
#include "compat.h"

#include "engine/normalize.h"
#include "engine/value_forms.h"
#include "kernel/word_forms.h"
#include "utils/memutils.h"

#define VALUES_LOOKED_AT 2000
#define LEAST_OF_EITHER 0.02 /* of the values, that a form changes, and that it does not */
#define LEAST_VALUES 8       /* different ones: most records may be of another kind */
#define LEAST_WRAPPED 0.001  /* of the values of a column of e-mail addresses, that have more around them */
#define LEAST_SEVERAL 0.02   /* the same, that have several addresses */
#define MOST_DIGITS 24
#define WHOLE_NUMBER 9      /* digits of a telephone number that is not local */
#define LONGEST_VALUE 200   /* characters */
#define LEAST_ADDRESSES 0.4 /* of the values of a column of addresses */

typedef struct form_counts {
    double values, addresses, changed, organizations, abroad;
    double digits[MOST_DIGITS]; /* by number of digits */
} form_counts;

static void
count_forms(text_view text, uint32 records, const char *bytes, Size length, char *target, form_counts *counts)
{
    Size formed = word_forms_address(bytes, length, target);
    uint32 digits = 0;
    bool abroad = false;

    counts->values += records;
    counts->addresses += word_forms_looks_like_address(bytes, length) ? records : 0;
    counts->changed += formed != length || memcmp(bytes, target, length) != 0 ? records : 0;
    counts->organizations += word_forms_legal(bytes, length) ? records : 0;
    for (uint32 i = 0; i < text.length; i++) {
        uint32 c = text_view_at(text, i);

        digits += c >= '0' && c <= '9';
        abroad |= c == '+' && digits == 0;
    }
    counts->abroad += abroad ? records : 0;
    counts->digits[Min(digits, MOST_DIGITS - 1)] += records;
}

static bool
in_some(double counted, double all)
{
    return counted >= LEAST_OF_EITHER * all && all - counted >= LEAST_OF_EITHER * all;
}

/* Telephone numbers with and without their country: a plus before some, or whole numbers of two lengths. */
static bool
phones_differ(const form_counts *counts)
{
    int lengths = 0;

    for (int digits = WHOLE_NUMBER; digits < MOST_DIGITS; digits++)
        lengths += counts->digits[digits] >= LEAST_OF_EITHER * counts->values;
    return lengths > 1 || in_some(counts->abroad, counts->values);
}

/* Whether some values have several addresses, or more around an address than the address. */
static const char *
email_function(const column_profile *profile, bool *is_list)
{
    const dictionary *values = profile->values;
    double wrapped = 0, several = 0;

    for (uint32 code = 1; code < values->count; code++) {
        text_view text = values->texts[code];
        bool any = false;
        int addresses = 0;

        for (uint32 i = 0; i < text.length; i++) {
            uint32 c = text_view_at(text, i);

            any |= c < 128 && strchr(" <>\"():;,", (int)c) != NULL;
            addresses += c == '@';
        }
        wrapped += any ? values->records[code] : 0;
        several += addresses > 1 ? values->records[code] : 0;
    }
    *is_list = several >= LEAST_SEVERAL * (double)profile->filled;
    return *is_list                                             ? "mastering.email_addresses"
           : wrapped >= LEAST_WRAPPED * (double)profile->filled ? "mastering.normalize_email"
                                                                : NULL;
}

const char *
value_form_function(const column_profile *profile, bool *is_list)
{
    const dictionary *values = profile->values;
    MemoryContext context, before;
    normalizer *state;
    form_counts counts = {0};
    uint32 step = values->count / VALUES_LOOKED_AT + 1;

    *is_list = false;
    if (profile->kind == KIND_EMAIL)
        return email_function(profile, is_list);
    if (profile->distinct < LEAST_VALUES ||
        (profile->kind != KIND_NAME && profile->kind != KIND_TEXT && profile->kind != KIND_PHONE))
        return NULL;
    context = AllocSetContextCreate(CurrentMemoryContext, "mastering value forms", ALLOCSET_DEFAULT_SIZES);
    before = MemoryContextSwitchTo(context);
    state = normalizer_create(context, NORMALIZE_TEXT);
    for (uint32 code = 1; code < values->count; code += step) {
        text *raw, *plain;

        if (values->texts[code].length > LONGEST_VALUE)
            continue;
        raw = text_view_to_text(values->texts[code]);
        plain = text_view_to_text(normalizer_apply(state, VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw)));
        count_forms(values->texts[code], values->records[code], VARDATA(plain), VARSIZE(plain) - VARHDRSZ,
                    palloc(VARSIZE(plain)), &counts);
        pfree(raw);
        pfree(plain);
    }
    MemoryContextSwitchTo(before);
    MemoryContextDelete(context);
    if (profile->kind == KIND_PHONE)
        return phones_differ(&counts) ? "mastering.normalize_phone" : NULL;
    if (counts.addresses >= LEAST_ADDRESSES * counts.values)
        return in_some(counts.changed, counts.values) ? "mastering.normalize_address" : NULL;
    return in_some(counts.organizations, counts.values) ? "mastering.normalize_organization" : NULL;
}
