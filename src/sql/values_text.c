/*
 * values_text.c: normalised text, q-grams and tokens in SQL.
 */
#include "compat.h"

#include "catalog/pg_type_d.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "engine/normalize.h"
#include "sql/values.h"

MASTERING_FUNCTION(mastering_normalize_text)
{
    static normalizer *state = NULL;
    text *value = PG_GETARG_TEXT_PP(0);
    text *result;

    if (state == NULL)
        state = normalizer_create(TopMemoryContext, NORMALIZE_TEXT);
    normalizer_trim(state);
    result = text_view_to_text(normalizer_apply(state, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)));
    PG_FREE_IF_COPY(value, 0);
    PG_RETURN_TEXT_P(result);
}

MASTERING_FUNCTION(mastering_normalize_versions)
{
    PG_RETURN_TEXT_P(cstring_to_text(normalize_versions()));
}

/* Pieces of a text, gathered for an array. */
typedef struct text_pieces {
    Datum *elements;
    int count;
    int capacity;
} text_pieces;

static void
add_piece(text_pieces *pieces, const char *bytes, Size length)
{
    if (pieces->count == pieces->capacity) {
        /* An array can hold no more than MaxArraySize elements, and cannot be larger than 1 GB. */
        if ((Size)pieces->capacity * 2 > MaxArraySize)
            ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                            errmsg("text has more pieces than an array can hold"),
                            errdetail("The limit is %d.", (int)MaxArraySize)));
        pieces->capacity *= 2;
        pieces->elements = repalloc_huge(pieces->elements, mul_size((Size)pieces->capacity, sizeof(Datum)));
    }
    pieces->elements[pieces->count++] = PointerGetDatum(cstring_to_text_with_len(bytes, (int)length));
    if (pieces->count % 4096 == 0)
        CHECK_FOR_INTERRUPTS();
}

static Datum
pieces_array(text_pieces *pieces)
{
    return PointerGetDatum(
        construct_array(pieces->elements, pieces->count, TEXTOID, -1, false, TYPALIGN_INT));
}

static text_pieces
new_pieces(void)
{
    return (text_pieces){palloc(64 * sizeof(Datum)), 0, 64};
}

/* Grams are cut out of the bytes of the text, so that they need no way back from characters. */
MASTERING_FUNCTION(mastering_qgrams)
{
    text *value = PG_GETARG_TEXT_PP(0);
    uint32 q = values_gram_length(PG_GETARG_INT32(1));
    const char *bytes = VARDATA_ANY(value);
    Size length = VARSIZE_ANY_EXHDR(value);
    int encoding = characters_encoding(bytes, length);
    text_pieces pieces = new_pieces();
    Size from = 0, to = 0;
    uint32 inside = 0;

    if (length == 0)
        PG_RETURN_ARRAYTYPE_P(construct_empty_array(TEXTOID));
    while (to < length) {
        to = Min(to + (Size)Max(pg_encoding_mblen(encoding, bytes + to), 1), length);
        if (++inside < q)
            continue;
        add_piece(&pieces, bytes + from, to - from);
        from += (Size)Max(pg_encoding_mblen(encoding, bytes + from), 1);
        inside--;
    }

    /* A text shorter than q is one gram by itself. */
    if (pieces.count == 0)
        add_piece(&pieces, bytes, length);
    return pieces_array(&pieces);
}

/* Whether the character of size bytes at p is white space. */
static bool
space_at(const char *p, Size size)
{
    static character_buffer one;
    unsigned char c = (unsigned char)*p;
    text_view view;

    if (size == 1 && c < 0x80)
        return token_separator(c);
    if (one.context == NULL)
        character_buffer_init(&one, TopMemoryContext);
    view = text_view_from_bytes(&one, p, size);
    return view.length == 1 && token_separator(text_view_at(view, 0));
}

MASTERING_FUNCTION(mastering_tokens)
{
    text *value = PG_GETARG_TEXT_PP(0);
    const char *bytes = VARDATA_ANY(value);
    Size length = VARSIZE_ANY_EXHDR(value);
    int encoding = characters_encoding(bytes, length);
    text_pieces pieces = new_pieces();
    Size from = 0, at = 0;

    while (at < length) {
        Size size = Min((Size)Max(pg_encoding_mblen(encoding, bytes + at), 1), length - at);

        if (space_at(bytes + at, size)) {
            if (at > from)
                add_piece(&pieces, bytes + from, at - from);
            from = at + size;
        }
        at += size;
    }
    if (at > from)
        add_piece(&pieces, bytes + from, at - from);
    return pieces_array(&pieces);
}
