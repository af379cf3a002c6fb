/*
 * test_soft_tfidf.c: the soft cosine of TF-IDF vectors against one that is counted by hand, on random texts
 * of words that are misspelt now and then, in both widths.
 */
#include <stdlib.h>

#include "kernel/comparison.h"
#include "kernel/fixed_point.h"
#include "kernel/soft_tfidf.h"
#include "unit.h"

#define VALUES 60 /* value 0 is the missing one */
#define WORDS 7
#define KINDS 14
#define ROUNDS 12

static const char *const kinds[KINDS] = {"johnson",  "jonson",   "garden",  "gardens", "the",
                                         "electric", "electrik", "dsc120",  "dsc130",  "pro",
                                         "of",       "zoltan",   "zoltann", "q"};

static uint32_t characters[VALUES][WORDS * 12];
static uint8_t narrow[VALUES][WORDS * 12];
static text_view texts[VALUES];
static uint32_t records[VALUES];
static char words[VALUES][WORDS][12];
static uint32_t word_count[VALUES];

static void
make_texts(uint64_t *seed)
{
    for (uint32_t v = 1; v < VALUES; v++) {
        uint32_t count = unit_below(seed, WORDS + 1), length = 0;
        bool wide = unit_below(seed, 4) == 0;

        word_count[v] = 0;
        for (uint32_t w = 0; w < count; w++) {
            const char *kind = kinds[unit_below(seed, unit_below(seed, KINDS) + 1)];
            bool known = false;

            for (uint32_t i = 0; i < word_count[v]; i++)
                known |= strcmp(words[v][i], kind) == 0;
            if (!known)
                strcpy(words[v][word_count[v]++], kind);
            for (const char *c = kind; *c != '\0'; c++)
                characters[v][length++] = (uint32_t)*c;
            characters[v][length++] = ' ';
        }
        for (uint32_t i = 0; i < length; i++)
            narrow[v][i] = (uint8_t)characters[v][i];
        texts[v] = wide ? (text_view){characters[v], length, 4} : (text_view){narrow[v], length, 1};
        records[v] = 1 + unit_below(seed, 3);
    }
}

static uint32_t
naive_weight(const char *word)
{
    uint64_t all = 0, having = 0;

    for (uint32_t v = 1; v < VALUES; v++) {
        all += records[v];
        for (uint32_t i = 0; i < word_count[v]; i++)
            having += strcmp(words[v][i], word) == 0 ? records[v] : 0;
    }
    return term_weight((double)all, (double)having);
}

static bool
naive_digits(const char *word)
{
    return strpbrk(word, "0123456789") != NULL;
}

/* The best pair that is left is taken until there is none: by similarity, then by weights. */
static double
naive_soft(uint32_t a, uint32_t b, double least, kernel_workspace *workspace)
{
    bool taken_a[WORDS] = {false}, taken_b[WORDS] = {false};
    double sum = 0, norm_a = 0, norm_b = 0;

    for (uint32_t i = 0; i < word_count[a]; i++)
        norm_a += (double)naive_weight(words[a][i]) * naive_weight(words[a][i]);
    for (uint32_t i = 0; i < word_count[b]; i++)
        norm_b += (double)naive_weight(words[b][i]) * naive_weight(words[b][i]);
    if (norm_a == 0 || norm_b == 0)
        return 0;
    for (;;) {
        double best = -1, best_product = -1;
        int x = -1, y = -1;

        for (uint32_t i = 0; i < word_count[a]; i++) {
            for (uint32_t j = 0; j < word_count[b]; j++) {
                double similarity = 0,
                       product = (double)naive_weight(words[a][i]) * naive_weight(words[b][j]);
                bool equal = strcmp(words[a][i], words[b][j]) == 0;

                if (taken_a[i] || taken_b[j] || product == 0 ||
                    (!equal && (naive_digits(words[a][i]) || naive_digits(words[b][j]))))
                    continue;
                (void)jaro_winkler_similarity((text_view){words[a][i], (uint32_t)strlen(words[a][i]), 1},
                                              (text_view){words[b][j], (uint32_t)strlen(words[b][j]), 1},
                                              workspace, &similarity);
                if (similarity < least && !equal)
                    continue;
                if (similarity > best || (similarity == best && product > best_product)) {
                    best = similarity;
                    best_product = product;
                    x = (int)i;
                    y = (int)j;
                }
            }
        }
        if (x < 0)
            break;
        taken_a[x] = taken_b[y] = true;
        sum += best_product * floor(best * 1024 + 0.5) / 1024;
    }
    sum /= sqrt(norm_a) * sqrt(norm_b);
    return sum > 1 ? 1 : sum;
}

