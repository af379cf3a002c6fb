/*
 * row_hash.c: hashes of rows.
 *
 * A row is hashed as the texts of its values in UTF-8, each with its length before it and a marker for NULL,
 * so that no two different rows are written alike, and so that the hash survives a dump, a restore and a
 * change of the server's encoding. Where a row lies ("#segment" and "#row") is left out.
 *
 * rows_hash is a hash of the rows' hashes, so that a row that had to be erased still counts: the hash that it
 * had is kept and takes its place.
 *
 * row_image_hash is for rows that are compared within one server and one transaction: of the values as they
 * are in memory, which costs far less than to write them as text. Rows with the same hash are the same; the
 * same row may have two where a type has several images of one value.
 */
#include "compat.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "funcapi.h"
#include "kernel/sha256.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

typedef struct ColumnOutput {
    bool hashed;
    FmgrInfo function;
} ColumnOutput;

/* How rows of one type are hashed; what is needed for a row is kept for the next. */
typedef struct RowFormat {
    Oid type;
    int32 typmod;
    TupleDesc descriptor;
    ColumnOutput *columns;
    Datum *values;
    bool *nulls;
    StringInfoData bytes;
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
    format->values = palloc(sizeof(Datum) * Max(format->descriptor->natts, 1));
    format->nulls = palloc(sizeof(bool) * Max(format->descriptor->natts, 1));
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
    initStringInfo(&format->bytes);
    flinfo->fn_extra = format;
    MemoryContextSwitchTo(caller);
    return format;
}

static void
put_length(char *place, uint32 length)
{
    place[0] = length >> 24;
    place[1] = length >> 16;
    place[2] = length >> 8;
    place[3] = length;
}

