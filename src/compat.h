/*
 * compat.h: the one place that knows about PostgreSQL's major versions.
 *
 * Every C file outside src/kernel includes it first (it includes postgres.h). A major that was never
 * tried is refused at compile time rather than at somebody's run time.
 */
#ifndef MASTERING_COMPAT_H
#define MASTERING_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 160000
#error "mastering has been built and tested on PostgreSQL 15 only"
#endif

#include "fmgr.h"

/*
 * The library is compiled with hidden visibility (a backend loads libraries into one namespace), so the
 * few symbols PostgreSQL looks up must be exported by name. PostgreSQL 15 leaves PGDLLEXPORT empty.
 */
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))

/* Declares, registers and opens the definition of an SQL-callable function. */
#define MASTERING_FUNCTION(name)                                                                             \
    PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                                \
    PG_FUNCTION_INFO_V1(name);                                                                               \
    Datum name(PG_FUNCTION_ARGS)

/* For functions that only fetch memory ahead: gcc takes them for such as have no effect and drops their
 * calls, unless they are inlined before it looks. */
#define FETCH_INLINE static pg_attribute_always_inline

#endif
