/*
 * normalize.c: see normalize.h for what normalisation is.
 *
 * Three speeds. A text of ASCII alone is one pass over its bytes. Words of Latin letters and common
 * punctuation go by a table, one entry a character, which ICU fills once a backend: for these characters
 * normalisation does not look at neighbours. Any other word goes through ICU.
 */
#include "compat.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>
#include <unicode/utrans.h>
#include <unicode/uversion.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "engine/normalize.h"
#include "kernel/hash.h"

/* What a character is to the last step. */
typedef enum character_class { SEPARATOR, APOSTROPHE, WORD } character_class;

/* What stands between the last character written and the next. */
typedef enum pending_break { NO_BREAK, APOSTROPHE_BREAK, SPACE_BREAK } pending_break;

struct normalizer {
    normalize_mode mode;
    bool spaces;
    character_buffer decoded;
    character_buffer output;
    uint32 capacity; /* characters that fit into output at its present width */
    uint32 count;
    uint8 width;
    pending_break pending;
};

/* What ICU makes of one character of the table's ranges: ASCII, or nothing. */
#define FOLDED_MOST 6
typedef struct folded_character {
    bool known;
    uint8 count;
    char ascii[FOLDED_MOST];
} folded_character;

#define LATIN_FIRST 0x80 /* to the end of Latin Extended-B */
#define LATIN_LAST 0x24F
#define LATIN_ADDITIONAL_FIRST 0x1E00
#define LATIN_ADDITIONAL_LAST 0x1EFF
#define PUNCTUATION_FIRST 0x2000
#define PUNCTUATION_LAST 0x206F
#define MICRO_SIGN 0xB5 /* folds to Greek, where neighbours matter */

#define FOLDED_COUNT                                                                                         \
    ((LATIN_LAST - LATIN_FIRST + 1) + (LATIN_ADDITIONAL_LAST - LATIN_ADDITIONAL_FIRST + 1) +                 \
     (PUNCTUATION_LAST - PUNCTUATION_FIRST + 1))

static folded_character folded_table[FOLDED_COUNT];
static bool folded_table_ready = false;

/* ICU's objects, opened once a backend. */
static const UNormalizer2 *fold_normalizer = NULL;
static UTransliterator *romanizer = NULL;
static UTransliterator *ascii_folder = NULL;

/* ICU works in place in these; a piece is short, but one character can become eighteen. */
#define UNITS (64 * NORMALIZE_PIECE)
static UChar *piece_units = NULL;
static UChar *work_units = NULL;

/* What ICU made of words, for names repeat: each word has one place, where the latest stays. */
#define CACHED_WORDS 4096
#define CACHED_CHARACTERS 16
#define CACHED_UNITS 40
typedef struct cached_word {
    uint8 count; /* characters; 0: empty */
    uint8 length;
    uint32 characters[CACHED_CHARACTERS];
    UChar units[CACHED_UNITS];
} cached_word;

static cached_word *word_cache = NULL;

const char *
normalize_versions(void)
{
    static char versions[2 * U_MAX_VERSION_STRING_LENGTH + 32];

    if (versions[0] == '\0') {
        UVersionInfo icu, unicode;
        char icu_text[U_MAX_VERSION_STRING_LENGTH], unicode_text[U_MAX_VERSION_STRING_LENGTH];

        u_getVersion(icu);
        u_getUnicodeVersion(unicode);
        u_versionToString(icu, icu_text);
        u_versionToString(unicode, unicode_text);
        snprintf(versions, sizeof versions, "ICU %s, Unicode %s", icu_text, unicode_text);
    }
    return versions;
}

