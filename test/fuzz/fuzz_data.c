/*
 * fuzz_data.c: what is no measure of two texts: sorting, components, texts as bytes, quantities in texts,
 * forms of words.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "kernel/pair_bytes.h"
#include "kernel/quantity.h"
#include "kernel/quantity_units.h"
#include "kernel/quantity_value.h"
#include "kernel/radix_sort.h"
#include "kernel/union_find.h"
#include "kernel/utf8.h"
#include "kernel/word_forms.h"

/* ---- sorting ---- */

#define MOST_SORTED 600

static void
check_sorted(const char *what, const keyed_record *given, const keyed_record *sorted, uint32_t count)
{
    static keyed_record naive[MOST_SORTED];

    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = i;

        for (; place > 0 && naive[place - 1].key > given[i].key; place--)
            naive[place] = naive[place - 1];
        naive[place] = given[i];
    }
    for (uint32_t i = 0; i < count; i++)
        if (naive[i].key != sorted[i].key || naive[i].record != sorted[i].record ||
            naive[i].extra != sorted[i].extra)
            complain(what, naive[i].record, sorted[i].record);
}

/* Keys of few and of many different bits, made of a's characters; b's repeat them. */
void
fuzz_sort(void)
{
    static keyed_record given[MOST_SORTED], sorted[MOST_SORTED], scratch[MOST_SORTED];
    uint32_t count = 0, times = 1 + b.length % 4;

    for (uint32_t t = 0; t < times; t++)
        for (uint32_t i = 0; i < a.length && count < MOST_SORTED; i++) {
            uint64_t key = a.points[i];

            if (b.length > 0 && b.points[(i + t) % b.length] & 1)
                key *= UINT64_C(0x9E3779B97F4A7C15);
            if (b.length > 0 && b.points[(i + t) % b.length] & 2)
                key <<= 8 * (b.points[(i + t) % b.length] >> 2 & 7);
            given[count] = (keyed_record){key, count, (uint32_t)key};
            count++;
        }
    memcpy(sorted, given, sizeof sorted);
    radix_sort_keys(sorted, scratch, count);
    check_sorted("radix_sort_keys", given, sorted, count);
    memcpy(sorted, given, sizeof sorted);
    radix_sort_hashed(sorted, scratch, count);
    check_sorted("radix_sort_hashed", given, sorted, count);
}

/* ---- components ---- */

/* Characters of a and b at the same place are an edge. */
void
fuzz_components(void)
{
    static uint32_t parent[1024], size[1024], naive[1024];
    uint32_t count = 1 + a.length, edges = a.length < b.length ? a.length : b.length;
    union_find forest;

    union_find_init(&forest, parent, size, count);
    for (uint32_t i = 0; i < count; i++)
        naive[i] = i;
    for (uint32_t e = 0; e < edges; e++) {
        uint32_t x = a.points[e] % count, y = b.points[e] % count, from = naive[y], to = naive[x], root;

        if (union_find_join(&forest, x, y, &root) != (from != to))
            complain("joined", from != to, from == to);
        for (uint32_t i = 0; i < count; i++)
            naive[i] = naive[i] == from ? to : naive[i];
        if (root != union_find_root(&forest, x) || root != union_find_root(&forest, y))
            complain("root", union_find_root(&forest, x), root);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t members = 0;

        for (uint32_t j = 0; j < count; j++) {
            bool together = union_find_root(&forest, i) == union_find_root(&forest, j);

            members += together;
            if (together != (naive[i] == naive[j]))
                complain("together", naive[i] == naive[j], together);
        }
        expect("members", members, size[union_find_root(&forest, i)]);
    }
}

/* ---- texts as bytes ---- */

