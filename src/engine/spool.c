/*
 * spool.c: see spool.h.
 *
 * A record in a file: its header, the id (an integer, or a text and its end), and from the next multiple of 8
 * bytes on its values up to another: of each column a head that says length and width, two hashes when the
 * text was cut, and the characters, wide ones at a multiple of their width. A numbered record is a header of
 * another kind and the values.
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

/* What a value takes in a store beside its characters: view, hash, number of records, place, profile, bit
 * planes. */
#define VALUE_OVERHEAD 80

typedef struct record_header {
    uint32 size;      /* with this header */
    uint32 id_length; /* with the end of the text; 0: an integer */
    uint32 source;    /* its code; 0: none */
    uint32 hash_high, hash_low;
} record_header;

typedef struct numbered_header {
    uint32 number;
    uint32 size; /* of the values */
    uint32 source, none;
} numbered_header;

/* Length and width in one: the width's two bits are those of width / 2. */
typedef uint16 value_head;
#define HEAD_OF(length, width) ((value_head)((width) / 2 << 14 | (length)))
#define HEAD_LENGTH(head) ((uint32)(head)&0x3fff)
#define HEAD_WIDTH(head) ((uint8_t)Max((head) >> 14 << 1, 1))
StaticAssertDecl(COMPARED_CHARACTERS <= 0x3fff, "a length has 14 bits");

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

/* What a value takes in a file beside its characters, at most. */
#define VALUE_SPACE (sizeof(value_head) + 2 * sizeof(uint64) + sizeof(uint32))

#define VIEWS_AHEAD 24
#define CHARACTERS_AHEAD 12
#define RECORDS_AHEAD 8

/* What lies behind the codes of records to come is fetched meanwhile: most of it is read once. */
FETCH_INLINE void
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

static inline char *
append(char *to, const void *bytes, Size size)
{
    memcpy(to, bytes, size);
    return to + size;
}

static inline char *
append_zeros(char *to, Size size)
{
    memset(to, 0, size);
    return to + size;
}

/* Bytes from the start of the values to a multiple of the width of characters. */
static inline Size
gap_before(const char *values, const char *at, uint8_t width)
{
    Size offset = (Size)(at - values);

    return TYPEALIGN(width, offset) - offset;
}

static char *
append_value(spool *spool, const char *values, char *to, const dictionary *dictionary, uint32 code)
{
    text_view text = code == 0 ? (text_view){NULL, 0, 1} : dictionary->texts[code];
    value_head head = HEAD_OF(text.length, text.width);
    Size size = (Size)text.length * text.width;

    spool->most_memory += sizeof(uint32);
    to = append(to, &head, sizeof head);
    if (size == 0)
        return to;
    if (text.length == COMPARED_CHARACTERS) {
        uint64 hashes[2] = {dictionary->hashes[code], dictionary_second_hash(dictionary, code)};

        to = append(to, hashes, sizeof hashes);
    }
    spool->most_memory += VALUE_OVERHEAD + size;
    to = append_zeros(to, gap_before(values, to, text.width));
    return append(to, text.chars, size);
}

