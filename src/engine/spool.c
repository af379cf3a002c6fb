/*
 * spool.c: see spool.h.
 *
 * A record in a file, every field at a multiple of 8 bytes so that wide characters can be looked at where
 * they are: its size; the hash of its id; the id (an integer, or a text and its end); and of each column the
 * length and width of its text, two hashes when the text was cut, and the characters.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/spool.h"
#include "kernel/hash.h"
#include "kernel/radix_sort.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define FEW_PART_BITS 4
#define MANY_PART_BITS 8
#define MUCH_MEMORY ((Size)64 * 1024 * 1024) /* from which on there may be many */

/* What a value takes in a store beside its characters: view, hash, number of records, place, profile. */
#define VALUE_OVERHEAD 64

typedef struct record_header {
    uint32 size;      /* with this header */
    uint32 id_length; /* with the end of the text; 0: an integer */
    uint64 id_hash;
    uint64 source; /* its code; 0: none */
} record_header;

typedef struct value_header {
    uint32 length, width;
} value_header;

spool *
spool_create(MemoryContext context, int column_count, Size budget)
{
    MemoryContext before = MemoryContextSwitchTo(context);
    spool *made = palloc0(sizeof(spool));

    made->context = context;
    made->column_count = column_count;
    made->part_bits = budget < MUCH_MEMORY ? FEW_PART_BITS : MANY_PART_BITS;
    made->part_count = 1 << made->part_bits;
    made->parts = palloc0(made->part_count * sizeof(BufFile *));
    made->part_bytes = palloc0(made->part_count * sizeof(uint64));
    initStringInfo(&made->buffer);
    MemoryContextSwitchTo(before);
    return made;
}

void
spool_free(spool *spool)
{
    for (int p = 0; p < spool->part_count; p++)
        if (spool->parts[p] != NULL)
            BufFileClose(spool->parts[p]);
    if (spool->sorted != NULL)
        BufFileClose(spool->sorted);
    pfree(spool->buffer.data);
    pfree(spool->parts);
    pfree(spool->part_bytes);
    pfree(spool);
}

/* ---- writing ---- */

/* What a record's values take in a file, at most and without their characters. */
#define VALUE_SPACE (sizeof(value_header) + 2 * sizeof(uint64) + 8)

#define VIEWS_AHEAD 24
#define CHARACTERS_AHEAD 12
#define RECORDS_AHEAD 8

/* What lies behind the codes of records to come is fetched meanwhile: most of it is read once. */
static inline void
fetch_ahead(const record_store *store, int columns, uint32 record)
{
    if (record + VIEWS_AHEAD < store->records.count) {
        const uint32 *row = record_row(&store->records, record + VIEWS_AHEAD);

        for (int i = 0; i < columns; i++)
            __builtin_prefetch(&store->columns[i].values->texts[row[i]]);
    }
    if (record + CHARACTERS_AHEAD < store->records.count) {
        const uint32 *row = record_row(&store->records, record + CHARACTERS_AHEAD);

        for (int i = 0; i < columns; i++)
            if (row[i] != 0)
                __builtin_prefetch(store->columns[i].values->texts[row[i]].chars);
    }
}

/* Copies bytes up to a multiple of 8; returns where that is. */
static inline char *
append(char *to, const void *bytes, Size size)
{
    Size aligned = TYPEALIGN(8, size);

    memcpy(to, bytes, size);
    memset(to + size, 0, aligned - size);
    return to + aligned;
}

static char *
append_value(spool *spool, char *to, const dictionary *values, uint32 code)
{
    text_view text = code == 0 ? (text_view){NULL, 0, 1} : values->texts[code];
    value_header header = {text.length, text.width};
    Size size = (Size)text.length * text.width;

    spool->memory += sizeof(uint32);
    to = append(to, &header, sizeof header);
    if (text.length == COMPARED_CHARACTERS) {
        uint64 hashes[2] = {values->hashes[code], dictionary_second_hash(values, code)};

        to = append(to, hashes, sizeof hashes);
    }
    if (size == 0)
        return to;
    spool->memory += VALUE_OVERHEAD + size;
    return append(to, text.chars, size);
}

/* What a record takes in a file, at most. */
static Size
space_of(const spool *spool, const record_store *store, const uint32 *row, Size id_length)
{
    Size space = sizeof(record_header) + TYPEALIGN(8, id_length) + spool->column_count * VALUE_SPACE;

    for (int i = 0; i < spool->column_count; i++) {
        const text_view *text = &store->columns[i].values->texts[row[i]];

        space += row[i] == 0 ? 0 : (Size)text->length * text->width;
    }
    return space;
}