/* A text in UTF-8, allocated to size. Some of its characters take three bytes. */
static uint8_t *
encode(const fuzz_text *text, size_t *size)
{
    uint8_t *bytes = malloc(3 * (size_t)text->length + 1), *exact;

    *size = 0;
    for (uint32_t i = 0; i < text->length && bytes != NULL; i++) {
        uint32_t c = text->points[i] == 0x3BF ? 0x20AC : text->points[i];

        if (c >= 0x800)
            bytes[(*size)++] = (uint8_t)(0xE0 | c >> 12);
        if (c >= 0x80)
            bytes[(*size)++] = (uint8_t)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3F) : 0xC0 | c >> 6);
        bytes[(*size)++] = (uint8_t)(c < 0x80 ? c : 0x80 | (c & 0x3F));
    }
    exact = malloc(*size == 0 ? 1 : *size);
    if (bytes == NULL || exact == NULL)
        abort();
    memcpy(exact, bytes, *size);
    free(bytes);
    return exact;
}

/* Whether both texts together have no character of three bytes and at most two first bytes. */
static bool
has_few_first_bytes(void)
{
    const fuzz_text *texts[2] = {&a, &b};
    bool met[32] = {false};
    uint32_t count = 0;

    for (int t = 0; t < 2; t++)
        for (uint32_t i = 0; i < texts[t]->length; i++) {
            uint32_t c = texts[t]->points[i];

            if (c == 0x3BF)
                return false;
            count += c >= 0x80 && !met[c >> 6];
            met[c >> 6] |= c >= 0x80;
        }
    return count <= 2;
}

/* Bytes are equal just where the characters are. */
static void
check_bytes(const char *what, const pair_bytes *bytes)
{
    const fuzz_text *texts[2] = {&a, &b};

    for (int t = 0; t < 2; t++) {
        if (bytes->lengths[t] != texts[t]->length)
            complain(what, texts[t]->length, bytes->lengths[t]);
        for (uint32_t i = 0; i < texts[t]->length; i++)
            for (int u = 0; u < 2; u++)
                for (uint32_t j = 0; j < texts[u]->length; j++)
                    if ((bytes->bytes[t][i] == bytes->bytes[u][j]) !=
                        (texts[t]->points[i] == texts[u]->points[j]))
                        complain(what, i, j);
    }
}

/* Code points are those that were encoded. */
static void
check_code_points(const fuzz_text *text, const uint8_t *bytes, size_t size)
{
    static uint32_t points[3 * LONGEST + UTF8_ROOM];
    uint32_t bits;
    size_t count = utf8_code_points(bytes, size, points, &bits);

    if (count != text->length)
        complain("utf8_code_points", text->length, (double)count);
    for (uint32_t i = 0; i < text->length; i++)
        if (points[i] != (text->points[i] == 0x3BF ? 0x20AC : text->points[i]))
            complain("utf8_code_points", i, points[i]);
}

void
fuzz_bytes(void)
{
    size_t size_a, size_b;
    uint8_t *bytes_a = encode(&a, &size_a), *bytes_b = encode(&b, &size_b);
    bool wanted = size_a <= PAIR_BYTES_LONGEST && size_b <= PAIR_BYTES_LONGEST && has_few_first_bytes();
    pair_bytes bytes, single;

    check_code_points(&a, bytes_a, size_a);
    check_code_points(&b, bytes_b, size_b);
    if (pair_bytes_of(bytes_a, size_a, bytes_b, size_b, &bytes) != wanted)
        complain("pair_bytes_of", wanted, !wanted);
    if (pair_bytes_of_single(bytes_a, size_a, bytes_b, size_b, &single) != wanted)
        complain("pair_bytes_of_single", wanted, !wanted);
    if (wanted) {
        check_bytes("pair_bytes_of", &bytes);
        check_bytes("pair_bytes_of_single", &single);
    }
    free(bytes_a);
    free(bytes_b);
}

/* ---- quantities ---- */

/* Digits alone are the number that they are. */
static bool
digits_only(const fuzz_text *text)
{
    for (uint32_t i = 0; i < text->length; i++)
        if (text->points[i] < '0' || text->points[i] > '9')
            return false;
    return text->length > 0 && text->length <= 15;
}