/* The text of a value; those of the common types are written without a detour through a copy. */
static void
append_value(StringInfo bytes, FmgrInfo *output, Datum value)
{
    switch (output->fn_oid) {
    case F_TEXTOUT:
    case F_VARCHAROUT:
    case F_BPCHAROUT: {
        struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

        appendBinaryStringInfo(bytes, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
        if ((Pointer)text != DatumGetPointer(value))
            pfree(text);
        break;
    }
    case F_JSONB_OUT: {
        Jsonb *document = DatumGetJsonbP(value);

        JsonbToCString(bytes, &document->root, VARSIZE(document));
        if ((Pointer)document != DatumGetPointer(value))
            pfree(document);
        break;
    }
    default: {
        char *text = OutputFunctionCall(output, value);

        appendStringInfoString(bytes, text);
        pfree(text);
    }
    }
}

/* What is kept for the next row stays small. */
#define BYTES_AT_ONCE (64 * 1024)

static void
add_bytes(sha256_state *hash, StringInfo bytes)
{
    sha256_add(hash, bytes->data, bytes->len);
    resetStringInfo(bytes);
    if (bytes->maxlen > 4 * BYTES_AT_ONCE) {
        bytes->data = repalloc(bytes->data, BYTES_AT_ONCE);
        bytes->maxlen = BYTES_AT_ONCE;
    }
}

static void
digest_row(RowFormat *format, HeapTupleHeader row, uint8 *digest)
{
    StringInfo bytes = &format->bytes;
    HeapTupleData tuple = {
        .t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row, .t_tableOid = InvalidOid};
    sha256_state hash;
    /* There is no way to Unicode from these: bytes stay what they are. text_hash does the same. */
    bool has_unicode = GetDatabaseEncoding() != PG_SQL_ASCII && GetDatabaseEncoding() != PG_MULE_INTERNAL;

    ItemPointerSetInvalid(&tuple.t_self);
    heap_deform_tuple(&tuple, format->descriptor, format->values, format->nulls);
    sha256_start(&hash);
    resetStringInfo(bytes);
    for (int i = 0; i < format->descriptor->natts; i++) {
        int start;
        char *text, *utf8;

        if (!format->columns[i].hashed)
            continue;
        /* A value that fills the buffer has it for itself. */
        if (bytes->len > BYTES_AT_ONCE ||
            (bytes->len > 0 && !format->nulls[i] && TupleDescAttr(format->descriptor, i)->attlen == -1 &&
             toast_raw_datum_size(format->values[i]) > BYTES_AT_ONCE))
            add_bytes(&hash, bytes);
        start = bytes->len;
        appendBinaryStringInfo(bytes, "\377\377\377\377", 4); /* of NULL, that is all */
        if (format->nulls[i])
            continue;
        append_value(bytes, &format->columns[i].function, format->values[i]);
        text = bytes->data + start + 4;
        utf8 = has_unicode ? pg_server_to_any(text, bytes->len - start - 4, PG_UTF8) : text;
        if (utf8 != text) {
            bytes->len = start + 4;
            appendStringInfoString(bytes, utf8);
            pfree(utf8);
        }
        put_length(bytes->data + start, bytes->len - start - 4);
    }
    add_bytes(&hash, bytes);
    sha256_finish(&hash, digest);
}

MASTERING_FUNCTION(mastering_row_hash)
{
    HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
    uint8 digest[SHA256_BYTES];
    pg_uuid_t *result = palloc(sizeof(pg_uuid_t));

    digest_row(row_format(fcinfo->flinfo, row), row, digest);
    memcpy(result->data, digest, UUID_LEN);
    PG_RETURN_UUID_P(result);
}

/* stored_row_hash(row): what a row of a segment contributes to the segment's hash. */
MASTERING_FUNCTION(mastering_stored_row_hash)
{
    HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
    bytea *result = palloc(VARHDRSZ + SHA256_BYTES);

    SET_VARSIZE(result, VARHDRSZ + SHA256_BYTES);
    digest_row(row_format(fcinfo->flinfo, row), row, (uint8 *)VARDATA(result));
    PG_RETURN_BYTEA_P(result);
}

/* A value's bytes with their number before them: whether it is compressed, and how long its header is, says
 * nothing of it. */
static void
append_image(StringInfo bytes, Form_pg_attribute attribute, Datum value)
{
    const char *image;
    struct varlena *whole = NULL;
    uint32 length;

    if (attribute->attbyval) {
        image = (const char *)&value;
        length = sizeof(Datum);
    } else if (attribute->attlen == -1) {
        whole = PG_DETOAST_DATUM_PACKED(value);
        image = VARDATA_ANY(whole);
        length = VARSIZE_ANY_EXHDR(whole);
    } else {
        image = DatumGetPointer(value);
        length = attribute->attlen > 0 ? (uint32)attribute->attlen : (uint32)strlen(image);
    }
    appendBinaryStringInfo(bytes, (const char *)&length, sizeof length);
    appendBinaryStringInfo(bytes, image, (int)length);
    if (whole != NULL && (Pointer)whole != DatumGetPointer(value))
        pfree(whole);
}

/* row_image_hash(row) */
MASTERING_FUNCTION(mastering_row_image_hash)
{
    HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
    RowFormat *format = row_format(fcinfo->flinfo, row);
    StringInfo bytes = &format->bytes;
    HeapTupleData tuple = {
        .t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row, .t_tableOid = InvalidOid};
    pg_uuid_t *result = palloc(sizeof(pg_uuid_t));
    uint8 digest[SHA256_BYTES];
    sha256_state hash;

    ItemPointerSetInvalid(&tuple.t_self);
    heap_deform_tuple(&tuple, format->descriptor, format->values, format->nulls);
    sha256_start(&hash);
    resetStringInfo(bytes);
    for (int i = 0; i < format->descriptor->natts; i++) {
        if (!format->columns[i].hashed)
            continue;
        if (format->nulls[i])
            appendBinaryStringInfo(bytes, "\377\377\377\377", 4);
        else
            append_image(bytes, TupleDescAttr(format->descriptor, i), format->values[i]);
        if (bytes->len > BYTES_AT_ONCE)
            add_bytes(&hash, bytes);
    }
    add_bytes(&hash, bytes);
    sha256_finish(&hash, digest);
    memcpy(result->data, digest, UUID_LEN);
    PG_RETURN_UUID_P(result);
}

MASTERING_FUNCTION(mastering_rows_hash_add)
{
    MemoryContext aggregate_context;
    sha256_state *hash;

    if (!AggCheckCallContext(fcinfo, &aggregate_context))
        elog(ERROR, "rows_hash_add called outside an aggregate");
    if (PG_ARGISNULL(0)) {
        hash = MemoryContextAlloc(aggregate_context, sizeof(sha256_state));
        sha256_start(hash);
    } else
        hash = (sha256_state *)PG_GETARG_POINTER(0);
    if (PG_NARGS() > 2 && !PG_ARGISNULL(2)) {
        bytea *kept = PG_GETARG_BYTEA_PP(2);

        sha256_add(hash, VARDATA_ANY(kept), VARSIZE_ANY_EXHDR(kept));
    } else if (!PG_ARGISNULL(1)) {
        HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(1);
        uint8 digest[SHA256_BYTES];

        digest_row(row_format(fcinfo->flinfo, row), row, digest);
        sha256_add(hash, digest, sizeof(digest));
    }
    PG_RETURN_POINTER(hash);
}

MASTERING_FUNCTION(mastering_rows_hash_final)
{
    uint8 digest[SHA256_BYTES];
    char digits[2 * SHA256_BYTES + 1];
    sha256_state hash;

    if (PG_ARGISNULL(0))
        sha256_start(&hash);
    else
        hash = *(sha256_state *)PG_GETARG_POINTER(0);
    sha256_finish(&hash, digest);
    hex_encode((char *)digest, sizeof(digest), digits);
    digits[2 * SHA256_BYTES] = '\0';
    PG_RETURN_TEXT_P(cstring_to_text(digits));
}
