/*
 * row_hash.c: hashes of rows.
 *
 * A row is hashed as the texts of its values in UTF-8, each with its length before it and a marker for NULL,
 * so that no two different rows are written alike, and so that the hash survives a dump, a restore and a
 * change of the server's encoding. Where a row lies ("#segment" and "#row") is left out.
 *
 * rows_hash is a hash of the rows' hashes, so that a row that had to be erased still counts: the hash that it
 * had is kept and takes its place.
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

typedef struct ColumnOutput {
    bool hashed;
    FmgrInfo function;
} ColumnOutput;

typedef struct RowFormat {
    Oid type;
    int32 typmod;
    TupleDesc descriptor;
    ColumnOutput *columns;
} RowFormat;

static RowFormat *
row_format(FmgrInfo *flinfo, HeapTupleHeader row)
{
    RowFormat *format = flinfo->fn_extra;
    MemoryContext caller;

    if (format != NULL && format->type == HeapTupleHeaderGetTypeId(row) &&
        format->typmod == HeapTupleHeaderGetTypMod(row))
        return format;
    caller = MemoryContextSwitchTo(flinfo->fn_mcxt);
    format = palloc0(sizeof(RowFormat));
    format->type = HeapTupleHeaderGetTypeId(row);
    format->typmod = HeapTupleHeaderGetTypMod(row);
    format->descriptor = lookup_rowtype_tupdesc_copy(format->type, format->typmod);
    format->columns = palloc0(sizeof(ColumnOutput) * Max(format->descriptor->natts, 1));
    for (int i = 0; i < format->descriptor->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(format->descriptor, i);
        Oid output;
        bool varlena;

        if (attribute->attisdropped || strcmp(NameStr(attribute->attname), "#segment") == 0 ||
            strcmp(NameStr(attribute->attname), "#row") == 0)
            continue;
        getTypeOutputInfo(attribute->atttypid, &output, &varlena);
        fmgr_info_cxt(output, &format->columns[i].function, flinfo->fn_mcxt);
        format->columns[i].hashed = true;
    }
    flinfo->fn_extra = format;
    MemoryContextSwitchTo(caller);
    return format;
}

static void
hash_bytes_or_fail(pg_cryptohash_ctx *hash, const void *bytes, Size length)
{
    if (pg_cryptohash_update(hash, bytes, length) < 0)
        elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
}

static void
hash_length(pg_cryptohash_ctx *hash, uint32 length)
{
    uint8 bytes[4] = {length >> 24, length >> 16, length >> 8, length};

    hash_bytes_or_fail(hash, bytes, sizeof(bytes));
}

static void
hash_row(pg_cryptohash_ctx *hash, RowFormat *format, HeapTupleHeader row)
{
    int natts = format->descriptor->natts;
    Datum *values = palloc(sizeof(Datum) * Max(natts, 1));
    bool *nulls = palloc(sizeof(bool) * Max(natts, 1));
    HeapTupleData tuple = {
        .t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row, .t_tableOid = InvalidOid};

    ItemPointerSetInvalid(&tuple.t_self);
    heap_deform_tuple(&tuple, format->descriptor, values, nulls);
    for (int i = 0; i < natts; i++) {
        char *text, *utf8;
        Size length;

        if (!format->columns[i].hashed)
            continue;
        if (nulls[i]) {
            hash_length(hash, PG_UINT32_MAX);
            continue;
        }
        text = OutputFunctionCall(&format->columns[i].function, values[i]);
        length = strlen(text);
        utf8 = pg_server_to_any(text, length, PG_UTF8);
        if (utf8 != text)
            length = strlen(utf8);
        hash_length(hash, length);
        hash_bytes_or_fail(hash, utf8, length);
        if (utf8 != text)
            pfree(utf8);
        pfree(text);
    }
    pfree(values);
    pfree(nulls);
}

static pg_cryptohash_ctx *
new_sha256(void)
{
    pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

    if (hash == NULL || pg_cryptohash_init(hash) < 0)
        elog(ERROR, "could not start SHA-256: %s", pg_cryptohash_error(hash));
    return hash;
}

static void
finish_sha256(pg_cryptohash_ctx *hash, uint8 *digest)
{
    if (pg_cryptohash_final(hash, digest, PG_SHA256_DIGEST_LENGTH) < 0)
        elog(ERROR, "could not finish SHA-256: %s", pg_cryptohash_error(hash));
}

static void
digest_row(RowFormat *format, HeapTupleHeader row, uint8 *digest)
{
    pg_cryptohash_ctx *hash = new_sha256();

    PG_TRY();
    {
        hash_row(hash, format, row);
        finish_sha256(hash, digest);
    }
    PG_FINALLY();
    {
        pg_cryptohash_free(hash);
    }
    PG_END_TRY();
}

MASTERING_FUNCTION(mastering_row_hash)
{
    HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
    uint8 digest[PG_SHA256_DIGEST_LENGTH];
    pg_uuid_t *result = palloc(sizeof(pg_uuid_t));

    digest_row(row_format(fcinfo->flinfo, row), row, digest);
    memcpy(result->data, digest, UUID_LEN);
    PG_RETURN_UUID_P(result);
}

/* stored_row_hash(row): what a row of a segment contributes to the segment's hash. */
MASTERING_FUNCTION(mastering_stored_row_hash)
{
    HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
    bytea *result = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);

    SET_VARSIZE(result, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
    digest_row(row_format(fcinfo->flinfo, row), row, (uint8 *)VARDATA(result));
    PG_RETURN_BYTEA_P(result);
}

