/*
 * test_pair_bytes.c: pairs of texts as bytes, beside their code points, taken one by one; with and without
 * vectors. The texts are allocated to size: overruns show.
 */
#include <stdlib.h>

#include "kernel/pair_bytes.h"
#include "kernel/similarity.h"
#include "unit.h"

#define MOST_CHARACTERS 70

typedef struct sample_text {
    uint8_t *bytes;
    size_t size;
    uint32_t points[MOST_CHARACTERS], length;
} sample_text;

/* kind: 0 ASCII, 1 Latin-1, 2 Greek, 3 Cyrillic, 4 three first bytes of Latin, 5 anything. */
static uint32_t
random_point(uint64_t *seed, uint32_t kind)
{
    bool ascii = unit_below(seed, 3) == 0;

    if (ascii || kind == 0)
        return unit_below(seed, 8) == 0 ? unit_below(seed, 0x80) : 'a' + unit_below(seed, 6);
    switch (kind) {
    case 1:
        return 0x80 + unit_below(seed, 0x80);
    case 2:
        return 0x390 + unit_below(seed, 0x40);
    case 3:
        return 0x430 + unit_below(seed, 0x20);
    case 4:
        return 0xC0 + unit_below(seed, 0xC0);
    default:
        return unit_below(seed, 2) == 0 ? 0x80 + unit_below(seed, 0x780) : 0x800 + unit_below(seed, 0xC000);
    }
}

static sample_text
random_text(uint64_t *seed, uint32_t kind, uint32_t most)
{
    sample_text text = {NULL, 0, {0}, unit_below(seed, most + 1)};
    uint8_t bytes[MOST_CHARACTERS * 4];

    for (uint32_t i = 0; i < text.length; i++) {
        text.points[i] = random_point(seed, kind);
        text.size += unit_encode(text.points[i], bytes + text.size);
    }
    text.bytes = malloc(text.size + (text.size == 0));
    memcpy(text.bytes, bytes, text.size);
    return text;
}

/* Whether two texts can be bytes: at most two first bytes, each of two bytes' characters. */
static bool
can_be_bytes(const sample_text *a, const sample_text *b)
{
    uint32_t firsts[2], count = 0;
    const sample_text *texts[2] = {a, b};

    for (int t = 0; t < 2; t++) {
        if (texts[t]->size > PAIR_BYTES_LONGEST)
            return false;
        for (uint32_t i = 0; i < texts[t]->length; i++) {
            uint32_t first = texts[t]->points[i] >> 6;
            bool known = false;

            if (texts[t]->points[i] < 0x80)
                continue;
            for (uint32_t f = 0; f < count; f++)
                known |= firsts[f] == first;
            if (texts[t]->points[i] >= 0x800 || (!known && count == 2))
                return false;
            if (!known)
                firsts[count++] = first;
        }
    }
    return true;
}

/* Equal where the characters are, within each text and between them. */
static bool
same_equalities(const sample_text *a, const sample_text *b, const pair_bytes *bytes)
{
    const sample_text *texts[2] = {a, b};

    if (bytes->lengths[0] != a->length || bytes->lengths[1] != b->length)
        return false;
    for (int t = 0; t < 2; t++)
        for (uint32_t i = 0; i < texts[t]->length; i++)
            for (int u = 0; u < 2; u++)
                for (uint32_t j = 0; j < texts[u]->length; j++)
                    if ((texts[t]->points[i] == texts[u]->points[j]) !=
                        (bytes->bytes[t][i] == bytes->bytes[u][j]))
                        return false;
    return true;
}

/* The similarities are those of the code points, to the bit. */
static bool
same_similarities(const sample_text *a, const sample_text *b, const pair_bytes *bytes)
{
    static kernel_workspace workspace;
    text_view wide_a = {a->points, a->length, 4}, wide_b = {b->points, b->length, 4};
    text_view byte_a = {bytes->bytes[0], bytes->lengths[0], 1},
              byte_b = {bytes->bytes[1], bytes->lengths[1], 1};
    kernel_status (*const kernels[])(text_view, text_view, kernel_workspace *, double *) = {
        jaro_similarity, jaro_winkler_similarity, levenshtein_similarity, damerau_similarity, lcs_similarity};

    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        double of_points = -1, of_bytes = -2;

        if (kernels[k](wide_a, wide_b, &workspace, &of_points) != KERNEL_OK ||
            kernels[k](byte_a, byte_b, &workspace, &of_bytes) != KERNEL_OK || of_points != of_bytes)
            return false;
    }
    return true;
}

int
main(void)
{
    uint64_t seed = 5;
    uint32_t made = 0, refused = 0;
    bool can = true, can_single = true, equal = true, equal_single = true, similar = true;

    for (uint32_t round = 0; round < 300000; round++) {
        uint32_t kind = unit_below(&seed, 6), most = round % 5 == 0 ? MOST_CHARACTERS : 20;
        sample_text a = random_text(&seed, kind, most),
                    b = random_text(&seed, unit_below(&seed, 8) == 0 ? unit_below(&seed, 6) : kind, most);
        bool wanted = can_be_bytes(&a, &b);
        pair_bytes bytes, single;

        memset(&bytes, 0xAA, sizeof bytes);
        memset(&single, 0x55, sizeof single);
        can &= pair_bytes_of(a.bytes, a.size, b.bytes, b.size, &bytes) == wanted;
        can_single &= pair_bytes_of_single(a.bytes, a.size, b.bytes, b.size, &single) == wanted;
        made += wanted;
        refused += !wanted;
        if (wanted && can && can_single) {
            equal &= same_equalities(&a, &b, &bytes);
            equal_single &= same_equalities(&a, &b, &single);
            if (round % 4 == 0 && equal)
                similar &= same_similarities(&a, &b, &bytes);
        }
        free(a.bytes);
        free(b.bytes);
    }
    unit_ok(can, "what can be bytes becomes bytes");
    unit_ok(can_single, "the same without vectors");
    unit_ok(equal, "bytes are equal where characters are");
    unit_ok(equal_single, "the same without vectors");
    unit_ok(similar, "similarities are the same to the bit");
    unit_ok(made > 100000 && refused > 20000, "both were met often");
    return unit_done();
}
