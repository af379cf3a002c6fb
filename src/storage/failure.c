/*
 * failure.c: records what failed although the transaction that failed is rolled back.
 *
 * A dynamic background worker needs no preloaded library: it gets the document through a shared memory
 * segment, connects to the same database as the extension's owner, and writes in a transaction of its own.
 * The caller has given up its locks by then (the failed work was a subtransaction), and waits, so that the
 * record is there when the error is.
 *
 * Where no worker slot is free for a while, the document goes to the server's log in full and a warning to
 * the client: nothing disappears without a word.
 */
#include "compat.h"

#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#define REGISTER_TRIES 20
#define REGISTER_PAUSE_MS 100

PGDLLEXPORT void mastering_failure_worker(Datum main_arg);

typedef struct FailureMessage {
    Oid database;
    Oid owner;
    bool written;
    int length;
    char payload[FLEXIBLE_ARRAY_MEMBER];
} FailureMessage;

static char *noted = NULL;

/* note_failure(detail) */
MASTERING_FUNCTION(mastering_note_failure)
{
    if (noted != NULL)
        pfree(noted);
    noted = NULL;
    if (!PG_ARGISNULL(0)) {
        Jsonb *detail = PG_GETARG_JSONB_P(0);

        noted = MemoryContextStrdup(TopMemoryContext, JsonbToCString(NULL, &detail->root, VARSIZE(detail)));
    }
    PG_RETURN_VOID();
}

/* noted_failure() */
MASTERING_FUNCTION(mastering_noted_failure)
{
    if (noted == NULL)
        PG_RETURN_NULL();
    PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(noted)));
}

static Oid
function_owner(Oid function)
{
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    Oid owner;

    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for function %u", function);
    owner = ((Form_pg_proc)GETSTRUCT(tuple))->proowner;
    ReleaseSysCache(tuple);
    return owner;
}

static BackgroundWorkerHandle *
start_worker(dsm_handle message)
{
    BackgroundWorker worker = {0};
    BackgroundWorkerHandle *handle;

    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_main_arg = UInt32GetDatum(message);
    worker.bgw_notify_pid = MyProcPid;
    strlcpy(worker.bgw_library_name, "mastering", BGW_MAXLEN);
    strlcpy(worker.bgw_function_name, "mastering_failure_worker", BGW_MAXLEN);
    strlcpy(worker.bgw_name, "mastering failure record", BGW_MAXLEN);
    strlcpy(worker.bgw_type, "mastering failure record", BGW_MAXLEN);
    for (int try = 0; try < REGISTER_TRIES; try++) {
        if (RegisterDynamicBackgroundWorker(&worker, &handle))
            return handle;
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, REGISTER_PAUSE_MS,
                        PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
    return NULL;
}

/* record_outside(payload) */
MASTERING_FUNCTION(mastering_record_outside)
{
    Jsonb *payload = PG_GETARG_JSONB_P(0);
    char *text = JsonbToCString(NULL, &payload->root, VARSIZE(payload));
    int length = (int)strlen(text) + 1;
    dsm_segment *segment = dsm_create(add_size(offsetof(FailureMessage, payload), length), 0);
    FailureMessage *message = dsm_segment_address(segment);
    BackgroundWorkerHandle *handle;
    bool written = false;

    message->database = MyDatabaseId;
    message->owner = function_owner(fcinfo->flinfo->fn_oid);
    message->written = false;
    message->length = length;
    memcpy(message->payload, text, length);

    handle = start_worker(dsm_segment_handle(segment));
    if (handle != NULL && WaitForBackgroundWorkerShutdown(handle) == BGWH_STOPPED)
        written = message->written;
    dsm_detach(segment);
    if (!written) {
        ereport(LOG, (errmsg("mastering could not record a failure in its tables"), errdetail("%s", text)));
        ereport(WARNING, (errmsg("the failure could not be recorded in the database"),
                          errdetail("It is in the server's log."),
                          errhint("Raise max_worker_processes if this happens again.")));
    }
    PG_RETURN_BOOL(written);
}

void
mastering_failure_worker(Datum main_arg)
{
    dsm_segment *segment;
    FailureMessage *message;
    Oid type = TEXTOID;
    Datum argument;

    BackgroundWorkerUnblockSignals();
    segment = dsm_attach(DatumGetUInt32(main_arg));
    if (segment == NULL)
        return; /* whoever asked is gone */
    dsm_pin_mapping(segment);
    message = dsm_segment_address(segment);
    BackgroundWorkerInitializeConnectionByOid(message->database, message->owner, 0);

    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
    SPI_connect();
    pgstat_report_activity(STATE_RUNNING, "mastering: recording a failure");
    argument = PointerGetDatum(cstring_to_text(message->payload));
    if (SPI_execute("SET LOCAL lock_timeout = '10s'", false, 0) < 0 ||
        SPI_execute_with_args("SELECT mastering.write_failure($1::pg_catalog.jsonb)", 1, &type, &argument,
                              NULL, false, 0) < 0)
        elog(ERROR, "could not record a failure");
    SPI_finish();
    PopActiveSnapshot();
    CommitTransactionCommand();
    message->written = true;
    pgstat_report_activity(STATE_IDLE, NULL);
    dsm_detach(segment);
}
