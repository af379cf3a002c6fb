/*
 * announce.c: tells every backend, here and on standbys, that an environment has a new head.
 *
 * Plans depend on the environment's anchor, an empty relation that nothing else touches, so that one message
 * replans what reads the environment and no relation has to be locked or loaded again.
 *
 * The message is sent twice. At once, after the head row was updated and before the commit: from then on a
 * plan that somebody makes is not kept (in_version.c sees the uncommitted change). And with the commit, for
 * the plans of this backend, and so that an abort undoes what this backend planned on its own change.
 */
#include "compat.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/head.h"
#include "storage/sinval.h"
#include "storage/standby.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

/* announce_head(anchor): to be called by whoever has just updated the head row. */
MASTERING_FUNCTION(mastering_announce_head)
{
    Oid anchor = mastering_relation(text_to_cstring(PG_GETARG_TEXT_PP(0)));
    SharedInvalidationMessage message = {0};

    message.rc.id = SHAREDINVALRELCACHE_ID;
    message.rc.dbId = MyDatabaseId;
    message.rc.relId = anchor;
    SendSharedInvalidMessages(&message, 1);
    if (XLogStandbyInfoActive())
        LogStandbyInvalidations(1, &message, false);
    CacheInvalidateRelcacheByRelid(anchor);
    PG_RETURN_VOID();
}
