/*
 * training_notes.c: see training_notes.h.
 */
#include "compat.h"

#include "engine/normalize.h"
#include "engine/training_notes.h"

void
training_describe(match_run *run, match_spec *spec, const em_session *sessions, int iterations,
                  const char *lesson)
{
    StringInfoData text;

    initStringInfo(&text);
    appendStringInfo(&text, "{\"records\":%u,\"iterations\":%d,\"labels\":%s,\"result_revision\":3,\"text\":",
                     run->store->records.count, iterations, lesson != NULL ? lesson : "false");
    append_json_string(&text, normalize_versions());
    if (spec->learnt_threshold > 0) {
        appendStringInfoString(&text, ",\"threshold\":");
        append_json_number(&text, spec->learnt_threshold);
    }
    appendStringInfoString(&text, ",\"rules\":[");
    for (int r = 0; r < spec->rule_count; r++) {
        appendStringInfo(&text, "%s{\"pairs\":" UINT64_FORMAT ",\"match_share\":", r > 0 ? "," : "",
                         run->statistics[r].pairs);
        append_json_number(&text, sessions[r].match_share);
        appendStringInfoChar(&text, '}');
    }
    appendStringInfoString(&text, "]}");
    spec->training = text.data;
}

void
training_warn_of_untaught(const match_spec *spec, const em_report *report, uint32 one_sided)
{
    for (int c = 0; c < spec->comparison_count; c++)
        if (report->expected_matches[c] < 1.0 && !(one_sided >> c & 1))
            ereport(WARNING,
                    (errmsg("comparison \"%s\" was not learnt from the data and keeps its start values",
                            spec->comparisons[c].name),
                     errdetail("No candidate pair teaches it: the blocking keys find no likely match, or "
                               "every key reads this column."),
                     errhint("Add a blocking rule that does not read it.")));
}
