/*
 * kernels.c: what one pair costs in the kernels, without SQL around them: names of about 16 characters, one
 * of them compared with many, the least of several turns of processor time. One pair at a time, and many at
 * once with the vectors that the machine has. Built and run by kernels.sh; no part of the library.
 *
 *   kernels            measures
 *   kernels names      writes the names, a line each, for a peer to be measured on the same
 *   kernels MEASURE    measures one of jaro_winkler, levenshtein, osa, and says no more than target and
 * figure
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/lanes.h"
#include "kernel/similarity.h"
#include "kernel/text_profile.h"

#define NAMES 4096
#define QUERIES 64
#define TURNS 9

typedef kernel_status (*measure)(text_view, text_view, kernel_workspace *, double *);

static char characters[NAMES][24];
static text_view names[NAMES];
static text_profile profiles[NAMES];
static lane_planes planes[NAMES];
static double sink;

static double
processor_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

static void
make_names(void)
{
    static const char *const first[] = {"anna",  "bertil", "carmen", "dmitri", "edith",
                                        "farid", "greta",  "hugo",   "ingrid", "jonas"};
    uint64_t seed = 1;

    for (int i = 0; i < NAMES; i++) {
        int length = 0;

        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        length = snprintf(characters[i], sizeof characters[i], "%s ", first[seed >> 33 & 7]);
        while (length < 16) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            characters[i][length++] = (char)('a' + (seed >> 40) % 26);
        }
        names[i] = (text_view){characters[i], (uint32_t)length, 1};
        profiles[i] = text_profile_of(names[i]);
        lane_planes_of(names[i], &planes[i]);
    }
}

static double
least_ns(measure compare)
{
    kernel_workspace workspace = {0};
    double least = 1e18;

    for (int turn = 0; turn < TURNS; turn++) {
        double start = processor_ns(), spent, sum = 0, result;

        for (int q = 0; q < QUERIES; q++)
            for (int i = 0; i < NAMES; i++) {
                if (compare(names[q], names[i], &workspace, &result) != KERNEL_OK)
                    abort();
                sum += result;
            }
        spent = (processor_ns() - start) / ((double)QUERIES * NAMES);
        least = spent < least ? spent : least;
        sink += sum;
    }
    kernel_workspace_free(&workspace);
    return least;
}

/* What two profiles say, which comes before a measure in the engine. */
static double
least_profile_ns(void)
{
    double least = 1e18;

    for (int turn = 0; turn < TURNS; turn++) {
        double start = processor_ns(), spent;
        uint64_t sum = 0;

        for (int q = 0; q < QUERIES; q++)
            for (int i = 0; i < NAMES; i++) {
                uint32_t a, b;

                text_profile_surplus(&profiles[q], &profiles[i], &a, &b);
                sum += a + b;
            }
        spent = (processor_ns() - start) / ((double)QUERIES * NAMES);
        least = spent < least ? spent : least;
        sink += (double)sum;
    }
    return least;
}

/* Pairs of any two, as scoring has them: of values that are ready, as they are in a run, or of texts. */
static double
least_pairs_ns(lane_measure measure, bool ready)
{
    static double results[NAMES];
    static text_view others[NAMES];
    static uint32_t a[NAMES], b[NAMES];
    static uint8_t lengths_a[NAMES], lengths_b[NAMES];
    kernel_workspace workspace = {0};
    double least = 1e18;

    for (uint32_t i = 0; i < NAMES; i++) {
        a[i] = i;
        b[i] = (i * 7 + 1) % NAMES;
        others[i] = names[b[i]];
        lengths_a[i] = (uint8_t)names[a[i]].length;
        lengths_b[i] = (uint8_t)others[i].length;
    }
    for (int turn = 0; turn < TURNS; turn++) {
        double start = processor_ns(), spent;

        for (int q = 0; q < QUERIES; q++) {
            kernel_status status =
                ready ? lanes_values(measure, planes, a, b, lengths_a, lengths_b, NAMES, &workspace, results)
                      : lanes_pairs(measure, names, others, NAMES, &workspace, results);

            if (status != KERNEL_OK)
                abort();
            sink += results[q];
        }
        spent = (processor_ns() - start) / ((double)QUERIES * NAMES);
        least = spent < least ? spent : least;
    }
    kernel_workspace_free(&workspace);
    return least;
}

static const struct {
    const char *name;
    lane_measure measure;
} lane_measures[] = {{"jaro", LANES_JARO},
                     {"jaro_winkler", LANES_JARO_WINKLER},
                     {"levenshtein", LANES_LEVENSHTEIN_DISTANCE},
                     {"osa", LANES_DAMERAU_DISTANCE}};

static const char *const targets[] = {[LANES_SSE2] = "SSE2", [LANES_AVX2] = "AVX2"};

static void
report_lanes(const char *only)
{
    for (lane_target target = LANES_SSE2; target <= LANES_AVX2; target++)
        for (size_t m = 0; m < sizeof lane_measures / sizeof lane_measures[0]; m++) {
            if (lanes_use(target) != target)
                continue;
            if (only != NULL && strcmp(only, lane_measures[m].name) == 0)
                printf("%s %.2f\n", targets[target], least_pairs_ns(lane_measures[m].measure, true));
            for (int ready = 1; only == NULL && ready >= 0; ready--)
                printf("  %-44s %5.1f ns a pair\n",
                       strcat(strcat(strcpy((char[64]){""}, lane_measures[m].name),
                                     target == LANES_SSE2 ? ", SSE2" : ", AVX2"),
                              ready ? ", values that are ready" : ", texts"),
                       least_pairs_ns(lane_measures[m].measure, ready));
        }
}

int
main(int count, char **arguments)
{
    static const struct {
        const char *name;
        measure compare;
    } measures[] = {{"jaro", jaro_similarity},
                    {"jaro_winkler", jaro_winkler_similarity},
                    {"levenshtein", levenshtein_similarity},
                    {"damerau (optimal string alignment)", damerau_similarity},
                    {"lcs", lcs_similarity}};

    make_names();
    if (count > 1 && strcmp(arguments[1], "names") == 0) {
        for (int i = 0; i < NAMES; i++)
            printf("%.*s\n", (int)names[i].length, characters[i]);
        return 0;
    }
    if (count > 1) {
        report_lanes(arguments[1]);
        return 0;
    }
    for (size_t m = 0; m < sizeof measures / sizeof measures[0]; m++)
        printf("  %-44s %5.1f ns a pair\n", measures[m].name, least_ns(measures[m].compare));
    printf("  %-44s %5.1f ns a pair\n", "bound by profiles", least_profile_ns());
    report_lanes(NULL);
    return sink == 0;
}
