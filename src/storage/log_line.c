/*
 * log_line.c: lines in the server's log that tell nothing but what they say.
 */
#include "compat.h"

#include "utils/builtins.h"

/*
 * log_line(text): a line in the server's log. Without the statement that it came of, which the server would
 * add: that may hold what is for nobody's eyes.
 */
MASTERING_FUNCTION(mastering_log_line)
{
    ereport(LOG, (errmsg_internal("%s", text_to_cstring(PG_GETARG_TEXT_PP(0))), errhidestmt(true),
                  errhidecontext(true)));
    PG_RETURN_VOID();
}
