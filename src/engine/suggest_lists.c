/*
 * suggest_lists.c: see suggest_lists.h. Several e-mail addresses or telephone numbers of one thing: one that
 * two records share says nearly all, the rarer the more. Tags are compared as sets.
 */
#include "compat.h"

#include "engine/suggest_lists.h"

void
write_list_comparison(StringInfo out, const column_profile *profile, bool names_persons)
{
    const char *how = "";

    switch (profile->kind) {
    case KIND_EMAIL:
        how = "\"best\",\"method\":\"jaro_winkler\",\"levels\":[1,0.95,0.88]";
        break;
    case KIND_PHONE:
        how = "\"best\",\"method\":\"damerau_distance\",\"levels\":[0,1,2],\"normalize\":\"digits\"";
        break;
    case KIND_CODE:
        how = "\"best\",\"method\":\"damerau_distance\",\"levels\":[0,1,2],\"normalize\":\"alphanumeric\"";
        break;
    case KIND_DATE:
        how = "\"best\",\"method\":\"date\",\"levels\":[1,0.9,0.7]";
        break;
    case KIND_NAME:
        how = names_persons ? "\"best\",\"method\":\"names\",\"levels\":[1,0.92,0.8]"
                            : "\"best\",\"method\":\"jaro_winkler\",\"levels\":[1,0.92,0.8]";
        break;
    case KIND_TEXT:
        how = "\"best\",\"method\":\"qgram\",\"levels\":[1,0.8,0.6]";
        break;
    case KIND_CATEGORY:
        how = "\"set\",\"measure\":\"jaccard\",\"levels\":[0.6,0.3]";
        break;
    case KIND_NUMBER:
    case KIND_QUANTITY: /* of elements none are looked for */
    case KIND_EMPTY:
        how = "\"best\",\"method\":\"exact\",\"levels\":[1]";
        break;
    }
    appendStringInfo(out, ",\"elements\":%s,\"term_frequency\":true", how);
}

void
write_models_comparison(StringInfo out, const column_profile *profile)
{
    appendStringInfoString(out, "{\"name\":");
    append_json_string(out, psprintf("model numbers in %s", profile->name));
    appendStringInfoString(out, ",\"expression\":");
    append_json_string(out, psprintf("mastering.model_numbers(%s::pg_catalog.text)", profile->expression));
    appendStringInfoString(
        out, ",\"elements\":\"best\",\"method\":\"exact\",\"levels\":[1],\"term_frequency\":true}");
}

double
list_pairs(const column_profile *profile)
{
    double pairs = 0;

    for (uint32 code = 1; code < profile->values->count; code++)
        pairs += (double)profile->values->records[code] * (profile->values->records[code] - 1.0) / 2;
    return pairs;
}
