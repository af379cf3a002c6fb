/*
 * test_term_vectors.c: cosines of TF-IDF vectors and nearest neighbours against what is counted by hand, on
 * random texts of few words, so that many are shared.
 */
#include <stdlib.h>

#include "kernel/fixed_point.h"
#include "kernel/term_vectors.h"
#include "unit.h"

#define VALUES 80 /* value 0 is the missing one */
#define WORDS 6
#define KINDS 12

static char bytes[VALUES][WORDS * 3 + 1];
static text_view texts[VALUES];
static uint32_t records[VALUES];
static bool has[VALUES][KINDS];

/* Values of words "a " to "l ", some empty. */
static void
make_texts(uint64_t *seed)
{
    memset(has, 0, sizeof has);
    texts[0] = (text_view){"", 0, 1};
    records[0] = 0;
    for (uint32_t v = 1; v < VALUES; v++) {
        uint32_t count = unit_below(seed, WORDS + 1), length = 0;

        for (uint32_t w = 0; w < count; w++) {
            uint32_t kind = unit_below(seed, unit_below(seed, KINDS) + 1);

            has[v][kind] = true;
            bytes[v][length++] = (char)('a' + kind);
            bytes[v][length++] = (char)('a' + kind);
            bytes[v][length++] = ' ';
        }
        texts[v] = (text_view){bytes[v], length, 1};
        records[v] = 1 + unit_below(seed, 3);
    }
}

static uint64_t
naive_weight(int kind)
{
    uint64_t all = 0, having = 0;

    for (uint32_t v = 1; v < VALUES; v++) {
        all += records[v];
        having += has[v][kind] ? records[v] : 0;
    }
    return having == 0 ? 0
                       : (uint64_t)(portable_log2((double)all / (double)having) * TERM_WEIGHT_UNITS + 0.5);
}

static double
naive_cosine(uint32_t a, uint32_t b)
{
    double dot = 0, square_a = 0, square_b = 0;

    for (int kind = 0; kind < KINDS; kind++) {
        double square = (double)(naive_weight(kind) * naive_weight(kind));

        dot += has[a][kind] && has[b][kind] ? square : 0;
        square_a += has[a][kind] ? square : 0;
        square_b += has[b][kind] ? square : 0;
    }
    return square_a == 0 || square_b == 0 ? 0 : dot / (sqrt(square_a) * sqrt(square_b));
}

static void
make_vectors(uint32_t q, term_vectors *vectors)
{
    uint64_t count = term_entries(texts, VALUES, q, NULL);
    keyed_record *entries = calloc(count + 1, sizeof(keyed_record));
    keyed_record *scratch = calloc(count + 1, sizeof(keyed_record));
    uint64_t *counts, all = 0;
    uint16_t *weights;

    if (entries == NULL || scratch == NULL)
        abort();
    memset(vectors, 0, sizeof *vectors);
    vectors->value_count = VALUES;
    (void)term_entries(texts, VALUES, q, entries);
    count = term_entries_sort(entries, scratch, count, &vectors->term_count);
    counts = calloc(vectors->term_count + 1, sizeof(uint64_t));
    weights = calloc(vectors->term_count + 1, sizeof(uint16_t));
    if (counts == NULL || weights == NULL)
        abort();
    term_counts(entries, count, records, counts);
    for (int v = 1; v < VALUES; v++)
        all += records[v];
    for (uint32_t term = 0; term < vectors->term_count; term++)
        weights[term] = term_weight((double)all, (double)counts[term]);
    term_vectors_fill(entries, count, weights, calloc(VALUES + 1, sizeof(uint64_t)),
                      calloc(count + 1, sizeof(uint32_t)), calloc(VALUES, sizeof(double)), vectors);
    free(counts);
    free(entries);
    free(scratch);
}

static void
free_vectors(term_vectors *vectors)
{
    free((void *)vectors->starts);
    free((void *)vectors->terms);
    free((void *)vectors->weights);
    free((void *)vectors->norms);
}

static void
test_words(void)
{
    uint64_t seed = 7;
    bool same = true, symmetric = true, bounded = true;

    for (int round = 0; round < 20; round++) {
        term_vectors vectors;

        make_texts(&seed);
        make_vectors(0, &vectors);
        for (uint32_t a = 1; a < VALUES; a++) {
            for (uint32_t b = 1; b < VALUES; b++) {
                double cosine = term_vectors_cosine(&vectors, a, b);

                same &= unit_near(cosine, naive_cosine(a, b), 1e-12);
                symmetric &= cosine == term_vectors_cosine(&vectors, b, a);
                bounded &= cosine >= 0 && cosine <= 1 + 1e-12;
            }
        }
        free_vectors(&vectors);
    }
    unit_ok(same, "cosines of words are those counted by hand");
    unit_ok(symmetric && bounded, "a cosine has no direction and lies between 0 and 1");
}

