/*
 * key_index.c: the blocking keys of records as chunks (see engine/key_chunks.h): made, read and, where a
 * record is erased, written again without it.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "engine/blocks.h"
#include "engine/hash_sort.h"
#include "engine/key_chunks.h"
#include "engine/run.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "settings.h"
#include "sql/arguments.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

/* ---- making ---- */

#define SIGN_BIT UINT64_C(0x8000000000000000)
#define MOST_PASSES 256

typedef struct chunk_writer {
    ReturnSetInfo *result;
    int32 rule;
    int count;
    int64 first;
    uint8 entries[KEY_CHUNK_ENTRIES * KEY_ENTRY_BYTES];
} chunk_writer;

static void
write_chunk(chunk_writer *writer)
{
    Size size = (Size)writer->count * KEY_ENTRY_BYTES;
    bytea *entries;
    Datum values[3];
    bool nulls[3] = {false};

    if (writer->count == 0)
        return;
    entries = palloc(VARHDRSZ + size);
    SET_VARSIZE(entries, VARHDRSZ + size);
    memcpy(VARDATA(entries), writer->entries, size);
    values[0] = Int64GetDatum(writer->first);
    values[1] = Int32GetDatum(writer->rule);
    values[2] = PointerGetDatum(entries);
    tuplestore_putvalues(writer->result->setResult, writer->result->setDesc, values, nulls);
    pfree(entries);
    writer->count = 0;
}

static int
compare_rows(const void *a, const void *b)
{
    uint32 x = ((const keyed_record *)a)->record, y = ((const keyed_record *)b)->record;

    return x < y ? -1 : x > y;
}

