/*
 * test_pattern_tables.c: products and sums by tables are those by comparison and level, whatever comparisons
 * there are and count.
 */
#include "kernel/pattern_tables.h"
#include "unit.h"

#define PATTERNS 300

static scorer layout;
static uint64_t random_state = 7;

/* Comparisons of random numbers of levels, as many as a pattern has room for or fewer. */
static void
make_layout(int most)
{
    do {
        memset(&layout, 0, sizeof layout);
        layout.comparison_count = 1 + (int)unit_below(&random_state, (uint32_t)most);
        for (int c = 0; c < layout.comparison_count; c++)
            layout.comparisons[c].level_count = 2 + (int)unit_below(&random_state, MAX_LEVELS - 2);
    } while (!scorer_prepare(&layout));
}

static void
make_patterns(pattern_count *patterns)
{
    for (int i = 0; i < PATTERNS; i++) {
        patterns[i] = (pattern_count){0, unit_below(&random_state, 1000)};
        for (int c = 0; c < layout.comparison_count; c++)
            patterns[i].pattern |=
                (uint64_t)unit_below(&random_state, (uint32_t)layout.comparisons[c].level_count + 1)
                << layout.comparisons[c].pattern_shift;
    }
}

static void
test_against_levels(void)
{
    int wrong_products = 0, wrong_sums = 0, touched = 0, most_tables = 0;

    for (int round = 0; round < 2000; round++) {
        double values[MAX_COMPARISONS][MAX_LEVELS], naive[MAX_COMPARISONS][MAX_LEVELS] = {{0}};
        double table_products[MOST_TABLE_PLACES], sums[MOST_TABLE_PLACES] = {0}, products[PATTERNS];
        double counted[PATTERNS], levels[MAX_COMPARISONS][MAX_LEVELS];
        pattern_count patterns[PATTERNS];
        uint32_t counting =
            unit_below(&random_state, 4) == 0 ? UINT32_MAX : unit_below(&random_state, UINT32_MAX);
        size_t count = unit_below(&random_state, PATTERNS + 1);
        pattern_tables tables;

        make_layout(round % 4 == 0 ? 3 : 30);
        make_patterns(patterns);
        for (int c = 0; c < MAX_COMPARISONS; c++)
            for (int level = 0; level < MAX_LEVELS; level++) {
                values[c][level] = 0.25 + unit_below(&random_state, 1000) / 500.0;
                levels[c][level] = -1;
            }
        pattern_tables_lay_out(&tables, &layout, counting);
        most_tables = tables.count > most_tables ? tables.count : most_tables;
        pattern_tables_fill(&tables, &layout, values, table_products);
        pattern_tables_multiply(&tables, table_products, patterns, count, products);
        for (size_t i = 0; i < count; i++) {
            double product = 1;

            counted[i] = patterns[i].count;
            for (int c = 0; c < layout.comparison_count; c++) {
                int level = pattern_level(&layout.comparisons[c], patterns[i].pattern);

                if (counting >> c & 1) {
                    product *= values[c][level];
                    naive[c][level] += counted[i];
                }
            }
            wrong_products += !unit_near(products[i] / product, 1, 1e-12);
        }
        pattern_tables_add(&tables, patterns, count, counted, sums);
        pattern_tables_sum_levels(&tables, &layout, sums, levels);
        for (int c = 0; c < layout.comparison_count; c++)
            for (int level = 0; level <= layout.comparisons[c].level_count; level++) {
                if (counting >> c & 1) /* whole numbers: there is nothing to round */
                    wrong_sums += levels[c][level] != naive[c][level];
                else
                    touched += levels[c][level] != -1;
            }
    }
    unit_ok(wrong_products == 0, "products of tables are those of levels");
    unit_ok(wrong_sums == 0, "sums of tables are those of levels");
    unit_ok(touched == 0, "comparisons that do not count are left alone");
    unit_ok(most_tables > 8, "patterns of many tables were met");
}

/* The fullest patterns: as many tables, and as many places, as there can be. */
static void
test_bounds(void)
{
    static const struct {
        int levels, comparisons;
    } fullest[] = {{14, 16}, {2, 32}, {7, 21}};

    for (int i = 0; i < 3; i++) {
        pattern_tables tables;

        memset(&layout, 0, sizeof layout);
        layout.comparison_count = fullest[i].comparisons;
        for (int c = 0; c < layout.comparison_count; c++)
            layout.comparisons[c].level_count = fullest[i].levels;
        unit_ok(scorer_prepare(&layout), "a full pattern can be prepared");
        pattern_tables_lay_out(&tables, &layout, UINT32_MAX);
        unit_ok(tables.count <= MOST_PATTERN_TABLES, "its tables are no more than there is room for");
        unit_ok(tables.places <= MOST_TABLE_PLACES, "nor are their places");
        pattern_tables_lay_out(&tables, &layout, 0);
        unit_ok(tables.count == 0 && tables.places == 0, "what counts nowhere has no table");
    }
}

int
main(void)
{
    test_against_levels();
    test_bounds();
    return unit_done();
}