static void
check_value(const fuzz_text *text, const quantity_form *form)
{
    quantity_value value;
    bool read = quantity_value_read(text->view, form, &value);

    if (digits_only(text)) {
        double number = 0;

        for (uint32_t i = 0; i < text->length; i++)
            number = number * 10 + (text->points[i] - '0');
        if (!read || value.unit != NULL || value.clock != 0)
            complain("digits are a plain number", 1, 0);
        expect("number of digits", number, value.amount);
    }
    if (!read)
        return;
    for (size_t u = 0; u < quantity_unit_count; u += 7) {
        double amount = quantity_value_amount(&value, &quantity_units[u], 0),
               near = quantity_value_amount(&value, &quantity_units[u], 60);

        if (isnan(value.amount) || isnan(amount) || isnan(near) ||
            isnan(quantity_value_in(amount, &quantity_units[u])))
            complain("amount is a number", 0, amount);
    }
}

void
fuzz_quantity(void)
{
    uint32_t place = 0, before = 0, characters[MODEL_NUMBER_LENGTH], length, stroke;
    quantity found, again;

    while (quantity_next(a.view, &place, &found)) {
        char written[QUANTITY_LENGTH];
        char *exact;
        uint32_t written_length = quantity_write(&found, written), at = 0;

        if (place <= before || place > a.length || found.end <= found.first || found.end > place)
            complain("place of a quantity", before, place);
        if (written_length >= QUANTITY_LENGTH)
            complain("length of a quantity", QUANTITY_LENGTH, written_length);
        before = place;

        /* What is written reads as what it was written from. */
        exact = malloc(written_length);
        if (exact == NULL)
            abort();
        memcpy(exact, written, written_length);
        if (quantity_next((text_view){exact, written_length, 1}, &at, &again)) {
            char rewritten[QUANTITY_LENGTH];

            if (quantity_write(&again, rewritten) != written_length ||
                memcmp(rewritten, written, written_length) != 0)
                complain(written, found.amount, again.amount);
        }
        free(exact);
    }
    for (place = before = 0; model_number_next(b.view, &place, characters, &length, &stroke);
         before = place) {
        bool digit = false, letter = false;

        if (place <= before || place > b.length || length == 0 || length > MODEL_NUMBER_LENGTH ||
            stroke > length)
            complain("place of a model number", before, place);
        for (uint32_t i = 0; i < length; i++) {
            digit = digit || (characters[i] >= '0' && characters[i] <= '9');
            letter = letter || characters[i] > '9';
            if (characters[i] < 128 && !isupper((int)characters[i]) && !isdigit((int)characters[i]))
                complain("character of a model number", 'A', characters[i]);
        }
        if (!digit || !letter)
            complain("digits and letters of a model number", 1, 0);
    }
    check_value(&a, &(quantity_form){NULL, false});
    check_value(&b, &(quantity_form){quantity_units[b.length % quantity_unit_count].base, true});
}

/* ---- forms of words ---- */

typedef size_t (*form_function)(const char *, size_t, char *);

/* Never longer than what was read: the target has its size, to the byte. */
static void
check_form(const char *what, form_function form, const char *bytes, size_t length)
{
    char *target = malloc(length == 0 ? 1 : length);
    size_t written;

    if (target == NULL)
        abort();
    written = form(bytes, length, target);
    if (written > length)
        complain(what, (double)length, (double)written);
    free(target);
}

void
fuzz_forms(void)
{
    char *bytes = malloc(a.length == 0 ? 1 : a.length), phone[LONGEST];
    size_t written;

    if (bytes == NULL)
        abort();
    for (uint32_t i = 0; i < a.length; i++)
        bytes[i] = (char)a.points[i];
    check_form("address", word_forms_address, bytes, a.length);
    check_form("organization", word_forms_organization, bytes, a.length);
    (void)word_forms_looks_like_address(bytes, a.length);
    (void)word_forms_legal(bytes, a.length);
    written = word_forms_phone(bytes, a.length, phone);
    if (written > 9 ? written != a.length : memcmp(phone, bytes + (a.length - written), written) != 0)
        complain("telephone number", (double)a.length, (double)written);
    free(bytes);
}
