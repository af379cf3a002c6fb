/*
 * arguments.c: see arguments.h.
 */
#include "compat.h"

#include "sql/arguments.h"
#include "utils/builtins.h"

char *
query_argument(FunctionCallInfo fcinfo, int argument)
{
    if (PG_ARGISNULL(argument))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the query must not be NULL"),
                        errhint("Pass the text of one SELECT whose column \"id\" identifies the record.")));
    return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

match_spec *
spec_argument(FunctionCallInfo fcinfo, int argument, const char *what)
{
    if (PG_ARGISNULL(argument))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the %s must not be NULL", what),
                        errhint("Let mastering.suggest(query) write a specification, and "
                                "mastering.train_model(query, spec) a model.")));
    return spec_read(PG_GETARG_JSONB_P(argument), what);
}

int64
threshold_argument(FunctionCallInfo fcinfo, int argument, const match_spec *spec)
{
    double threshold = PG_ARGISNULL(argument) ? spec->threshold : PG_GETARG_FLOAT8(argument);

    if (!(threshold > 0 && threshold < 1))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("the threshold %g is not a probability between 0 and 1, both excluded", threshold)));
    return weight_from_probability(threshold);
}