static void
check_icu(UErrorCode status, const char *what)
{
    if (U_SUCCESS(status))
        return;
    if (status == U_MEMORY_ALLOCATION_ERROR)
        ereport(ERROR,
                (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"), errdetail("ICU, at %s.", what)));
    ereport(ERROR,
            (errcode(ERRCODE_INTERNAL_ERROR), errmsg("ICU failed at %s: %s", what, u_errorName(status)),
             errhint("Check that the data of the ICU library (%s) are installed completely.",
                     normalize_versions())));
}

static UTransliterator *
open_transliterator(const char *id)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar wide_id[64];
    UTransliterator *opened;

    u_charsToUChars(id, wide_id, (int32_t)strlen(id) + 1);
    opened = utrans_openU(wide_id, -1, UTRANS_FORWARD, NULL, 0, NULL, &status);
    check_icu(status, id);
    return opened;
}

static void
open_folding(void)
{
    UErrorCode status = U_ZERO_ERROR;

    if (piece_units == NULL)
        piece_units = MemoryContextAlloc(TopMemoryContext, UNITS * sizeof(UChar));
    if (work_units == NULL)
        work_units = MemoryContextAlloc(TopMemoryContext, UNITS * sizeof(UChar));
    if (fold_normalizer == NULL) {
        fold_normalizer = unorm2_getNFKCCasefoldInstance(&status);
        check_icu(status, "NFKC_Casefold");
    }
    if (ascii_folder == NULL)
        ascii_folder = open_transliterator("Latin-ASCII");
}

static UTransliterator *
open_romanizer(void)
{
    static const UChar all_but_han[] = {'[', ':', '^', 'H', 'a', 'n', ':', ']', 0};
    UErrorCode status = U_ZERO_ERROR;
    UTransliterator *opened;

    if (romanizer != NULL)
        return romanizer;
    opened = open_transliterator("Any-Latin");
    utrans_setFilter(opened, all_but_han, -1, &status);
    if (U_FAILURE(status))
        utrans_close(opened);
    check_icu(status, "the filter of Any-Latin");
    romanizer = opened;
    return romanizer;
}

/* Transliterates in place, within UNITS. */
static int32_t
transliterate(UTransliterator *how, const char *name, UChar *units, int32_t length)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t limit = length;

    utrans_transUChars(how, units, &length, UNITS, 0, &limit, &status);
    check_icu(status, name);
    return length;
}

/* Quotation marks and accents that people type for an apostrophe, some of which NFKC would take apart. */
static bool
is_apostrophe(uint32 c)
{
    switch (c) {
    case 0x27:
    case 0x60:
    case 0xB4:
    case 0x2B9:
    case 0x2BB:
    case 0x2BC:
    case 0x2BD:
    case 0x2BE:
    case 0x2BF:
    case 0x2018:
    case 0x2019:
    case 0x201B:
    case 0x2032:
    case 0xFF07:
        return true;
    default:
        return false;
    }
}

/*
 * Folds one piece of a word by ICU. The result is in piece_units; returns its length. romanize: whether
 * there may be anything but Latin in it.
 */
static int32_t
fold_piece(const uint32 *characters, uint32 count, bool romanize)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t length = 0;
    bool ascii = true;

    for (uint32 i = 0; i < count; i++) {
        uint32 c = is_apostrophe(characters[i]) ? '\'' : characters[i];

        /* Characters of an encoding without Unicode, and what no valid text holds, stay out of ICU's way. */
        if (c > 0x10FFFF || U_IS_SURROGATE(c))
            c = 0xFFFD;
        U16_APPEND_UNSAFE(work_units, length, c);
    }
    length = unorm2_normalize(fold_normalizer, work_units, length, piece_units, UNITS, &status);
    check_icu(status, "NFKC_Casefold");
    if (romanize) {
        length = transliterate(open_romanizer(), "Any-Latin", piece_units, length);

        /* Romanisation may leave what folding would have changed, as raised letters for Ethiopic. */
        memcpy(work_units, piece_units, (Size)length * sizeof(UChar));
        length = unorm2_normalize(fold_normalizer, work_units, length, piece_units, UNITS, &status);
        check_icu(status, "NFKC_Casefold");
    }
    for (int32_t i = 0; i < length; i++)
        ascii &= piece_units[i] < 0x80;
    if (!ascii)
        length = transliterate(ascii_folder, "Latin-ASCII", piece_units, length);
    return length;
}

/* The table's entry for a character; NULL where it has none, or where ICU must see the whole word. */
static const folded_character *
folded_entry(uint32 c)
{
    const folded_character *entry;

    if (c >= LATIN_FIRST && c <= LATIN_LAST)
        entry = &folded_table[c - LATIN_FIRST];
    else if (c >= LATIN_ADDITIONAL_FIRST && c <= LATIN_ADDITIONAL_LAST)
        entry = &folded_table[LATIN_LAST - LATIN_FIRST + 1 + c - LATIN_ADDITIONAL_FIRST];
    else if (c >= PUNCTUATION_FIRST && c <= PUNCTUATION_LAST)
        entry = &folded_table[FOLDED_COUNT - 1 - (PUNCTUATION_LAST - c)];
    else
        return NULL;
    return entry->known ? entry : NULL;
}

