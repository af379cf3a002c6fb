/*
 * lineage.c: see lineage.h.
 */
#include "compat.h"

#include "engine/lineage.h"
#include "lib/stringinfo.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#define CACHED_NUMBERS 16

struct lineage_writer {
    int count;
    const char **names; /* in the order of jsonb */
    int *lengths;
    int *places;                     /* where their origins are */
    Numeric numbers[CACHED_NUMBERS]; /* 0, 1, 2, ... */
    StringInfoData buffer; /* starts with room for the varlena header, so that offsets in it are aligned */
};

/* An object being written: where its entries are, and what their contents take so far. */
typedef struct open_object {
    int start; /* before the padding, which counts as part of the object */
    int entries;
    int entry;
    Size total;
} open_object;

static void
pad(StringInfo buffer)
{
    while (buffer->len != INTALIGN(buffer->len))
        appendStringInfoCharMacro(buffer, '\0');
}

static open_object
begin_object(StringInfo buffer, int pairs)
{
    open_object object = {.start = buffer->len};
    uint32 header = (uint32)pairs | JB_FOBJECT;

    pad(buffer);
    appendBinaryStringInfo(buffer, (char *)&header, sizeof(header));
    object.entries = buffer->len;
    enlargeStringInfo(buffer, 2 * pairs * (int)sizeof(JEntry));
    buffer->len += 2 * pairs * (int)sizeof(JEntry);
    return object;
}

/* Notes that the next key or value has just been written: its type and its length, padding included. */
static void
end_entry(StringInfo buffer, open_object *object, JEntry type, Size length)
{
    JEntry entry;

    object->total += length;
    if (object->total > JENTRY_OFFLENMASK)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("the lineage of a golden record is too large"),
                        errdetail("A JSON object holds at most %u bytes.", JENTRY_OFFLENMASK)));
    entry = object->entry % JB_OFFSET_STRIDE == 0 ? (type | (JEntry)object->total | JENTRY_HAS_OFF)
                                                  : (type | (JEntry)length);
    memcpy(buffer->data + object->entries + object->entry * sizeof(JEntry), &entry, sizeof(JEntry));
    object->entry++;
}

static void
put_string(StringInfo buffer, open_object *object, const char *string, int length)
{
    appendBinaryStringInfo(buffer, string, length);
    end_entry(buffer, object, JENTRY_ISSTRING, length);
}

static void
put_text(StringInfo buffer, open_object *object, const text *value)
{
    if (value == NULL)
        end_entry(buffer, object, JENTRY_ISNULL, 0);
    else
        put_string(buffer, object, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

static void
put_number(StringInfo buffer, open_object *object, Numeric number)
{
    int start = buffer->len;

    pad(buffer);
    appendBinaryStringInfo(buffer, (char *)number, VARSIZE_ANY(number));
    end_entry(buffer, object, JENTRY_ISNUMERIC, buffer->len - start);
}

static void
put_origin(lineage_writer *writer, open_object *parent, const value_origin *origin)
{
    StringInfo buffer = &writer->buffer;
    open_object object;

    if (!origin->known) {
        end_entry(buffer, parent, JENTRY_ISNULL, 0);
        return;
    }
    object = begin_object(buffer, 4);
    put_string(buffer, &object, "rule", 4);
    put_string(buffer, &object, "record", 6);
    put_string(buffer, &object, "source", 6);
    put_string(buffer, &object, "agreeing", 8);
    put_string(buffer, &object, origin->rule, origin->rule_length);
    put_text(buffer, &object, origin->record);
    put_text(buffer, &object, origin->source);
    put_number(buffer, &object,
               origin->agreeing >= 0 && origin->agreeing < CACHED_NUMBERS
                   ? writer->numbers[origin->agreeing]
                   : int64_to_numeric(origin->agreeing));
    end_entry(buffer, parent, JENTRY_ISCONTAINER, buffer->len - object.start);
}

typedef struct named_place {
    const char *name;
    int length;
    int place;
} named_place;

static int
compare_names(const void *a, const void *b)
{
    const named_place *left = a, *right = b;

    if (left->length != right->length)
        return left->length < right->length ? -1 : 1;
    return memcmp(left->name, right->name, left->length);
}

lineage_writer *
lineage_writer_create(const char *const *names, int count, MemoryContext context)
{
    MemoryContext caller = MemoryContextSwitchTo(context);
    lineage_writer *writer = palloc0(sizeof(lineage_writer));
    named_place *sorted = palloc(sizeof(named_place) * Max(count, 1));

    writer->count = count;
    writer->names = palloc(sizeof(char *) * Max(count, 1));
    writer->lengths = palloc(sizeof(int) * Max(count, 1));
    writer->places = palloc(sizeof(int) * Max(count, 1));
    for (int i = 0; i < count; i++)
        sorted[i] = (named_place){pstrdup(names[i]), (int)strlen(names[i]), i};
    qsort(sorted, count, sizeof(named_place), compare_names);
    for (int i = 0; i < count; i++) {
        writer->names[i] = sorted[i].name;
        writer->lengths[i] = sorted[i].length;
        writer->places[i] = sorted[i].place;
    }
    pfree(sorted);
    for (int i = 0; i < CACHED_NUMBERS; i++)
        writer->numbers[i] = int64_to_numeric(i);
    initStringInfo(&writer->buffer);
    MemoryContextSwitchTo(caller);
    return writer;
}

Jsonb *
lineage_write(lineage_writer *writer, const value_origin *origins)
{
    StringInfo buffer = &writer->buffer;
    open_object root;
    Jsonb *result;

    resetStringInfo(buffer);
    appendBinaryStringInfo(buffer, "\0\0\0\0", VARHDRSZ);
    root = begin_object(buffer, writer->count);
    for (int i = 0; i < writer->count; i++)
        put_string(buffer, &root, writer->names[i], writer->lengths[i]);
    for (int i = 0; i < writer->count; i++)
        put_origin(writer, &root, &origins[writer->places[i]]);
    result = palloc(buffer->len);
    memcpy(result, buffer->data, buffer->len);
    SET_VARSIZE(result, buffer->len);
    return result;
}
