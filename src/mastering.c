/*
 * mastering.c: the library's entry point. Nothing is started here: a thread made in the postmaster would
 * be lost by every backend forked later.
 */
#include "compat.h"

#include "engine/progress.h"
#include "kernel/nicknames.h"
#include "settings.h"
#include "storage/in_version.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
    mastering_define_settings();
    nicknames_prepare();
    mastering_install_storage_hooks();
    progress_install_hooks();
}
