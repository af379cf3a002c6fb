/*
 * profiling.c: profile and suggest.
 */
#include "compat.h"

#include <math.h>

#include "engine/normalize.h"
#include "engine/profile.h"
#include "funcapi.h"
#include "sql/arguments.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

/* Of all records, by those that were looked at. */
static int64
of_all(const record_store *store, uint64 records)
{
    return (int64)rint((double)records * store->whole_count / Max(store->records.count, 1));
}

/* The most frequent values as {"value": records, ...}, in that order, as json (jsonb would sort them). */
static Datum
top_values(const record_store *store, const column_profile *profile)
{
    StringInfoData json;

    initStringInfo(&json);
    appendStringInfoChar(&json, '{');
    for (uint32 i = 0; i < profile->top_count; i++) {
        text *value = text_view_to_text(profile->values->texts[profile->top_codes[i]]);

        appendStringInfoString(&json, i > 0 ? ", " : "");
        append_json_string(&json, text_to_cstring(value));
        appendStringInfo(&json, ": " INT64_FORMAT, of_all(store, profile->top_records[i]));
    }
    appendStringInfoChar(&json, '}');
    return CStringGetTextDatum(json.data);
}

MASTERING_FUNCTION(mastering_profile)
{
    char *query = query_argument(fcinfo, 0);
    ReturnSetInfo *result;
    column_profile *profiles;
    record_store *store;
    MemoryContext context;
    int count;

    InitMaterializedSRF(fcinfo, 0);
    result = (ReturnSetInfo *)fcinfo->resultinfo;
    context = AllocSetContextCreate(CurrentMemoryContext, "mastering profile", ALLOCSET_DEFAULT_SIZES);
    profiles = profile_query(context, query, &count, &store);
    if (store->whole_count > store->records.count)
        ereport(NOTICE,
                (errmsg("%u of " UINT64_FORMAT " records were looked at", store->records.count,
                        store->whole_count),
                 errdetail("Numbers of records and of distinct values are estimated by them; lengths and "
                           "the most frequent values are theirs.")));
    for (int i = 0; i < count; i++) {
        const column_profile *profile = &profiles[i];
        Datum values[10];
        bool nulls[10] = {false};

        values[0] = CStringGetTextDatum(profile->name);
        values[1] = CStringGetTextDatum(column_kind_name(profile->kind));
        values[2] = Int64GetDatum(store->whole_count);
        values[3] = Int64GetDatum(of_all(store, profile->records - profile->filled));
        values[4] = Int64GetDatum((int64)rint(profile->of_all));
        nulls[5] = nulls[7] = profile->filled == 0;
        values[5] = Float8GetDatum(profile->mean_whole);
        values[6] = Int32GetDatum((int32)Min(profile->longest, PG_INT32_MAX));
        values[7] = Float8GetDatum(profile->equal_share);
        values[8] = top_values(store, profile);
        nulls[9] = profile->unit == NULL;
        if (profile->unit != NULL)
            values[9] = CStringGetTextDatum(profile->unit);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    MemoryContextDelete(context);
    return (Datum)0;
}

MASTERING_FUNCTION(mastering_suggest)
{
    PG_RETURN_JSONB_P(suggest_spec(query_argument(fcinfo, 0)));
}
