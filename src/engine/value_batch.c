/*
 * value_batch.c: see value_batch.h.
 */
#include "compat.h"

#include "engine/value_batch.h"
#include "kernel/parallel.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/memutils.h"

/*
 * Values of one column, and characters of all, that wait together. Each batch costs a change of threads, so
 * they are large where there is memory; the values of many columns share it.
 */
#define FEW_VALUES 4096
#define MANY_VALUES 16384
#define MUCH_MEMORY ((Size)256 * 1024 * 1024)
#define COLUMNS_IN_FULL 8
#define CHARACTERS_A_VALUE 128

/* Values whose look-ups a thread lets overlap; of many more a processor forgets what it was asked for. */
#define LOOK_UPS 32

typedef struct waiting_value {
    text_view text; /* characters in the batch */
    uint32 record;
    uint32 code;
    bool plain; /* bytes of ASCII, not yet normalised */
} waiting_value;

typedef struct waiting_column {
    int column;
    uint32 count;
    Size bytes; /* of all values */
    normalize_mode mode;
    waiting_value *values; /* batch->most_values */
} waiting_column;

/* One of two: while one is looked up, the other is filled. */
typedef struct batch_part {
    const value_batch *batch;
    waiting_column *columns;
    Size characters_used;
    char *characters;
    bool looked_up; /* codes are there, or will be when parallel_end returns */
} batch_part;

struct value_batch {
    record_store *store;
    int threads;
    int column_count;
    uint32 most_values;   /* of one column, in a part */
    Size most_characters; /* in a part */
    batch_part parts[2];
    int filling; /* the part that takes values */
    Size bytes;  /* of all values that were added */
};

/* After an error: no thread may go on with memory that is about to be freed. */
static void
abandon(void *argument)
{
    value_batch *batch = argument;

    for (int p = 0; p < 2; p++)
        parallel_abandon(&batch->parts[p]);
}

value_batch *
value_batch_create(MemoryContext context, record_store *store, int threads)
{
    value_batch *batch = MemoryContextAllocZero(context, sizeof(value_batch));
    MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));

    batch->store = store;
    batch->threads = threads;
    batch->column_count = store->column_count;
    batch->most_values = mastering_memory_budget() < MUCH_MEMORY ? FEW_VALUES : MANY_VALUES;
    batch->most_characters = (Size)batch->most_values * CHARACTERS_A_VALUE;
    if (store->column_count > COLUMNS_IN_FULL)
        batch->most_values = batch->most_values * COLUMNS_IN_FULL / (uint32)store->column_count;
    for (int p = 0; p < 2; p++) {
        batch_part *part = &batch->parts[p];

        part->batch = batch;
        part->columns = MemoryContextAllocZero(context, Max(store->column_count, 1) * sizeof(waiting_column));
        part->characters = MemoryContextAlloc(context, batch->most_characters);
        for (int i = 0; i < store->column_count; i++) {
            part->columns[i].column = i;
            part->columns[i].values = MemoryContextAlloc(context, batch->most_values * sizeof(waiting_value));
        }
    }
    callback->func = abandon;
    callback->arg = batch;
    MemoryContextRegisterResetCallback(context, callback);
    return batch;
}

/* Up to LOOK_UPS values, which become codes in the rows. */
static void
look_up_some(const record_store *store, int column, normalize_mode mode, waiting_value *values, uint32 count)
{
    dictionary *dictionary = store->columns[column].values;
    uint64 hashes[LOOK_UPS];

    for (uint32 i = 0; i < count; i++) {
        text_view *text = &values[i].text;

        if (values[i].plain)
            text->length =
                normalize_ascii_in_place(mode, unconstify(char *, (const char *)text->chars), text->length);
        hashes[i] = dictionary_hash(*text);
        dictionary_prefetch_place(dictionary, hashes[i]);
    }
    dictionary_prefetch_values(dictionary, hashes, count);
    for (uint32 i = 0; i < count; i++)
        values[i].code = values[i].text.length == 0 /* an empty text is a missing value */
                             ? 0
                             : dictionary_add_reserved(dictionary, values[i].text, hashes[i]);
}