static void
write_sorted(chunk_writer *writer, keyed_record *entries, Size count)
{
    for (Size start = 0, end; start < count; start = end) {
        int64 whole = 0; /* chunks of this key alone */

        for (end = start + 1; end < count && entries[end].key == entries[start].key; end++)
            ;
        if (end - start > 1)
            qsort(entries + start, end - start, sizeof(keyed_record), compare_rows);
        for (Size i = start; i < end; i++) {
            int64 key = (int64)(entries[i].key ^ SIGN_BIT);

            if (writer->count == 0)
                writer->first = key;
            key_entry_write(writer->entries + writer->count++ * KEY_ENTRY_BYTES, key,
                            (int32)entries[i].record, NO_PLACE);
            if (writer->count == KEY_CHUNK_ENTRIES) {
                whole += writer->first == key;
                write_chunk(writer);
            }
        }
        /* Of several chunks that begin alike an index does not say which is the last; none has other keys. */
        if (whole > 0)
            write_chunk(writer);
        if ((start & 0xff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
}

/* The part of a key's range in which it lies, of so many. */
static inline int
pass_of(uint64 key, int passes)
{
    return (int)((key >> 32) * (uint64)passes >> 32);
}

/* The keys of one rule: in passes over ranges of keys, so that what is sorted at a time fits a run's memory.
 */
static void
write_rule(match_run *run, int rule, chunk_writer *writer)
{
    uint64 keys[MAX_KEYS_OF_RECORD], counts[MOST_PASSES] = {0};
    uint32 records = run->store->records.count;
    uint64 total = 0;
    int passes;

    for (uint32 record = 0; record < records; record++) {
        uint32 found = blocks_record_keys(run, rule, record, keys);

        total += found;
        for (uint32 i = 0; i < found; i++)
            counts[pass_of(keys[i] ^ SIGN_BIT, MOST_PASSES)]++;
        if ((record & 0xfff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    passes = 1;
    while (passes < MOST_PASSES && total / passes > mastering_memory_budget() / (2 * sizeof(keyed_record)))
        passes *= 2;
    writer->rule = rule + 1;
    for (int pass = 0; pass < passes; pass++) {
        keyed_record *unsorted, *sorted;
        uint64 count = 0, used = 0;

        for (int i = pass * (MOST_PASSES / passes); i < (pass + 1) * (MOST_PASSES / passes); i++)
            count += counts[i];
        if (count == 0)
            continue;
        unsorted = MemoryContextAllocHuge(run->context, mul_size(count, sizeof(keyed_record)));
        sorted = MemoryContextAllocHuge(run->context, mul_size(count, sizeof(keyed_record)));
        for (uint32 record = 0; record < records; record++) {
            uint32 found = blocks_record_keys(run, rule, record, keys);

            for (uint32 i = 0; i < found; i++)
                if (pass_of(keys[i] ^ SIGN_BIT, passes) == pass)
                    unsorted[used++] =
                        (keyed_record){keys[i] ^ SIGN_BIT, (uint32)run->store->integer_ids[record], 0};
            if ((record & 0xfff) == 0)
                CHECK_FOR_INTERRUPTS();
        }
        hash_sort_all(run->threads, unsorted, count, sorted);
        write_sorted(writer, sorted, count);
        pfree(sorted);
        pfree(unsorted);
    }
    write_chunk(writer);
}

/* key_chunks(query, spec): the keys of a query's records, whose ids are the numbers of their rows. */
MASTERING_FUNCTION(mastering_key_chunks)
{
    char *query = query_argument(fcinfo, 0);
    match_spec *spec = spec_argument(fcinfo, 1, "specification");
    match_run_options run_options = {0};
    chunk_writer writer = {0};
    match_run *run;

    InitMaterializedSRF(fcinfo, 0);
    writer.result = (ReturnSetInfo *)fcinfo->resultinfo;
    run = match_run_open(query, spec, &run_options);
    if (run->store->integer_ids == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("the ids of the query are no numbers of rows")));
    for (int rule = 0; rule < spec->rule_count; rule++)
        if (spec->rules[rule].top_k == 0)
            write_rule(run, rule, &writer);
    match_run_close(run);
    return (Datum)0;
}

/* ---- reading ---- */

/* key_chunk_rows(entries, key): the rows that have a key. */
MASTERING_FUNCTION(mastering_key_chunk_rows)
{
    const bytea *entries = PG_GETARG_BYTEA_PP(0);
    int64 key = PG_GETARG_INT64(1);
    const uint8 *bytes = (const uint8 *)VARDATA_ANY(entries);
    int count = key_chunk_count(entries), first = key_chunk_find(bytes, count, key), end = first;
    Datum *rows;

    while (end < count && key_entry_key(bytes + end * KEY_ENTRY_BYTES) == key)
        end++;
    rows = palloc(sizeof(Datum) * Max(end - first, 1));
    for (int i = first; i < end; i++)
        rows[i - first] = Int32GetDatum(key_entry_row(bytes + i * KEY_ENTRY_BYTES));
    PG_RETURN_ARRAYTYPE_P(construct_array(rows, end - first, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* key_chunk_entries(entries): keys, rows and, where they are known, their places. */
MASTERING_FUNCTION(mastering_key_chunk_entries)
{
    ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
    const bytea *entries;
    const uint8 *bytes;
    int count;

    InitMaterializedSRF(fcinfo, 0);
    if (PG_ARGISNULL(0))
        return (Datum)0;
    entries = PG_GETARG_BYTEA_PP(0);
    bytes = (const uint8 *)VARDATA_ANY(entries);
    count = key_chunk_count(entries);
    for (int i = 0; i < count; i++) {
        const uint8 *entry = bytes + i * KEY_ENTRY_BYTES;
        ItemPointerData place = row_place_pointer(key_entry_place(entry));
        Datum values[3] = {Int64GetDatum(key_entry_key(entry)), Int32GetDatum(key_entry_row(entry)),
                           PointerGetDatum(&place)};
        bool nulls[3] = {false, false, key_entry_place(entry) == NO_PLACE};

        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return (Datum)0;
}

/* key_chunk_without(entries, rows): what is left of a chunk without the entries of some rows. */
MASTERING_FUNCTION(mastering_key_chunk_without)
{
    const bytea *entries = PG_GETARG_BYTEA_PP(0);
    const uint8 *bytes = (const uint8 *)VARDATA_ANY(entries);
    ArrayType *rows = PG_GETARG_ARRAYTYPE_P(1);
    int count = key_chunk_count(entries), row_count, kept = 0;
    bytea *left = palloc(VARHDRSZ + (Size)count * KEY_ENTRY_BYTES);
    Datum *gone;
    bool *nulls;

    deconstruct_array(rows, INT4OID, sizeof(int32), true, TYPALIGN_INT, &gone, &nulls, &row_count);
    for (int i = 0; i < count; i++) {
        const uint8 *entry = bytes + i * KEY_ENTRY_BYTES;
        bool keep = true;

        for (int r = 0; r < row_count && keep; r++)
            keep = nulls[r] || DatumGetInt32(gone[r]) != key_entry_row(entry);
        if (keep)
            memcpy((uint8 *)VARDATA(left) + kept++ * KEY_ENTRY_BYTES, entry, KEY_ENTRY_BYTES);
    }
    SET_VARSIZE(left, VARHDRSZ + (Size)kept * KEY_ENTRY_BYTES);
    PG_RETURN_BYTEA_P(left);
}
