/*
 * limits.c: what one call may use of the machine, and what it runs on.
 *
 * An environment has a resource profile (policy "resources"): threads, memory, time-outs. limit_setting()
 * applies one of its settings to the function that calls it, and to nothing after that: the value is saved as
 * a function's SET clause saves it, at the nest level of the innermost function that has such a clause, which
 * every function behind a door has. statement_timeout is different: its clock was started, or was not, when
 * the statement began, so a tighter one is started here; it ends with the statement.
 */
#include "compat.h"

#include "engine/normalize.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

/* limit_setting(name, value) */
MASTERING_FUNCTION(mastering_limit_setting)
{
    char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
    char *value = text_to_cstring(PG_GETARG_TEXT_PP(1));

    (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    if (strcmp(name, "statement_timeout") == 0 && StatementTimeout > 0) {
        TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), StatementTimeout);

        if (!get_timeout_active(STATEMENT_TIMEOUT) || get_timeout_finish_time(STATEMENT_TIMEOUT) > end)
            enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
    }
    PG_RETURN_VOID();
}

/* text_versions(): the libraries that decide how text is normalised. */
MASTERING_FUNCTION(mastering_text_versions)
{
    PG_RETURN_TEXT_P(cstring_to_text(normalize_versions()));
}
