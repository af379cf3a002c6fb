/*
 * elements.c: see elements.h.
 */
#include "compat.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "engine/big_memory.h"
#include "engine/characters.h"
#include "engine/elements.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* ---- reading ---- */

struct element_reader {
    Oid element_type; /* InvalidOid: jsonb */
    bool is_array;
    int16 length;
    bool by_value;
    char alignment;
    value_reader *reader; /* of an element */
    character_buffer buffer;
    uint64 cut;
};

typedef struct found_elements {
    text_view *texts;
    int count, allocated;
    bool unreadable;
} found_elements;

bool
type_has_elements(Oid type)
{
    return getBaseType(type) == JSONBOID || OidIsValid(get_base_element_type(type));
}

element_reader *
element_reader_create(MemoryContext context, Oid type, value_form form)
{
    element_reader *reader = MemoryContextAllocZero(context, sizeof(element_reader));
    Oid element = get_base_element_type(type);

    reader->is_array = OidIsValid(element);
    if (reader->is_array)
        get_typlenbyvalalign(element, &reader->length, &reader->by_value, &reader->alignment);
    reader->element_type = getBaseType(type) == JSONBOID ? InvalidOid : reader->is_array ? element : type;
    reader->reader =
        value_reader_create(context, OidIsValid(reader->element_type) ? reader->element_type : TEXTOID,
                            (value_form)((int)form & ~FORM_ELEMENTS));
    character_buffer_init(&reader->buffer, context);
    return reader;
}

uint64
element_reader_cut(const element_reader *reader)
{
    return reader->cut;
}

/* One more element, its characters copied; what parts elements is a space within one. */
static void
add_element(element_reader *reader, Datum value, found_elements *found)
{
    text_view text;
    value_state state = value_reader_read(reader->reader, value, &text);
    Size size;
    char *characters;

    found->unreadable |= state == VALUE_UNREADABLE;
    if (state != VALUE_READ)
        return;
    if (found->count == found->allocated) {
        found->allocated *= 2;
        found->texts = repalloc_huge(found->texts, mul_size(found->allocated, sizeof(text_view)));
    }
    size = (Size)text.length * text.width;
    characters = MemoryContextAllocHuge(CurrentMemoryContext, Max(size, 1));
    memcpy(characters, text.chars, size);
    for (uint32 i = 0; i < text.length; i++) {
        if (text.width == 1 && characters[i] == ELEMENT_SEPARATOR)
            characters[i] = ' ';
        else if (text.width == 4 && ((uint32 *)(void *)characters)[i] == ELEMENT_SEPARATOR)
            ((uint32 *)(void *)characters)[i] = ' ';
    }
    text.chars = characters;
    found->texts[found->count++] = text;
    if ((found->count & 0xfff) == 0)
        CHECK_FOR_INTERRUPTS();
}

static void
read_array(element_reader *reader, Datum value, found_elements *found)
{
    ArrayType *array = DatumGetArrayTypeP(value);
    Datum *elements;
    bool *nulls;
    int count;

    deconstruct_array(array, ARR_ELEMTYPE(array), reader->length, reader->by_value, reader->alignment,
                      &elements, &nulls, &count);
    for (int i = 0; i < count; i++)
        if (!nulls[i])
            add_element(reader, elements[i], found);
}

/* A scalar, or the scalars of an array; what is neither says nothing here. */
static void
read_jsonb(element_reader *reader, Datum value, found_elements *found)
{
    Jsonb *document = DatumGetJsonbP(value);
    JsonbIterator *iterator;
    JsonbIteratorToken token;
    JsonbValue item;

    if (JB_ROOT_IS_OBJECT(document)) {
        found->unreadable = true;
        return;
    }
    iterator = JsonbIteratorInit(&document->root);
    token = JsonbIteratorNext(&iterator, &item, false); /* the array */
    while ((token = JsonbIteratorNext(&iterator, &item, true)) == WJB_ELEM) {
        text *text;

        switch (item.type) {
        case jbvString:
            text = cstring_to_text_with_len(item.val.string.val, item.val.string.len);
            break;
        case jbvNumeric:
            text = cstring_to_text(
                DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(item.val.numeric))));
            break;
        case jbvBool:
            text = cstring_to_text(item.val.boolean ? "true" : "false");
            break;
        case jbvNull:
            continue;
        default:
            found->unreadable = true;
            continue;
        }
        add_element(reader, PointerGetDatum(text), found);
    }
}