static void
fill_folded_range(uint32 first, uint32 last, folded_character *entry)
{
    for (uint32 c = first; c <= last; c++, entry++) {
        int32_t length = fold_piece(&c, 1, false);

        entry->known = c != MICRO_SIGN && length <= FOLDED_MOST;
        entry->count = entry->known ? (uint8)length : 0;
        for (int32_t i = 0; i < length && entry->known; i++) {
            /* NFKC gives spacing accents as a space with a mark upon it. */
            if (piece_units[i] >= 0x80)
                entry->known = false;
            else
                entry->ascii[i] = (char)piece_units[i];
        }
    }
}

static void
prepare_folding(void)
{
    if (folded_table_ready)
        return;
    open_folding();
    fill_folded_range(LATIN_FIRST, LATIN_LAST, folded_table);
    fill_folded_range(LATIN_ADDITIONAL_FIRST, LATIN_ADDITIONAL_LAST,
                      folded_table + LATIN_LAST - LATIN_FIRST + 1);
    fill_folded_range(PUNCTUATION_FIRST, PUNCTUATION_LAST,
                      folded_table + FOLDED_COUNT - (PUNCTUATION_LAST - PUNCTUATION_FIRST + 1));
    folded_table_ready = true;
}

/* ASCII by class: 0 a separator, 1 an apostrophe, else the character in lower case. */
static const char ascii_folded[128] = {
    ['\''] = 1,  ['`'] = 1,   ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5',
    ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd',
    ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l',
    ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't',
    ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b',
    ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j',
    ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r',
    ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

static void
append_character(normalizer *state, uint32 c)
{
    if (c >= 256 && state->width == 1) {
        const uint8 *narrow = state->output.memory;
        uint32 *wide =
            MemoryContextAllocHuge(state->output.context, ((Size)state->count + 64) * sizeof(uint32));

        for (uint32 i = 0; i < state->count; i++)
            wide[i] = narrow[i];
        if (state->output.memory != NULL)
            pfree(state->output.memory);
        state->output.memory = wide;
        state->output.size = ((Size)state->count + 64) * sizeof(uint32);
        state->width = 4;
        state->capacity = state->count + 64;
    }
    if (state->count == state->capacity) {
        character_buffer_grow(&state->output, (Size)state->count * state->width,
                              ((Size)state->count + 64) * state->width);
        state->capacity = (uint32)Min(state->output.size / state->width, PG_UINT32_MAX);
    }
    if (state->width == 1)
        ((uint8 *)state->output.memory)[state->count++] = (uint8)c;
    else
        ((uint32 *)state->output.memory)[state->count++] = c;
}

/* The last step: words are written, and what stands between them becomes one space or nothing. */
static inline void
emit(normalizer *state, character_class class, uint32 c)
{
    if (class == WORD) {
        if (state->pending == SPACE_BREAK && state->count > 0 && state->spaces)
            append_character(state, ' ');
        state->pending = NO_BREAK;
        append_character(state, c);
    } else if (class == APOSTROPHE && state->pending == NO_BREAK) {
        state->pending = APOSTROPHE_BREAK;
    } else {
        state->pending = SPACE_BREAK;
    }
}

static inline void
emit_ascii(normalizer *state, unsigned char c)
{
    char folded = ascii_folded[c];

    emit(state, folded > 1 ? WORD : folded == 1 ? APOSTROPHE : SEPARATOR, (uint32)(unsigned char)folded);
}

static void
emit_unicode(normalizer *state, uint32 c)
{
    if (c < 0x80) {
        emit_ascii(state, (unsigned char)c);
        return;
    }
    if (is_apostrophe(c)) {
        emit(state, APOSTROPHE, c);
        return;
    }
    switch (u_charType((UChar32)c)) {
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK: {
        /* A mark that nothing carries, or that a Latin letter carried, says nothing. */
        uint32 last = state->count == 0 || state->pending != NO_BREAK ? ' '
                      : state->width == 1 ? ((uint8 *)state->output.memory)[state->count - 1]
                                          : ((uint32 *)state->output.memory)[state->count - 1];

        if (last >= 0x80)
            emit(state, WORD, c);
        break;
    }
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_SPACE_SEPARATOR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_DASH_PUNCTUATION:
    case U_START_PUNCTUATION:
    case U_END_PUNCTUATION:
    case U_CONNECTOR_PUNCTUATION:
    case U_OTHER_PUNCTUATION:
    case U_INITIAL_PUNCTUATION:
    case U_FINAL_PUNCTUATION:
    case U_MATH_SYMBOL:
    case U_CURRENCY_SYMBOL:
    case U_MODIFIER_SYMBOL:
    case U_OTHER_SYMBOL:
        emit(state, SEPARATOR, c);
        break;
    default:
        emit(state, WORD, c);
    }
}

/* What ICU makes of a piece of a word; valid until the next call. */
static const UChar *
folded_word(const uint32 *characters, uint32 count, int32_t *length)
{
    Size size = count * sizeof(uint32);
    cached_word *cached;

    if (count > CACHED_CHARACTERS) {
        *length = fold_piece(characters, count, true);
        return piece_units;
    }
    if (word_cache == NULL)
        word_cache = MemoryContextAllocZero(TopMemoryContext, CACHED_WORDS * sizeof(cached_word));
    cached = &word_cache[hash_bytes(characters, size) % CACHED_WORDS];
    if (cached->count == count && memcmp(cached->characters, characters, size) == 0) {
        *length = cached->length;
        return cached->units;
    }
    *length = fold_piece(characters, count, true);
    if (*length <= CACHED_UNITS) {
        cached->count = (uint8)count;
        cached->length = (uint8)*length;
        memcpy(cached->characters, characters, size);
        memcpy(cached->units, piece_units, (Size)*length * sizeof(UChar));
    }
    return piece_units;
}

/* A piece of a word that is not all in the table. */
static void
emit_by_icu(normalizer *state, const uint32 *characters, uint32 count)
{
    int32_t length;
    const UChar *units = folded_word(characters, count, &length);

    for (int32_t i = 0; i < length;) {
        UChar32 c;

        U16_NEXT(units, i, length, c);
        emit_unicode(state, (uint32)c);
    }
}

/* A word, or a piece of one. */
static void
emit_word(normalizer *state, const uint32 *characters, uint32 count)
{
    for (uint32 i = 0; i < count; i++) {
        if (characters[i] >= 0x80 && folded_entry(characters[i]) == NULL) {
            emit_by_icu(state, characters, count);
            return;
        }
    }
    for (uint32 i = 0; i < count; i++) {
        uint32 c = characters[i];

        if (c < 0x80) {
            emit_ascii(state, (unsigned char)c);
        } else if (is_apostrophe(c)) {
            emit(state, APOSTROPHE, c);
        } else {
            const folded_character *folded = folded_entry(c);

            for (uint32 k = 0; k < folded->count; k++)
                emit_ascii(state, (unsigned char)folded->ascii[k]);
        }
    }
}

/*
 * Where a word that is too long may be cut: before a character that does not combine with what is before
 * it, if there is one.
 */
static uint32
piece_of_word(text_view decoded, uint32 from, uint32 end)
{
    uint32 cut;

    if (end - from <= NORMALIZE_PIECE)
        return end - from;
    for (cut = NORMALIZE_PIECE; cut > NORMALIZE_PIECE / 2; cut--) {
        uint32 c = text_view_at(decoded, from + cut);

        if (c <= 0x10FFFF && unorm2_hasBoundaryBefore(fold_normalizer, (UChar32)c))
            return cut;
    }
    return NORMALIZE_PIECE;
}

static void
normalize_decoded(normalizer *state, text_view decoded)
{
    uint32 piece[NORMALIZE_PIECE];
    uint32 from = 0;

    prepare_folding();
    while (from < decoded.length) {
        uint32 first = text_view_at(decoded, from);
        uint32 end = from, count;

        if (first <= ' ') {
            emit(state, SEPARATOR, first);
            from++;
            continue;
        }
        if (first & CHARACTER_OPAQUE) {
            emit(state, WORD, first);
            from++;
            continue;
        }
        while (end < decoded.length && end - from <= 2 * NORMALIZE_PIECE) {
            uint32 c = text_view_at(decoded, end);

            if (c <= ' ' || (c & CHARACTER_OPAQUE))
                break;
            end++;
        }
        count = piece_of_word(decoded, from, end);
        for (uint32 i = 0; i < count; i++)
            piece[i] = text_view_at(decoded, from + i);
        emit_word(state, piece, count);
        from += count;
        CHECK_FOR_INTERRUPTS();
    }
}

/*
 * Pure ASCII: the same as emit, with nothing to ask about width or room. target may be the bytes themselves:
 * no more is ever written than was read.
 */
static inline uint32
fold_ascii(bool spaces, const char *bytes, Size length, uint8 *target)
{
    uint8 *at = target;
    pending_break pending = SPACE_BREAK;

    for (Size i = 0; i < length; i++) {
        char folded = ascii_folded[(unsigned char)bytes[i]];

        if (folded > 1) {
            if (pending == SPACE_BREAK && at > target) {
                *at = ' ';
                at += spaces;
            }
            pending = NO_BREAK;
            *at++ = (uint8)folded;
        } else {
            pending = folded == 1 && pending == NO_BREAK ? APOSTROPHE_BREAK : SPACE_BREAK;
        }
    }
    return (uint32)(at - target);
}

static void
normalize_ascii(normalizer *state, const char *bytes, Size length)
{
    uint8 *target = character_buffer_reserve(&state->output, length + 1);

    state->count = fold_ascii(state->spaces, bytes, length, target);
}

uint32
normalize_ascii_in_place(normalize_mode mode, char *bytes, uint32 length)
{
    uint32 kept = 0;

    switch (mode) {
    case NORMALIZE_TEXT:
    case NORMALIZE_ALPHANUMERIC:
        return fold_ascii(mode == NORMALIZE_TEXT, bytes, length, (uint8 *)bytes);
    case NORMALIZE_DIGITS:
        for (uint32 i = 0; i < length; i++)
            if (bytes[i] >= '0' && bytes[i] <= '9')
                bytes[kept++] = bytes[i];
        return kept;
    case NORMALIZE_NONE:
        break;
    }
    return length;
}

static void
digits_of(normalizer *state, text_view decoded)
{
    uint8 *target = character_buffer_reserve(&state->output, decoded.length);

    for (uint32 i = 0; i < decoded.length; i++) {
        uint32 c = text_view_at(decoded, i);
        int32_t value = -1;

        if (c < 0x80)
            value = c >= '0' && c <= '9' ? (int32_t)(c - '0') : -1;
        else if (c <= 0x10FFFF)
            value = u_charDigitValue((UChar32)c);
        if (value >= 0)
            target[state->count++] = (uint8)('0' + value);
    }
}

normalizer *
normalizer_create(MemoryContext context, normalize_mode mode)
{
    normalizer *state = MemoryContextAllocZero(context, sizeof(normalizer));

    state->mode = mode;
    state->spaces = mode == NORMALIZE_TEXT;
    character_buffer_init(&state->decoded, context);
    character_buffer_init(&state->output, context);
    return state;
}

void
normalizer_trim(normalizer *state)
{
    character_buffer_trim(&state->decoded);
    character_buffer_trim(&state->output);
}

text_view
normalizer_apply(normalizer *state, const char *bytes, Size length)
{
    text_view decoded;

    state->count = 0;
    state->width = 1;
    if (state->mode == NORMALIZE_NONE)
        return text_view_from_bytes(&state->decoded, bytes, length);
    if (state->mode != NORMALIZE_DIGITS && bytes_are_ascii(bytes, length)) {
        normalize_ascii(state, bytes, length);
        return (text_view){state->output.memory, state->count, 1};
    }
    decoded = text_view_from_bytes(&state->decoded, bytes, length);
    if (state->mode == NORMALIZE_DIGITS) {
        digits_of(state, decoded);
        return (text_view){state->output.memory, state->count, 1};
    }

    /* Wide results may have no wide character left in them only if none was ever appended. */
    character_buffer_reserve(&state->output, decoded.length);
    state->capacity = (uint32)Min(state->output.size, PG_UINT32_MAX);
    state->pending = SPACE_BREAK;
    normalize_decoded(state, decoded);
    return (text_view){state->output.memory, state->count, state->width};
}