/* What a record takes in a file, at most. */
static Size
space_of(const spool *spool, const record_store *store, const uint32 *row, Size id_length)
{
    Size space = TYPEALIGN(8, sizeof(record_header) + Max(id_length, sizeof(int64))) +
                 spool->column_count * VALUE_SPACE + 8;

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
        uint64 hash = hash_bytes(id, id_length);
        record_header header = {.source = store->source_slot < 0 ? 0 : row[store->source_slot],
                                .hash_high = (uint32)(hash >> 32),
                                .hash_low = (uint32)hash};
        /* The sort takes the parts one after the other: they are in the order of the hash. */
        int part = (int)(hash >> (64 - spool->part_bits));
        char *start, *values, *to;

        fetch_ahead(store, spool->column_count, record);
        resetStringInfo(&spool->buffer);
        enlargeStringInfo(&spool->buffer, (int)space_of(spool, store, row, id_length + 1));
        header.id_length = store->integer_ids == NULL ? (uint32)id_length + 1 : 0;
        start = spool->buffer.data;
        to = start + sizeof header;
        if (store->integer_ids != NULL)
            to = append(to, &store->integer_ids[record], sizeof(int64));
        else
            to = append(to, id, header.id_length);
        values = to = append_zeros(to, gap_before(start, to, 8));
        for (int i = 0; i < spool->column_count; i++)
            to = append_value(spool, values, to, store->columns[i].values, row[i]);
        to = append_zeros(to, gap_before(values, to, 8));
        size = (Size)(to - start);
        header.size = (uint32)size;
        memcpy(start, &header, sizeof header);

        if (spool->parts[part] == NULL)
            spool->parts[part] = BufFileCreateTemp(false);
        BufFileWrite(spool->parts[part], spool->buffer.data, size);
        spool->part_bytes[part] += (uint64)size;
        spool->bytes += (uint64)size;
        spool->most_memory += sizeof(int64) + header.id_length;
        if ((record & 0xfff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    spool->count += store->records.count;
    MemoryContextSwitchTo(before);
}

Size
spool_write_numbered(BufFile *file, const spool_record *record)
{
    numbered_header header = {record->number, record->size, record->source, 0};

    BufFileWrite(file, &header, sizeof header);
    BufFileWrite(file, unconstify(char *, record->bytes), record->size);
    return sizeof header + record->size;
}

/* ---- order ---- */

static inline const record_header *
header_of(const char *bytes)
{
    return (const record_header *)(const void *)bytes;
}

static inline uint64
hash_of(const char *bytes)
{
    return (uint64)header_of(bytes)->hash_high << 32 | header_of(bytes)->hash_low;
}

static inline int64
integer_at(const char *bytes)
{
    int64 value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

static int
compare_ids(const char *a, const char *b)
{
    uint32 length_a = header_of(a)->id_length, length_b = header_of(b)->id_length;

    a += sizeof(record_header);
    b += sizeof(record_header);
    if (length_a == 0) {
        int64 x = integer_at(a), y = integer_at(b);

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
        pg_lltoa(integer_at(id), buffer);
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
        order[i] = (keyed_record){hash_of(bytes + at), (uint32)i, 0};
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
    scan->record.values = scan->values;
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
make_room(spool_scan *scan, Size size)
{
    if (size <= scan->allocated)
        return;
    pfree(scan->bytes);
    scan->allocated = add_size(size, size / 2);
    scan->bytes = big_alloc(CurrentMemoryContext, scan->allocated);
}

static void
find_values(spool_scan *scan)
{
    const char *values = scan->record.bytes, *at = values;

    for (int i = 0; i < scan->spool->column_count; i++) {
        spool_value *value = &scan->values[i];
        value_head head;

        memcpy(&head, at, sizeof head);
        at += sizeof head;
        *value = (spool_value){.text = {at, HEAD_LENGTH(head), HEAD_WIDTH(head)}};
        if (value->text.length == 0)
            continue;
        if (value->text.length == COMPARED_CHARACTERS) {
            uint64 hashes[2];

            memcpy(hashes, at, sizeof hashes);
            value->hash = hashes[0];
            value->second_hash = hashes[1];
            at += sizeof hashes;
        }
        at += gap_before(values, at, value->text.width);
        value->text.chars = at;
        at += (Size)value->text.length * value->text.width;
    }
}

static bool
read_numbered(spool_scan *scan)
{
    spool_record *record = &scan->record;
    numbered_header header;
    Size got = BufFileRead(scan->file, &header, sizeof header);

    if (got == 0)
        return false;
    if (got != sizeof header)
        ereport(ERROR, (errcode_for_file_access(), errmsg("could not read from a temporary file")));
    make_room(scan, header.size);
    read_exactly(scan, scan->bytes, header.size);
    record->number = header.number;
    record->source = header.source;
    record->text_id = NULL;
    record->integer_id = 0;
    record->bytes = scan->bytes;
    record->size = header.size;
    return true;
}

static bool
read_sorted(spool_scan *scan)
{
    spool_record *record = &scan->record;
    record_header header;
    Size id_space;
    const char *id;

    if (scan->next == scan->spool->count)
        return false;
    record->number = scan->next;
    read_exactly(scan, &header, sizeof header);
    make_room(scan, header.size);
    read_exactly(scan, scan->bytes + sizeof header, header.size - sizeof header);
    id = scan->bytes + sizeof header;
    id_space = header.id_length > 0 ? header.id_length : sizeof(int64);
    record->source = header.source;
    record->text_id = header.id_length > 0 ? id : NULL;
    record->integer_id = header.id_length > 0 ? 0 : integer_at(id);
    record->bytes = scan->bytes + TYPEALIGN(8, sizeof header + id_space);
    record->size = header.size - (uint32)(record->bytes - scan->bytes);
    return true;
}

bool
spool_scan_next(spool_scan *scan)
{
    if (scan->numbered ? !read_numbered(scan) : !read_sorted(scan))
        return false;
    if ((++scan->next & 0xfff) == 0)
        CHECK_FOR_INTERRUPTS();
    find_values(scan);
    return true;
}