static int
compare_texts(const void *a, const void *b)
{
    return text_view_compare(*(const text_view *)a, *(const text_view *)b);
}

/* The elements' characters one behind the other, in the narrowest width. */
static text_view
join_elements(element_reader *reader, const text_view *texts, int count, uint8 width)
{
    Size length = count - 1, at = 0;
    char *bytes;
    uint32 *wide;

    for (int i = 0; i < count; i++)
        length += texts[i].length;
    bytes = character_buffer_reserve(&reader->buffer, length * width);
    wide = (uint32 *)(void *)bytes;
    for (int i = 0; i < count; i++) {
        if (i > 0 && width == 1)
            bytes[at++] = ELEMENT_SEPARATOR;
        else if (i > 0)
            wide[at++] = ELEMENT_SEPARATOR;
        for (uint32 c = 0; c < texts[i].length; c++) {
            if (width == 1)
                bytes[at++] = (char)text_view_at(texts[i], c);
            else
                wide[at++] = text_view_at(texts[i], c);
        }
    }
    return (text_view){bytes, (uint32)length, width};
}

value_state
element_reader_read(element_reader *reader, Datum value, text_view *text)
{
    found_elements found = {.allocated = 16};
    int kept = 0, used;
    Size characters = 0;
    uint8 width = 1;

    character_buffer_trim(&reader->buffer);
    found.texts = palloc(found.allocated * sizeof(text_view));
    if (reader->is_array)
        read_array(reader, value, &found);
    else if (OidIsValid(reader->element_type))
        add_element(reader, value, &found);
    else
        read_jsonb(reader, value, &found);
    if (found.count == 0)
        return found.unreadable ? VALUE_UNREADABLE : VALUE_MISSING;
    qsort(found.texts, found.count, sizeof(text_view), compare_texts);
    for (int i = 0; i < found.count; i++)
        if (kept == 0 || compare_texts(&found.texts[kept - 1], &found.texts[i]) != 0)
            found.texts[kept++] = found.texts[i];
    for (used = 0; used < Min(kept, MAX_ELEMENTS); used++) {
        characters += found.texts[used].length + (used > 0);
        if (used > 0 && characters > ELEMENT_CHARACTERS)
            break;
        width = Max(width, found.texts[used].width);
    }
    reader->cut += used < kept;
    *text = join_elements(reader, found.texts, used, width);
    return VALUE_READ;
}

/* ---- the table ---- */

bool
next_element(text_view value, uint32 *place, text_view *element)
{
    uint32 first = *place;

    if (first > value.length || value.length == 0)
        return false;
    while (*place < value.length && text_view_at(value, *place) != ELEMENT_SEPARATOR)
        ++*place;
    *element =
        (text_view){(const char *)value.chars + (Size)first * value.width, *place - first, value.width};
    ++*place;
    return true;
}

text_view
narrow_element(text_view element, uint8 *buffer)
{
    if (element.width == 1)
        return element;
    for (uint32 i = 0; i < element.length; i++) {
        uint32 character = text_view_at(element, i);

        if (character > 255)
            return element;
        buffer[i] = (uint8)character;
    }
    return (text_view){buffer, element.length, 1};
}

static void
fill_values(element_index *index, MemoryContext context, value_form form)
{
    const dictionary *elements = index->elements;

    if (((int)form & ~FORM_ELEMENTS) == FORM_NUMBER) {
        double *numbers = big_alloc(context, mul_size(elements->count, sizeof(double)));

        for (uint32 code = 1; code < elements->count; code++)
            numbers[code] = value_number(elements->texts[code]);
        index->table.values.numbers = numbers;
    } else if (((int)form & ~FORM_ELEMENTS) == FORM_DATE) {
        calendar_date *dates = big_alloc(context, mul_size(elements->count, sizeof(calendar_date)));

        for (uint32 code = 1; code < elements->count; code++)
            dates[code] = value_date(elements->texts[code]);
        index->table.values.dates = dates;
    }
}

static int
compare_codes(const void *a, const void *b)
{
    uint32 x = *(const uint32 *)a, y = *(const uint32 *)b;

    return x < y ? -1 : x > y;
}