int
main(void)
{
    uint64_t seed = 7;
    kernel_workspace workspace = {0};
    bool same = true, symmetric = true, bounded = true, itself = true, softer = true;
    uint64_t alike = 0;

    for (int round = 0; round < ROUNDS; round++) {
        keyed_record *entries, *scratch;
        uint64_t count, *starts, *counts;
        uint32_t *terms, term_count;
        uint16_t *weights;
        double *norms, all = 0;
        text_view *by_term;
        term_vectors vectors = {.value_count = VALUES};

        make_texts(&seed);
        texts[0] = (text_view){"", 0, 1};
        for (uint32_t v = 1; v < VALUES; v++)
            all += records[v];
        count = term_entries(texts, VALUES, 0, NULL);
        entries = malloc((count + 1) * sizeof(keyed_record));
        scratch = malloc((count + 1) * sizeof(keyed_record));
        (void)term_entries(texts, VALUES, 0, entries);
        count = term_entries_sort(entries, scratch, count, &term_count);
        counts = malloc((term_count + 1) * sizeof(uint64_t));
        weights = malloc((term_count + 1) * sizeof(uint16_t));
        term_counts(entries, count, records, counts);
        for (uint32_t t = 0; t < term_count; t++)
            weights[t] = term_weight(all, (double)counts[t]);
        starts = malloc((VALUES + 1) * sizeof(uint64_t));
        terms = malloc((count + 1) * sizeof(uint32_t));
        norms = malloc(VALUES * sizeof(double));
        vectors.term_count = term_count;
        term_vectors_fill(entries, count, weights, starts, terms, norms, &vectors);
        by_term = calloc(term_count + 1, sizeof(text_view));
        term_words_fill(texts, &vectors, 1, VALUES / 2, by_term);
        term_words_fill(texts, &vectors, VALUES / 2, VALUES, by_term);
        vectors.words = by_term;

        for (uint32_t a = 1; a < VALUES; a++) {
            for (uint32_t b = 1; b < VALUES; b++) {
                double least = round % 2 == 0 ? 0.9 : 0.8, found = -1, back = -1;

                (void)soft_tfidf_similarity(&vectors, a, b, least, &workspace, &found);
                (void)soft_tfidf_similarity(&vectors, b, a, least, &workspace, &back);
                same &= unit_near(found, naive_soft(a, b, least, &workspace), 1e-9);
                symmetric &= memcmp(&found, &back, sizeof found) == 0;
                bounded &= found >= 0 && found <= 1;
                softer &= found >= term_vectors_cosine(&vectors, a, b) - 1e-12;
                alike += found > term_vectors_cosine(&vectors, a, b) + 1e-6;
                itself &= a != b || norms[a] == 0 || unit_near(found, 1, 1e-9);
            }
        }
        free(entries), free(scratch), free(counts), free(weights), free(starts), free(terms), free(norms),
            free(by_term);
    }
    unit_ok(same, "as counted by hand");
    unit_ok(symmetric, "symmetric to the bit");
    unit_ok(bounded, "between 0 and 1");
    unit_ok(itself, "1 with itself");
    unit_ok(softer && alike > 1000, "never less than the cosine, and often more");
    kernel_workspace_free(&workspace);
    return unit_done();
}
