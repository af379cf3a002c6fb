/*
 * key_matches.c: key_matches(chunks, asked): which of many keys chunks of keys (engine/key_chunks.h) hold,
 * and the rows that have them. The keys are sorted once; the chunks come in any order, are read once each as
 * they lie in their pages, and what both have is found by going through both side by side.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "engine/key_chunks.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

typedef struct asked_entry {
    int32 rule;
    int64 key;
} asked_entry;

typedef struct key_receiver {
    DestReceiver receiver;
    Oid second; /* type of the second column; the first is the rule's number */
    asked_entry *asked;
    Size count, room;
    ReturnSetInfo *result;
} key_receiver;

static int
compare_asked(const void *a, const void *b)
{
    const asked_entry *x = a, *y = b;

    if (x->rule != y->rule)
        return x->rule < y->rule ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

static void
start_receiving(DestReceiver *self, int operation, TupleDesc description)
{
    if (description->natts != 2 || TupleDescAttr(description, 0)->atttypid != INT4OID ||
        TupleDescAttr(description, 1)->atttypid != ((key_receiver *)self)->second)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("a query for keys gives a rule (integer) and %s",
                                                            format_type_be(((key_receiver *)self)->second))));
}

static void
ignore_receiver(DestReceiver *self)
{
}

static bool
receive_asked(TupleTableSlot *slot, DestReceiver *self)
{
    key_receiver *state = (key_receiver *)self;

    slot_getallattrs(slot);
    if (slot->tts_isnull[0] || slot->tts_isnull[1])
        return true;
    if (state->count == state->room) {
        state->room *= 2;
        state->asked = repalloc_huge(state->asked, mul_size(state->room, sizeof(asked_entry)));
    }
    state->asked[state->count++] =
        (asked_entry){DatumGetInt32(slot->tts_values[0]), DatumGetInt64(slot->tts_values[1])};
    return true;
}

/* The place of the first asked key that is not less. */
static Size
find_asked(const key_receiver *state, asked_entry wanted)
{
    Size low = 0, high = state->count;

    while (low < high) {
        Size middle = low + (high - low) / 2;

        if (compare_asked(state->asked + middle, &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
match_chunk(const key_receiver *state, int32 rule, const bytea *entries)
{
    const uint8 *bytes = (const uint8 *)VARDATA_ANY(entries);
    int count = key_chunk_count(entries), at = 0;
    Size next;

    if (count == 0)
        return;
    next = find_asked(state, (asked_entry){rule, key_entry_key(bytes)});
    while (next < state->count && state->asked[next].rule == rule) {
        int64 key = state->asked[next++].key;

        at += key_chunk_find(bytes + at * KEY_ENTRY_BYTES, count - at, key);
        if (at == count)
            return;
        for (; at < count && key_entry_key(bytes + at * KEY_ENTRY_BYTES) == key; at++) {
            Datum values[3] = {Int32GetDatum(rule), Int64GetDatum(key),
                               Int32GetDatum(key_entry_row(bytes + at * KEY_ENTRY_BYTES))};
            bool nulls[3] = {false};

            tuplestore_putvalues(state->result->setResult, state->result->setDesc, values, nulls);
        }
    }
}

static bool
receive_chunk(TupleTableSlot *slot, DestReceiver *self)
{
    const key_receiver *state = (key_receiver *)self;
    bytea *entries;

    slot_getallattrs(slot);
    if (slot->tts_isnull[0] || slot->tts_isnull[1])
        return true;
    entries = DatumGetByteaPP(slot->tts_values[1]);
    match_chunk(state, DatumGetInt32(slot->tts_values[0]), entries);
    if ((Pointer)entries != DatumGetPointer(slot->tts_values[1]))
        pfree(entries);
    return true;
}

static void
run_query(const char *query, key_receiver *state)
{
    SPIExecuteOptions options = {.read_only = true, .dest = &state->receiver};
    int result = SPI_execute_extended(query, &options);

    if (result < 0)
        elog(ERROR, "keys could not be read: %s", SPI_result_code_string(result));
}

MASTERING_FUNCTION(mastering_key_matches)
{
    char *chunks = text_to_cstring(PG_GETARG_TEXT_PP(0)), *asked = text_to_cstring(PG_GETARG_TEXT_PP(1));
    key_receiver state = {.receiver = {.rStartup = start_receiving,
                                       .rShutdown = ignore_receiver,
                                       .rDestroy = ignore_receiver,
                                       .mydest = DestNone}};

    InitMaterializedSRF(fcinfo, 0);
    state.result = (ReturnSetInfo *)fcinfo->resultinfo;
    SPI_connect();
    state.room = 1024;
    state.asked = palloc(state.room * sizeof(asked_entry));
    state.second = INT8OID;
    state.receiver.receiveSlot = receive_asked;
    run_query(asked, &state);
    qsort(state.asked, state.count, sizeof(asked_entry), compare_asked);
    state.second = BYTEAOID;
    state.receiver.receiveSlot = receive_chunk;
    if (state.count > 0)
        run_query(chunks, &state);
    SPI_finish();
    return (Datum)0;
}
