/*
 * term_vectors.c: see term_vectors.h.
 */
#include "kernel/term_vectors.h"

#include <math.h>

#include "kernel/fixed_point.h"
#include "kernel/hash.h"
#include "kernel/similarity.h"

/* A term while the characters of a text pass. */
typedef struct term_place {
    uint32_t first, length; /* characters; the text is taken to have a space before and behind it */
    uint64_t hash;
} term_place;

/* The character at a place of the text between two spaces. */
static inline uint32_t
padded_at(text_view text, uint64_t place)
{
    return place == 0 || place > text.length ? ' ' : text_view_at(text, (uint32_t)(place - 1));
}

/* The next word from *place on; false when there is none. */
static bool
next_word(text_view text, uint64_t *place, term_place *term)
{
    uint64_t hash = 0, first = *place;

    while (first < text.length && token_separator(text_view_at(text, (uint32_t)first)))
        first++;
    *place = first;
    while (*place < text.length && !token_separator(text_view_at(text, (uint32_t)*place)))
        hash = hash_combine(hash, text_view_at(text, (uint32_t)(*place)++));
    *term = (term_place){(uint32_t)first + 1, (uint32_t)(*place - first), hash_word(hash)};
    return term->length > 0;
}

/* The next q-gram; the text stands between two spaces, so that how words begin and end counts. */
static bool
next_gram(text_view text, uint32_t q, uint64_t *place, term_place *term)
{
    uint64_t padded = (uint64_t)text.length + 2, hash = q, i = *place;

    if (i > 0 && i + q > padded)
        return false;
    for (uint64_t j = i; j < i + q && j < padded; j++)
        hash = hash_combine(hash, padded_at(text, j));
    *term = (term_place){(uint32_t)i, (uint32_t)(padded - i < q ? padded - i : q), hash_word(hash)};
    (*place)++;
    return true;
}

static bool
next_term(text_view text, uint32_t q, uint64_t *place, term_place *term)
{
    return q == 0 ? next_word(text, place, term) : next_gram(text, q, place, term);
}

static text_view
looked_at(text_view text)
{
    if (text.length > MAX_TERM_CHARACTERS)
        text.length = MAX_TERM_CHARACTERS;
    return text;
}

uint64_t
term_hash(text_view term, uint32_t q)
{
    uint64_t hash = q;

    for (uint32_t i = 0; i < term.length; i++)
        hash = hash_combine(hash, text_view_at(term, i));
    return hash_word(hash);
}

bool
term_with_hash(text_view text, uint32_t q, uint64_t hash, uint32_t *characters, uint32_t room,
               uint32_t *length)
{
    uint64_t place = 0;
    term_place term;

    text = looked_at(text);
    while (text.length > 0 && next_term(text, q, &place, &term)) {
        if (term.hash != hash)
            continue;
        *length = term.length;
        if (term.length > room)
            return false;
        for (uint32_t i = 0; i < term.length; i++)
            characters[i] = padded_at(text, (uint64_t)term.first + i);
        return true;
    }
    return false;
}

uint64_t
term_entries(const text_view *texts, uint32_t count, uint32_t q, keyed_record *entries)
{
    uint64_t used = 0;

    for (uint32_t value = 1; value < count; value++) {
        text_view text = looked_at(texts[value]);
        uint64_t place = 0;
        term_place term;

        while (text.length > 0 && next_term(text, q, &place, &term)) {
            if (entries != NULL)
                entries[used] = (keyed_record){term.hash, value, 0};
            used++;
        }
    }
    return used;
}

uint64_t
term_entries_sort(keyed_record *entries, keyed_record *scratch, uint64_t count, uint32_t *term_count)
{
    uint64_t kept = 0;

    radix_sort_hashed(entries, scratch, count);
    *term_count = 0;
    for (uint64_t i = 0; i < count; i++) {
        bool new_term = kept == 0 || entries[kept - 1].key != entries[i].key;

        if (!new_term && entries[kept - 1].record == entries[i].record)
            continue;
        *term_count += new_term;
        entries[kept] = entries[i];
        entries[kept].extra = *term_count - 1;
        kept++;
    }
    return kept;
}

void
term_counts(const keyed_record *entries, uint64_t entry_count, const uint32_t *records, uint64_t *counts)
{
    for (uint64_t first = 0, end; first < entry_count; first = end) {
        uint64_t having = 0;

        for (end = first; end < entry_count && entries[end].extra == entries[first].extra; end++)
            having += records[entries[end].record];
        counts[entries[first].extra] = having;
    }
}

uint16_t
term_weight(double all, double having)
{
    if (having < 1)
        having = 1;
    return (uint16_t)(portable_log2((all > having ? all : having) / having) * TERM_WEIGHT_UNITS + 0.5);
}