element_index *
element_index_of_parts(MemoryContext context, const dictionary *values, part_of_value next_part)
{
    element_index *index = MemoryContextAllocZero(context, sizeof(element_index));
    uint64 *starts = big_alloc(context, mul_size((Size)values->count + 1, sizeof(uint64)));
    uint8 *buffer = palloc(ELEMENT_CHARACTERS);
    uint32 *codes;
    uint64 used = 0, all = 0;

    index->elements = dictionary_create(context);
    index->value_count = values->count;
    for (uint32 value = 1; value < values->count; value++) {
        uint32 place = 0;
        text_view element;

        while (next_part(values->texts[value], &place, &element))
            all++;
        if ((value & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    codes = big_alloc(context, mul_size(Max(all, 1), sizeof(uint32)));
    starts[0] = starts[1] = 0;
    for (uint32 value = 1; value < values->count; value++) {
        uint32 place = 0;
        text_view element;

        while (next_part(values->texts[value], &place, &element)) {
            uint32 code = dictionary_add(index->elements, narrow_element(element, buffer));

            index->elements->records[code] += values->records[value] - 1;
            codes[used++] = code;
        }
        qsort(codes + starts[value], used - starts[value], sizeof(uint32), compare_codes);
        starts[value + 1] = used;
        if ((value & 0xfff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    pfree(buffer);
    index->table.starts = starts;
    index->table.codes = codes;
    index->table.values.texts = index->elements->texts;
    return index;
}

element_index *
element_index_create(MemoryContext context, const dictionary *values, value_form form)
{
    element_index *index = element_index_of_parts(context, values, next_element);

    fill_values(index, context, form);
    return index;
}

static int32
rarity(double u, double share, double scale)
{
    return (int32)floor(weight_from_ratio(u, share) * scale + 0.5);
}

/* What sharing an element adds, if one that such a share of the records has adds nothing. */
static void
take_weights(element_index *index, double usual, const double *shares, double scale, int32 *weights)
{
    element_table *table = &index->table;

    table->best_weight = PG_INT32_MIN;
    table->least_weight = PG_INT32_MAX;
    for (uint32 code = 1; code < index->elements->count; code++) {
        weights[code] = rarity(usual, shares[code], scale);
        table->best_weight = Max(table->best_weight, weights[code]);
        table->least_weight = Min(table->least_weight, weights[code]);
    }
    table->weights = index->elements->count > 1 ? weights : NULL;
}

int32 *
element_weights(element_index *index, MemoryContext context, const comparison_spec *comparison,
                const double *shares)
{
    element_table *table = &index->table;
    int32 *by_element = big_alloc(context, mul_size(index->elements->count, sizeof(int32)));
    int32 *by_value = big_alloc(context, mul_size(index->value_count, sizeof(int32)));
    double scale = comparison->frequencies.scale;

    by_value[0] = by_element[0] = 0;
    for (uint32 value = 1; value < index->value_count; value++) {
        by_value[value] = PG_INT32_MIN;
        for (uint64 i = table->starts[value]; i < table->starts[value + 1]; i++)
            by_value[value] =
                Max(by_value[value], rarity(comparison->u[LEVEL_EXACT], shares[table->codes[i]], scale));
    }
    /* Sharing an element is a level where the first threshold is nothing less. */
    if (comparison->elements != ELEMENTS_BEST || comparison->threshold_count == 0 ||
        comparison->thresholds[0] != (method_is_distance(comparison->method) ? 0.0 : 1.0))
        return by_value;
    take_weights(index, comparison->u[2], shares, scale, by_element);
    return by_value;
}

void
element_index_weigh(element_index *index, MemoryContext context, const term_frequencies *frequencies,
                    const double *shares)
{
    int32 *weights = big_alloc(context, mul_size(index->elements->count, sizeof(int32)));

    weights[0] = 0;
    take_weights(index, frequencies->usual, shares, frequencies->scale, weights);
}

char *
element_list(const element_index *index, uint32 value, uint32 first)
{
    StringInfoData list;

    initStringInfo(&list);
    for (int turn = 0; turn < 2; turn++) {
        for (uint64 i = index->table.starts[value]; i < index->table.starts[value + 1]; i++) {
            uint32 code = index->table.codes[i];

            if ((turn == 0) != (code == first))
                continue;
            if (list.len > 0)
                appendStringInfoString(&list, ", ");
            appendStringInfoString(&list, text_to_cstring(text_view_to_text(index->elements->texts[code])));
        }
    }
    return list.data;
}