void
spool_add(spool *spool, const record_store *store)
{
    MemoryContext before = MemoryContextSwitchTo(spool->context);

    for (uint32 record = 0; record < store->records.count; record++) {
        const uint32 *row = record_row(&store->records, record);
        char id_buffer[24];
        const char *id = record_store_id(store, record, id_buffer);
        Size id_length = strlen(id), size;
        record_header header = {0, 0, hash_bytes(id, id_length),
                                store->source_slot < 0 ? 0 : row[store->source_slot]};
        /* The sort takes the parts one after the other: they are in the order of the hash. */
        int part = (int)(header.id_hash >> (64 - spool->part_bits));
        char *to;

        fetch_ahead(store, spool->column_count, record);
        resetStringInfo(&spool->buffer);
        enlargeStringInfo(&spool->buffer, (int)space_of(spool, store, row, id_length + 1));
        header.id_length = store->integer_ids == NULL ? (uint32)id_length + 1 : 0;
        to = spool->buffer.data + sizeof header;
        if (store->integer_ids != NULL)
            to = append(to, &store->integer_ids[record], sizeof(int64));
        else
            to = append(to, id, header.id_length);
        for (int i = 0; i < spool->column_count; i++)
            to = append_value(spool, to, store->columns[i].values, row[i]);
        size = (Size)(to - spool->buffer.data);
        header.size = (uint32)size;
        memcpy(spool->buffer.data, &header, sizeof header);

        if (spool->parts[part] == NULL)
            spool->parts[part] = BufFileCreateTemp(false);
        BufFileWrite(spool->parts[part], spool->buffer.data, size);
        spool->part_bytes[part] += (uint64)size;
        spool->bytes += (uint64)size;
        spool->memory += sizeof(int64) + header.id_length;
        if ((record & 0xfff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    spool->count += store->records.count;
    MemoryContextSwitchTo(before);
}

Size
spool_write_numbered(BufFile *file, const spool_record *record)
{
    uint64 number = record->number;

    BufFileWrite(file, &number, sizeof number);
    BufFileWrite(file, unconstify(char *, record->bytes), record->size);
    return sizeof number + record->size;
}

/* ---- order ---- */

static inline const record_header *
header_of(const char *bytes)
{
    return (const record_header *)(const void *)bytes;
}

static int
compare_ids(const char *a, const char *b)
{
    uint32 length_a = header_of(a)->id_length, length_b = header_of(b)->id_length;

    a += sizeof(record_header);
    b += sizeof(record_header);
    if (length_a == 0) {
        int64 x = *(const int64 *)(const void *)a, y = *(const int64 *)(const void *)b;

        return x < y ? -1 : x > y;
    }
    if (length_a != length_b)
        return length_a < length_b ? -1 : 1;
    return memcmp(a, b, length_a);
}

static void
duplicate_id(const char *bytes)
{
    char buffer[24];
    const char *id = bytes + sizeof(record_header);

    if (header_of(bytes)->id_length == 0) {
        pg_lltoa(*(const int64 *)(const void *)id, buffer);
        id = buffer;
    }
    record_store_duplicate_id(id);
}

/* Ties of hashes by the ids themselves. */
static void
order_ties(keyed_record *order, Size count, char *const *places)
{
    for (Size i = 1; i < count; i++) {
        for (Size j = i; j > 0 && order[j].key == order[j - 1].key; j--) {
            int comparison = compare_ids(places[order[j - 1].record], places[order[j].record]);
            keyed_record swap = order[j];

            if (comparison == 0)
                duplicate_id(places[order[j].record]);
            if (comparison < 0)
                break;
            order[j] = order[j - 1];
            order[j - 1] = swap;
        }
    }
}

char *
spool_read_file(BufFile *file, Size size)
{
    char *bytes = big_alloc(CurrentMemoryContext, Max(size, 1));

    if (BufFileSeek(file, 0, 0, SEEK_SET) != 0)
        ereport(ERROR, (errcode_for_file_access(), errmsg("could not rewind a temporary file")));
    if (BufFileRead(file, bytes, size) != size)
        ereport(ERROR, (errcode_for_file_access(), errmsg("could not read from a temporary file")));
    return bytes;
}

static void
sort_part(spool *spool, BufFile *part, Size size)
{
    Size count = 0, i = 0;
    char *bytes = spool_read_file(part, size), **places;
    keyed_record *order, *scratch;

    for (Size at = 0; at < size; at += header_of(bytes + at)->size)
        count++;
    places = big_alloc(CurrentMemoryContext, mul_size(count, sizeof(char *)));
    order = big_alloc(CurrentMemoryContext, mul_size(count, sizeof(keyed_record)));
    scratch = big_alloc(CurrentMemoryContext, mul_size(count, sizeof(keyed_record)));
    for (Size at = 0; at < size; at += header_of(bytes + at)->size, i++) {
        places[i] = bytes + at;
        order[i] = (keyed_record){header_of(bytes + at)->id_hash, (uint32)i, 0};
    }
    radix_sort_keys(order, scratch, count);
    order_ties(order, count, places);
    for (i = 0; i < count; i++) {
        char *record = places[order[i].record];

        if (i + RECORDS_AHEAD < count) {
            char *ahead = places[order[i + RECORDS_AHEAD].record];

            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + 64);
            __builtin_prefetch(ahead + 128);
        }
        BufFileWrite(spool->sorted, record, header_of(record)->size);
        if ((i & 0xfff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
}

void
spool_sort(spool *spool)
{
    MemoryContext before = MemoryContextSwitchTo(spool->context), sorting;

    spool->sorted = BufFileCreateTemp(false);
    sorting = AllocSetContextCreate(spool->context, "mastering sort", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(sorting);
    for (int p = 0; p < spool->part_count; p++) {
        if (spool->parts[p] == NULL)
            continue;
        sort_part(spool, spool->parts[p], (Size)spool->part_bytes[p]);
        BufFileClose(spool->parts[p]);
        spool->parts[p] = NULL;
        MemoryContextReset(sorting);
    }
    MemoryContextSwitchTo(before);
    MemoryContextDelete(sorting);
}

/* ---- reading ---- */

void
spool_scan_open(spool_scan *scan, const spool *spool, BufFile *file)
{
    *scan =
        (spool_scan){.spool = spool, .file = file == NULL ? spool->sorted : file, .numbered = file != NULL};
    scan->allocated = 4096;
    scan->bytes = palloc(scan->allocated);
    scan->values = palloc(Max(spool->column_count, 1) * sizeof(spool_value));
    if (BufFileSeek(scan->file, 0, 0, SEEK_SET) != 0)
        ereport(ERROR, (errcode_for_file_access(), errmsg("could not rewind a temporary file")));
}

void
spool_scan_close(spool_scan *scan)
{
    pfree(scan->bytes);
    pfree(scan->values);
}

static void
read_exactly(spool_scan *scan, void *to, Size size)
{
    if (BufFileRead(scan->file, to, size) != size)
        ereport(ERROR, (errcode_for_file_access(), errmsg("could not read from a temporary file")));
}

static void
read_values(spool_scan *scan, const char *at)
{
    for (int i = 0; i < scan->spool->column_count; i++) {
        spool_value *value = &scan->values[i];
        const value_header *header = (const value_header *)(const void *)at;

        at += sizeof(value_header);
        *value = (spool_value){.text = {at, header->length, (uint8_t)header->width}};
        if (header->length == COMPARED_CHARACTERS) {
            const uint64 *hashes = (const uint64 *)(const void *)at;

            value->hash = hashes[0];
            value->second_hash = hashes[1];
            at += 2 * sizeof(uint64);
            value->text.chars = at;
        }
        at += TYPEALIGN(8, (Size)header->length * header->width);
    }
}

bool
spool_scan_next(spool_scan *scan)
{
    spool_record *record = &scan->record;
    record_header header;
    const char *id;

    if (scan->numbered) {
        uint64 number;
        Size got = BufFileRead(scan->file, &number, sizeof number);

        if (got == 0)
            return false;
        if (got != sizeof number)
            ereport(ERROR, (errcode_for_file_access(), errmsg("could not read from a temporary file")));
        record->number = (uint32)number;
    } else {
        if (scan->next == scan->spool->count)
            return false;
        record->number = scan->next;
    }
    if ((++scan->next & 0xfff) == 0)
        CHECK_FOR_INTERRUPTS();
    read_exactly(scan, &header, sizeof header);
    if (header.size > scan->allocated) {
        pfree(scan->bytes);
        scan->allocated = add_size(header.size, header.size / 2);
        scan->bytes = big_alloc(CurrentMemoryContext, scan->allocated);
    }
    memcpy(scan->bytes, &header, sizeof header);
    read_exactly(scan, scan->bytes + sizeof header, header.size - sizeof header);
    id = scan->bytes + sizeof header;
    record->bytes = scan->bytes;
    record->size = header.size;
    record->source = (uint32)header.source;
    record->values = scan->values;
    record->text_id = header.id_length > 0 ? id : NULL;
    record->integer_id = header.id_length > 0 ? 0 : *(const int64 *)(const void *)id;
    read_values(scan, id + (header.id_length > 0 ? TYPEALIGN(8, header.id_length) : sizeof(int64)));
    return true;
}