static void
free_hash(void *argument)
{
    pg_cryptohash_free(argument);
}

MASTERING_FUNCTION(mastering_rows_hash_add)
{
    MemoryContext aggregate_context;
    pg_cryptohash_ctx *hash;

    if (!AggCheckCallContext(fcinfo, &aggregate_context))
        elog(ERROR, "rows_hash_add called outside an aggregate");
    if (PG_ARGISNULL(0)) {
        MemoryContext caller = MemoryContextSwitchTo(aggregate_context);
        MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));

        hash = new_sha256();
        callback->func = free_hash;
        callback->arg = hash;
        MemoryContextRegisterResetCallback(aggregate_context, callback);
        MemoryContextSwitchTo(caller);
    } else
        hash = (pg_cryptohash_ctx *)PG_GETARG_POINTER(0);
    if (PG_NARGS() > 2 && !PG_ARGISNULL(2)) {
        bytea *kept = PG_GETARG_BYTEA_PP(2);

        hash_bytes_or_fail(hash, VARDATA_ANY(kept), VARSIZE_ANY_EXHDR(kept));
    } else if (!PG_ARGISNULL(1)) {
        HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(1);
        uint8 digest[PG_SHA256_DIGEST_LENGTH];

        digest_row(row_format(fcinfo->flinfo, row), row, digest);
        hash_bytes_or_fail(hash, digest, sizeof(digest));
    }
    PG_RETURN_POINTER(hash);
}

MASTERING_FUNCTION(mastering_rows_hash_final)
{
    uint8 digest[PG_SHA256_DIGEST_LENGTH];
    char digits[2 * PG_SHA256_DIGEST_LENGTH + 1];
    pg_cryptohash_ctx *hash = PG_ARGISNULL(0) ? new_sha256() : (pg_cryptohash_ctx *)PG_GETARG_POINTER(0);

    finish_sha256(hash, digest);
    if (PG_ARGISNULL(0))
        pg_cryptohash_free(hash);
    hex_encode((char *)digest, sizeof(digest), digits);
    digits[2 * PG_SHA256_DIGEST_LENGTH] = '\0';
    PG_RETURN_TEXT_P(cstring_to_text(digits));
}
