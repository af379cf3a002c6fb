/*
 * progress.c: running_runs and last_run: how far runs are, and what the last one took.
 */
#include "compat.h"

#include "engine/progress.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "catalog/pg_authid.h"

/* Runs of roles whose rights the caller has, as in pg_stat_activity. */
MASTERING_FUNCTION(mastering_running_runs)
{
    ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
    progress_entry *entries = NULL;
    int count;
    TimestampTz now = GetCurrentTimestamp();
    bool sees_all = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);

    InitMaterializedSRF(fcinfo, 0);
    (void)progress_list(&entries, &count);
    for (int i = 0; i < count; i++) {
        const progress_entry *entry = &entries[i];
        double seconds = (now - entry->phase_start) / 1e6;
        double rate = seconds > 0 ? entry->done / seconds : 0;
        Datum values[9];
        bool nulls[9] = {false};

        if (!sees_all && !has_privs_of_role(GetUserId(), entry->role))
            continue;
        values[0] = Int32GetDatum(entry->pid);
        values[1] = ObjectIdGetDatum(entry->database);
        values[2] = ObjectIdGetDatum(entry->role);
        values[3] = TimestampTzGetDatum(entry->run_start);
        values[4] = CStringGetTextDatum(entry->phase);
        values[5] = Int64GetDatum((int64)entry->done);
        values[6] = Int64GetDatum((int64)entry->total);
        nulls[6] = entry->total == 0;
        values[7] = Float8GetDatum(rate);
        nulls[7] = rate == 0;
        nulls[8] = rate == 0 || entry->total == 0 || entry->done > entry->total;
        values[8] = nulls[8] ? (Datum)0 : Float8GetDatum((entry->total - entry->done) / rate);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return (Datum)0;
}

MASTERING_FUNCTION(mastering_last_run)
{
    ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
    int count;
    const phase_summary *phases = summary_list(&count);

    InitMaterializedSRF(fcinfo, 0);
    for (int i = 0; i < count; i++) {
        Datum values[6];
        bool nulls[6] = {false};

        values[0] = Int32GetDatum(i + 1);
        values[1] = CStringGetTextDatum(phases[i].phase);
        values[2] = CStringGetTextDatum(phases[i].facts);
        values[3] = Float8GetDatum(phases[i].milliseconds);
        values[4] = Float8GetDatum(phases[i].processor_milliseconds);
        values[5] = Int64GetDatum((int64)phases[i].megabytes);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return (Datum)0;
}