void
term_vectors_fill(const keyed_record *entries, uint64_t entry_count, const uint16_t *weights,
                  uint64_t *starts, uint32_t *terms, double *norms, term_vectors *vectors)
{
    for (uint32_t v = 0; v <= vectors->value_count; v++)
        starts[v] = 0;
    for (uint64_t i = 0; i < entry_count; i++)
        starts[entries[i].record + 1]++;
    for (uint32_t v = 0; v < vectors->value_count; v++)
        starts[v + 1] += starts[v];
    for (uint64_t i = 0; i < entry_count; i++)
        terms[starts[entries[i].record]++] = entries[i].extra;
    for (uint32_t v = vectors->value_count; v > 0; v--)
        starts[v] = starts[v - 1];
    starts[0] = 0;

    for (uint32_t v = 0; v < vectors->value_count; v++) {
        uint64_t sum = 0;

        for (uint64_t i = starts[v]; i < starts[v + 1]; i++)
            sum += (uint64_t)weights[terms[i]] * weights[terms[i]];
        norms[v] = sqrt((double)sum);
    }
    vectors->starts = starts;
    vectors->terms = terms;
    vectors->weights = weights;
    vectors->norms = norms;
}

double
term_vectors_cosine(const term_vectors *vectors, uint32_t a, uint32_t b)
{
    uint64_t i = vectors->starts[a], end_i = vectors->starts[a + 1];
    uint64_t j = vectors->starts[b], end_j = vectors->starts[b + 1];
    uint64_t sum = 0;

    if (vectors->norms[a] == 0 || vectors->norms[b] == 0)
        return 0;
    while (i < end_i && j < end_j) {
        uint32_t x = vectors->terms[i], y = vectors->terms[j];

        if (x == y)
            sum += (uint64_t)vectors->weights[x] * vectors->weights[x];
        i += x <= y;
        j += y <= x;
    }
    return (double)sum / (vectors->norms[a] * vectors->norms[b]);
}

/* ---- neighbours ---- */

#define MAX_QUERY_TERMS (MAX_TERM_CHARACTERS + 2)

typedef struct ranked {
    double score;
    uint32_t record;
} ranked;

/* Keeps the k best, best first, ties by the lesser record. */
static void
rank(ranked *best, uint32_t *count, uint32_t k, double score, uint32_t record)
{
    uint32_t place;

    if (*count == k &&
        (score < best[k - 1].score || (score == best[k - 1].score && record > best[k - 1].record)))
        return;
    place = *count < k ? (*count)++ : k - 1;
    while (place > 0 && (best[place - 1].score < score ||
                         (best[place - 1].score == score && best[place - 1].record > record))) {
        best[place] = best[place - 1];
        place--;
    }
    best[place] = (ranked){score, record};
}

/* The value's terms with the shortest lists first, at most as many as the budget allows. */
static uint32_t
query_terms(const neighbour_search *search, uint32_t value, uint32_t *chosen)
{
    const term_vectors *vectors = search->vectors;
    uint32_t count = 0, within = 0;
    uint64_t spent = 0;

    for (uint64_t i = vectors->starts[value]; i < vectors->starts[value + 1] && count < MAX_QUERY_TERMS;
         i++) {
        uint32_t term = vectors->terms[i], place = count;
        uint64_t length = search->list_starts[term + 1] - search->list_starts[term];

        for (; place > 0; place--) {
            uint32_t other = chosen[place - 1];

            if (search->list_starts[other + 1] - search->list_starts[other] <= length)
                break;
            chosen[place] = other;
        }
        chosen[place] = term;
        count++;
    }
    for (; within < count; within++) {
        spent += search->list_starts[chosen[within] + 1] - search->list_starts[chosen[within]];
        if (spent > search->budget && within > 0)
            break;
    }
    return within;
}

static void
find_for_record(const neighbour_search *search, uint32_t record, neighbour_thread *memory)
{
    uint32_t *found = search->found + (size_t)record * 2 * search->k;
    uint32_t value = search->values[record], terms[MAX_QUERY_TERMS], term_count, touched = 0;
    ranked own[64], other[64];
    uint32_t own_count = 0, other_count = 0;

    for (uint32_t i = 0; i < 2 * search->k; i++)
        found[i] = UINT32_MAX;
    if (value == 0)
        return;
    term_count = query_terms(search, value, terms);
    for (uint32_t t = 0; t < term_count; t++) {
        uint32_t square = (uint32_t)search->vectors->weights[terms[t]] * search->vectors->weights[terms[t]];

        if (square == 0)
            continue;
        for (uint64_t i = search->list_starts[terms[t]]; i < search->list_starts[terms[t] + 1]; i++) {
            uint32_t partner = search->list_records[i];

            if (memory->scores[partner] == 0)
                memory->touched[touched++] = partner;
            memory->scores[partner] += square;
        }
    }
    for (uint32_t i = 0; i < touched; i++) {
        uint32_t partner = memory->touched[i];
        double score = memory->scores[partner] * search->inverses[partner];

        memory->scores[partner] = 0;
        if (partner == record)
            continue;
        if (search->sources == NULL || search->sources[partner] == search->sources[record])
            rank(own, &own_count, search->k, score, partner);
        else
            rank(other, &other_count, search->k, score, partner);
    }
    for (uint32_t i = 0; i < own_count; i++)
        found[i] = own[i].record;
    for (uint32_t i = 0; i < other_count; i++)
        found[search->k + i] = other[i].record;
}

void
neighbours_find(const neighbour_search *search, uint32_t first, uint32_t end, int thread)
{
    for (uint32_t record = first; record < end; record++)
        find_for_record(search, record, &search->threads[thread]);
}