/* With a budget that covers everything, neighbours are the k best of all records, ties by number. */
static void
test_neighbours(void)
{
    enum { K = 3 };
    uint64_t seed = 11;
    bool same = true;

    for (int round = 0; round < 10; round++) {
        term_vectors vectors;
        uint32_t values[VALUES], sources[VALUES], found[VALUES * 2 * K], scores[VALUES] = {0},
                                                                         touched[VALUES];
        double inverses[VALUES];
        uint64_t starts[KINDS + 2] = {0};
        uint32_t *lists = calloc((size_t)VALUES * KINDS, sizeof(uint32_t));
        uint64_t used = 0;
        neighbour_thread thread = {scores, touched};
        neighbour_search search = {.k = K, .budget = UINT64_MAX, .found = found, .threads = &thread};

        make_texts(&seed);
        make_vectors(0, &vectors);
        for (uint32_t r = 0; r < VALUES; r++) { /* record r has value r; value 0 is missing */
            values[r] = r;
            sources[r] = unit_below(&seed, 2);
            inverses[r] = vectors.norms[r] > 0 ? 1.0 / vectors.norms[r] : 0;
        }
        for (uint32_t term = 0; term < vectors.term_count; term++) {
            starts[term] = used;
            for (uint32_t r = 1; r < VALUES; r++)
                for (uint64_t i = vectors.starts[r]; i < vectors.starts[r + 1]; i++)
                    if (vectors.terms[i] == term)
                        lists[used++] = r;
        }
        starts[vectors.term_count] = used;
        search.vectors = &vectors;
        search.values = values;
        search.sources = sources;
        search.inverses = inverses;
        search.list_starts = starts;
        search.list_records = lists;
        neighbours_find(&search, 0, VALUES, 0);
        for (uint32_t r = 1; r < VALUES; r++) {
            for (int side = 0; side < 2; side++) {
                double last = 2;

                for (int i = 0; i < K; i++) {
                    uint32_t partner = found[r * 2 * K + side * K + i];
                    uint32_t better = 0;
                    double cosine;

                    if (partner == UINT32_MAX)
                        continue;
                    cosine = naive_cosine(r, partner);
                    for (uint32_t other = 1; other < VALUES; other++)
                        better += other != r && (sources[other] == sources[r]) == (side == 0) &&
                                  naive_cosine(r, other) > cosine + 1e-9;
                    same &= better <= (uint32_t)i && cosine <= last + 1e-9 && partner != r &&
                            (sources[partner] == sources[r]) == (side == 0);
                    last = cosine;
                }
            }
        }
        free(lists);
        free_vectors(&vectors);
    }
    unit_ok(same, "neighbours are the nearest, best first, within the source and across");
}

static void
test_grams(void)
{
    term_vectors vectors;

    memset(records, 0, sizeof records);
    for (uint32_t v = 0; v < VALUES; v++)
        texts[v] = (text_view){"", 0, 1};
    texts[1] = (text_view){"night", 5, 1};
    texts[2] = (text_view){"nacht", 5, 1};
    texts[3] = (text_view){"night", 5, 1};
    texts[4] = (text_view){"x", 1, 1};
    texts[5] = (text_view){"other words", 11, 1};
    for (uint32_t v = 1; v <= 5; v++)
        records[v] = 1;
    make_vectors(3, &vectors);
    unit_ok(unit_near(term_vectors_cosine(&vectors, 1, 3), 1, 1e-12) &&
                term_vectors_cosine(&vectors, 1, 2) > 0 && term_vectors_cosine(&vectors, 1, 2) < 0.5 &&
                term_vectors_cosine(&vectors, 1, 4) == 0 && term_vectors_cosine(&vectors, 1, 6) == 0,
            "q-grams: equal texts 1, kin between, strangers and the empty text 0");
    free_vectors(&vectors);
}

/* Every term of every value can be named, and its name has the term's hash: words and q-grams, longer too. */
static void
test_names(void)
{
    uint64_t seed = 23;
    bool named = true, refused = true;

    make_texts(&seed);
    for (uint32_t q = 0; q <= MAX_TERM_Q; q++) {
        uint64_t count = term_entries(texts, VALUES, q, NULL);
        keyed_record *entries = calloc(count + 1, sizeof(keyed_record));

        if (entries == NULL)
            abort();
        (void)term_entries(texts, VALUES, q, entries);
        for (uint64_t i = 0; i < count; i++) {
            uint32_t characters[MAX_TERM_Q], length = 0;
            text_view text = texts[entries[i].record];

            named &= term_with_hash(text, q, entries[i].key, characters, MAX_TERM_Q, &length) && length > 0 &&
                     term_hash((text_view){characters, length, 4}, q) == entries[i].key;
            refused &= !term_with_hash(text, q, entries[i].key, characters, length - 1, &length) &&
                       !term_with_hash(text, q, entries[i].key + 1, characters, MAX_TERM_Q, &length);
        }
        free(entries);
    }
    unit_ok(named, "a term's text is found again by its hash");
    unit_ok(refused, "a term without room, or an unknown one, is refused");
    unit_ok(term_weight(8, 2) == 2 * TERM_WEIGHT_UNITS && term_weight(2, 8) == 0 &&
                term_weight(8, 0) == 3 * TERM_WEIGHT_UNITS,
            "weights are logarithms of records by those that have the term");
}

int
main(void)
{
    test_names();
    test_words();
    test_neighbours();
    test_grams();
    return unit_done();
}
