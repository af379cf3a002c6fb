/*
 * record_sample.c: see record_sample.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/record_order.h"
#include "engine/record_sample.h"
#include "kernel/blocking.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Of a value beside its characters, at least: its head, what is kept of it by code, its place in the table.
 */
#define VALUE_OVERHEAD (sizeof(dictionary_value) + DICTIONARY_CODE_BYTES + sizeof(uint64))

/* Of a record beside its codes: its id or where its text is, and two entries for the pairs that a rule gives.
 */
#define RECORD_OVERHEAD (sizeof(int64) + 2 * sizeof(keyed_record))

record_sample *
record_sample_create(MemoryContext context, int columns, Size most)
{
    record_sample *sample = MemoryContextAllocZero(context, sizeof(record_sample));

    sample->most = most;
    sample->counted = MemoryContextAllocZero(context, Max(columns, 1) * sizeof(uint32));
    return sample;
}

/*
 * The hashes of ids that follow each other differ by what is nearly a constant, so that their first bits
 * would have both or neither in the sample; and copies often follow each other. (The last steps of
 * MurmurHash3, Appleby 2011.)
 */
static uint64
scatter(uint64 hash)
{
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 33;
}

static bool
takes_hash(const record_sample *sample, uint64 hash)
{
    return sample->zeros == 0 || scatter(hash) >> (64 - sample->zeros) == 0;
}

bool
record_sample_takes(record_sample *sample, int64 integer, const char *text)
{
    bool takes = sample->zeros == 0 || takes_hash(sample, record_order_hash(integer, text));

    sample->left_out += !takes;
    return takes;
}

static bool
fits(record_sample *sample, const record_store *store)
{
    for (int c = 0; c < store->column_count; c++) {
        const dictionary *values = store->columns[c].values;

        for (uint32 code = Max(sample->counted[c], 1); code < values->count; code++)
            sample->bytes += (Size)values->texts[code].length * values->texts[code].width +
                             KEPT_BESIDE(values->texts[code].length) + VALUE_OVERHEAD;
        sample->counted[c] = values->count;
    }
    for (; store->text_ids != NULL && sample->counted_ids < store->records.count; sample->counted_ids++)
        sample->bytes += strlen(store->text_ids[sample->counted_ids]) + 1;
    return sample->bytes +
               store->records.count * (store->records.stride * sizeof(uint32) + RECORD_OVERHEAD) <=
           sample->most;
}

/* A value of another dictionary; of a long one, how long the whole is stays known. */
static uint32
add_from(dictionary *to, const dictionary *from, uint32 code)
{
    text_view text = from->texts[code];

    if (code == 0)
        return 0;
    text.length = (uint32)dictionary_whole_length(from, code);
    return dictionary_add_kept(to, text, from->hashes[code], dictionary_second_hash(from, code));
}

/* Rows and ids of the records that stay, into memory of their own. */
static Size
leave_out(record_sample *sample, record_store *store)
{
    MemoryContext before = store->data;
    record_table old = store->records;
    Size stride = old.stride, room = Max(old.count, 1);
    int64 *integer_ids = store->integer_ids;
    char **text_ids = store->text_ids;
    uint32 *rows, kept = 0;

    store->data = AllocSetContextCreate(store->context, "mastering records", ALLOCSET_DEFAULT_SIZES);
    rows = big_alloc(store->data, mul_size(room, stride * sizeof(uint32)));
    if (integer_ids != NULL)
        store->integer_ids = big_alloc(store->data, mul_size(room, sizeof(int64)));
    else
        store->text_ids = big_alloc(store->data, mul_size(room, sizeof(char *)));
    for (uint32 record = 0; record < old.count; record++) {
        uint64 hash = record_order_hash(integer_ids != NULL ? integer_ids[record] : 0,
                                        integer_ids != NULL ? NULL : text_ids[record]);

        if (!takes_hash(sample, hash)) {
            sample->left_out++;
            continue;
        }
        memcpy(rows + kept * stride, record_row(&old, record), stride * sizeof(uint32));
        if (integer_ids != NULL)
            store->integer_ids[kept++] = integer_ids[record];
        else
            store->text_ids[kept++] = MemoryContextStrdup(store->data, text_ids[record]);
    }
    for (int c = 0; c < store->column_count; c++) {
        const dictionary *values = store->columns[c].values;
        dictionary *fewer = dictionary_create(store->data);

        for (uint32 record = 0; record < kept; record++) {
            uint32 *code = rows + record * stride + c;

            *code = add_from(fewer, values, *code);
            if ((record & 0xffff) == 0)
                CHECK_FOR_INTERRUPTS();
        }
        store->columns[c].values = fewer;
        sample->counted[c] = 0;
    }
    sample->bytes = 0;
    sample->counted_ids = 0;
    store->records.rows = rows;
    store->records.count = kept;
    MemoryContextDelete(before);
    return room;
}

Size
record_sample_fit(record_sample *sample, record_store *store)
{
    Size room = 0;

    while (!fits(sample, store) && sample->zeros < 63) {
        sample->zeros++;
        room = leave_out(sample, store);
    }
    return room;
}