static void
work_on_column(void *context, int64_t item, int thread)
{
    const batch_part *part = context;
    const waiting_column *column = &part->columns[item];

    for (uint32 first = 0; first < column->count; first += LOOK_UPS)
        look_up_some(part->batch->store, column->column, column->mode, column->values + first,
                     Min(LOOK_UPS, column->count - first));
}

/*
 * Codes go into the rows here and not where they are found: threads that write different columns of the same
 * rows would take the cache lines from each other.
 */
static void
write_codes(value_batch *batch, batch_part *part)
{
    uint32 *rows = (uint32 *)batch->store->records.rows;
    Size stride = batch->store->records.stride;

    for (int i = 0; i < batch->column_count; i++) {
        waiting_column *column = &part->columns[i];

        for (uint32 v = 0; v < column->count; v++)
            rows[column->values[v].record * stride + i] = column->values[v].code;
        column->count = 0;
        column->bytes = 0;
    }
    part->characters_used = 0;
    part->looked_up = false;
}

void
value_batch_wait(value_batch *batch)
{
    batch_part *part = &batch->parts[1 - batch->filling];

    parallel_end();
    if (part->looked_up)
        write_codes(batch, part);
    CHECK_FOR_INTERRUPTS();
}

/* Has the part that was filled looked up, and goes on with the other one. */
static void
start_looking_up(value_batch *batch)
{
    batch_part *part = &batch->parts[batch->filling];

    value_batch_wait(batch);
    for (int i = 0; i < batch->column_count; i++) {
        waiting_column *column = &part->columns[i];

        if (column->count > 0)
            dictionary_reserve(batch->store->columns[column->column].values, column->count, column->bytes);
    }
    part->looked_up = true;
    batch->filling = 1 - batch->filling;
    parallel_begin(batch->threads, batch->column_count, work_on_column, part);
}

void
value_batch_finish(value_batch *batch)
{
    start_looking_up(batch);
    value_batch_wait(batch);
}

/* A value that is too long to wait. */
static void
add_at_once(value_batch *batch, int column, uint32 record, text_view text)
{
    record_store *store = batch->store;
    uint32 code;

    value_batch_finish(batch);
    code = dictionary_add(store->columns[column].values, text);
    ((uint32 *)store->records.rows)[(Size)record * store->records.stride + column] = code;
}

void
value_batch_add(value_batch *batch, value_reader *reader, int i, uint32 record, Datum value)
{
    batch_part *part = &batch->parts[batch->filling];
    waiting_column *column = &part->columns[i];
    waiting_value *waiting;
    text_view text;
    const char *bytes;
    uint32 length;
    Size size;
    normalize_mode mode = NORMALIZE_NONE;
    bool plain = value_reader_plain(reader, value, &bytes, &length, &mode);

    if (plain)
        text = (text_view){bytes, length, 1};
    else {
        value_state read = value_reader_read(reader, value, &text);

        if (read == VALUE_UNREADABLE)
            batch->store->columns[i].unreadable++;
        if (read != VALUE_READ)
            return;
    }
    size = (Size)text.length * text.width;
    batch->bytes += size;
    if (size > batch->most_characters / 4) {
        add_at_once(batch, i, record, text);
        return;
    }
    if (column->count == batch->most_values ||
        MAXALIGN(size) > batch->most_characters - part->characters_used) {
        start_looking_up(batch);
        part = &batch->parts[batch->filling];
        column = &part->columns[i];
    }
    waiting = &column->values[column->count++];
    text.chars = memcpy(part->characters + part->characters_used, text.chars, size);
    part->characters_used += MAXALIGN(size);
    if (plain)
        column->mode = mode;
    *waiting = (waiting_value){.text = text, .record = record, .plain = plain};
    /* Of a long text more is kept than its beginning. */
    column->bytes += Min(size, (Size)COMPARED_CHARACTERS * text.width) + KEPT_BESIDE(text.length);
}

Size
value_batch_bytes(const value_batch *batch)
{
    return batch->bytes;
}
