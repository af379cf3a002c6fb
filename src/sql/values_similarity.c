/*
 * values_similarity.c: the similarity functions of SQL. They compare what they are given, character by
 * character, and normalise nothing.
 */
#include "compat.h"

#include "utils/date.h"
#include "utils/datetime.h"

#include "sql/values.h"

typedef kernel_status (*text_kernel)(text_view, text_view, kernel_workspace *, double *);

static inline Datum
compare_texts(FunctionCallInfo fcinfo, text_kernel kernel)
{
    text *a = PG_GETARG_TEXT_PP(0), *b = PG_GETARG_TEXT_PP(1);
    text_view view_a = values_characters(0, a), view_b = values_characters(1, b);
    kernel_workspace *workspace = values_workspace();
    double result;

    while (values_must_repeat(kernel(view_a, view_b, workspace, &result)))
        ;
    PG_FREE_IF_COPY(a, 0);
    PG_FREE_IF_COPY(b, 1);
    PG_RETURN_FLOAT8(result);
}

/* The same for kernels that only ask which characters are equal. */
static inline Datum
compare_letters(FunctionCallInfo fcinfo, text_kernel kernel)
{
    text *a = PG_GETARG_TEXT_PP(0), *b = PG_GETARG_TEXT_PP(1);
    text_view view_a, view_b;
    kernel_workspace *workspace = values_workspace();
    double result;

    values_pair(a, b, &view_a, &view_b);
    while (values_must_repeat(kernel(view_a, view_b, workspace, &result)))
        ;
    PG_FREE_IF_COPY(a, 0);
    PG_FREE_IF_COPY(b, 1);
    PG_RETURN_FLOAT8(result);
}

MASTERING_FUNCTION(mastering_jaro_similarity)
{
    return compare_letters(fcinfo, jaro_similarity);
}

MASTERING_FUNCTION(mastering_jaro_winkler_similarity)
{
    return compare_letters(fcinfo, jaro_winkler_similarity);
}

MASTERING_FUNCTION(mastering_levenshtein_similarity)
{
    return compare_letters(fcinfo, levenshtein_similarity);
}

MASTERING_FUNCTION(mastering_damerau_similarity)
{
    return compare_letters(fcinfo, damerau_similarity);
}

MASTERING_FUNCTION(mastering_lcs_similarity)
{
    return compare_letters(fcinfo, lcs_similarity);
}

MASTERING_FUNCTION(mastering_token_sort_similarity)
{
    return compare_texts(fcinfo, token_sort_similarity);
}

MASTERING_FUNCTION(mastering_token_set_similarity)
{
    return compare_texts(fcinfo, token_set_similarity);
}

MASTERING_FUNCTION(mastering_monge_elkan_similarity)
{
    return compare_texts(fcinfo, monge_elkan_similarity);
}

MASTERING_FUNCTION(mastering_initials_similarity)
{
    return compare_texts(fcinfo, initials_similarity);
}

MASTERING_FUNCTION(mastering_names_similarity)
{
    return compare_texts(fcinfo, names_similarity);
}

MASTERING_FUNCTION(mastering_qgram_similarity)
{
    text *a = PG_GETARG_TEXT_PP(0), *b = PG_GETARG_TEXT_PP(1);
    uint32 q = values_gram_length(PG_GETARG_INT32(2));
    set_measure measure = values_measure(PG_GETARG_TEXT_PP(3));
    text_view view_a = values_characters(0, a), view_b = values_characters(1, b);
    double result;

    while (values_must_repeat(qgram_similarity(view_a, view_b, q, measure, values_workspace(), &result)))
        ;
    PG_FREE_IF_COPY(a, 0);
    PG_FREE_IF_COPY(b, 1);
    PG_RETURN_FLOAT8(result);
}

MASTERING_FUNCTION(mastering_token_similarity)
{
    text *a = PG_GETARG_TEXT_PP(0), *b = PG_GETARG_TEXT_PP(1);
    set_measure measure = values_measure(PG_GETARG_TEXT_PP(2));
    text_view view_a = values_characters(0, a), view_b = values_characters(1, b);
    double result;

    while (values_must_repeat(token_similarity(view_a, view_b, measure, values_workspace(), &result)))
        ;
    PG_FREE_IF_COPY(a, 0);
    PG_FREE_IF_COPY(b, 1);
    PG_RETURN_FLOAT8(result);
}

/* A scale divides: it must be a number above zero. */
static double
checked_scale(double scale)
{
    if (!(scale > 0.0))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("scale %g is not positive", scale),
                        errhint("Use the difference at which the similarity reaches 0, a number above 0.")));
    return scale;
}

MASTERING_FUNCTION(mastering_numeric_similarity)
{
    PG_RETURN_FLOAT8(
        numeric_similarity(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1), checked_scale(PG_GETARG_FLOAT8(2))));
}

static calendar_date
to_calendar(DateADT date)
{
    int year, month, day;

    j2date(date + POSTGRES_EPOCH_JDATE, &year, &month, &day);
    return (calendar_date){year, (uint8_t)month, (uint8_t)day};
}

MASTERING_FUNCTION(mastering_date_similarity)
{
    DateADT a = PG_GETARG_DATEADT(0), b = PG_GETARG_DATEADT(1);

    if (a == b)
        PG_RETURN_FLOAT8(1.0);
    if (DATE_NOT_FINITE(a) || DATE_NOT_FINITE(b))
        PG_RETURN_FLOAT8(0.0);
    PG_RETURN_FLOAT8(date_similarity(to_calendar(a), to_calendar(b)));
}

MASTERING_FUNCTION(mastering_geo_similarity)
{
    PG_RETURN_FLOAT8(geo_similarity(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(2),
                                    PG_GETARG_FLOAT8(3), checked_scale(PG_GETARG_FLOAT8(4))));
}
