/*
 * pattern_tables.c: see pattern_tables.h.
 */
#include "kernel/pattern_tables.h"

#define TABLES_AT_ONCE 4 /* so that their sums, each of which waits for the one before, wait together */

static int
end_of_bits(const comparison *comparison)
{
    return comparison->pattern_shift + comparison->pattern_bits;
}

void
pattern_tables_lay_out(pattern_tables *tables, const scorer *layout, uint32_t comparisons)
{
    int end;

    tables->count = 0;
    tables->places = 0;
    tables->comparisons = comparisons;
    for (int c = 0; c < layout->comparison_count; c = end) {
        int shift = layout->comparisons[c].pattern_shift;
        bool any = comparisons >> c & 1;

        for (end = c + 1; end < layout->comparison_count &&
                          end_of_bits(&layout->comparisons[end]) - shift <= PATTERN_TABLE_BITS;
             end++)
            any |= comparisons >> end & 1;
        if (!any)
            continue;
        tables->tables[tables->count].first = c;
        tables->tables[tables->count].end = end;
        tables->tables[tables->count].shift = shift;
        tables->tables[tables->count].mask =
            (UINT64_C(1) << (end_of_bits(&layout->comparisons[end - 1]) - shift)) - 1;
        tables->tables[tables->count].start = tables->places;
        tables->places += UINT32_C(1) << (end_of_bits(&layout->comparisons[end - 1]) - shift);
        tables->count++;
    }
}

void
pattern_tables_fill(const pattern_tables *tables, const scorer *layout, const double (*values)[MAX_LEVELS],
                    double *products)
{
    for (int t = 0; t < tables->count; t++) {
        double *table = products + tables->tables[t].start;
        uint32_t filled = 1;

        table[0] = 1.0;
        for (int c = tables->tables[t].first; c < tables->tables[t].end; c++) {
            const comparison *comparison = &layout->comparisons[c];
            bool counts = tables->comparisons >> c & 1;

            /* The first level last: it is what the others are made from. */
            for (int level = (1 << comparison->pattern_bits) - 1; level >= 0; level--) {
                double value = counts && level <= comparison->level_count ? values[c][level] : 1.0;
                double *to = table + (size_t)level * filled;

                for (uint32_t place = 0; place < filled; place++)
                    to[place] = table[place] * value;
            }
            filled <<= comparison->pattern_bits;
        }
    }
}

#if defined(__GNUC__)
__attribute__((always_inline))
#endif
static inline void
multiply_some(const pattern_tables *tables, int first, int count, const double *table_products,
              const pattern_count *patterns, size_t pattern_count, double *products)
{
    const double *table[TABLES_AT_ONCE];
    uint64_t masks[TABLES_AT_ONCE];
    int shifts[TABLES_AT_ONCE];

    for (int k = 0; k < count; k++) {
        table[k] = table_products + tables->tables[first + k].start;
        shifts[k] = tables->tables[first + k].shift;
        masks[k] = tables->tables[first + k].mask;
    }
    for (size_t i = 0; i < pattern_count; i++) {
        uint64_t pattern = patterns[i].pattern;
        double product = first == 0 ? 1.0 : products[i];

        for (int k = 0; k < count; k++)
            product *= table[k][pattern >> shifts[k] & masks[k]];
        products[i] = product;
    }
}

void
pattern_tables_multiply(const pattern_tables *tables, const double *table_products,
                        const pattern_count *patterns, size_t count, double *products)
{
    int first = 0;

    if (tables->count == 0)
        for (size_t i = 0; i < count; i++)
            products[i] = 1.0;
    for (; first + TABLES_AT_ONCE <= tables->count; first += TABLES_AT_ONCE)
        multiply_some(tables, first, TABLES_AT_ONCE, table_products, patterns, count, products);
    if (tables->count - first == 3)
        multiply_some(tables, first, 3, table_products, patterns, count, products);
    else if (tables->count - first == 2)
        multiply_some(tables, first, 2, table_products, patterns, count, products);
    else if (tables->count - first == 1)
        multiply_some(tables, first, 1, table_products, patterns, count, products);
}

#if defined(__GNUC__)
__attribute__((always_inline))
#endif
static inline void
add_some(const pattern_tables *tables, int first, int count, const pattern_count *patterns,
         size_t pattern_count, const double *counted, double *sums)
{
    double *table[TABLES_AT_ONCE];
    uint64_t masks[TABLES_AT_ONCE];
    int shifts[TABLES_AT_ONCE];

    for (int k = 0; k < count; k++) {
        table[k] = sums + tables->tables[first + k].start;
        shifts[k] = tables->tables[first + k].shift;
        masks[k] = tables->tables[first + k].mask;
    }
    for (size_t i = 0; i < pattern_count; i++)
        for (int k = 0; k < count; k++)
            table[k][patterns[i].pattern >> shifts[k] & masks[k]] += counted[i];
}

void
pattern_tables_add(const pattern_tables *tables, const pattern_count *patterns, size_t count,
                   const double *counted, double *sums)
{
    int first = 0;

    for (; first + TABLES_AT_ONCE <= tables->count; first += TABLES_AT_ONCE)
        add_some(tables, first, TABLES_AT_ONCE, patterns, count, counted, sums);
    if (tables->count - first == 3)
        add_some(tables, first, 3, patterns, count, counted, sums);
    else if (tables->count - first == 2)
        add_some(tables, first, 2, patterns, count, counted, sums);
    else if (tables->count - first == 1)
        add_some(tables, first, 1, patterns, count, counted, sums);
}

/* The last comparison's bits are the highest: its levels are halves of halves, and are then folded together.
 */
void
pattern_tables_sum_levels(const pattern_tables *tables, const scorer *layout, double *sums,
                          double (*levels)[MAX_LEVELS])
{
    for (int t = 0; t < tables->count; t++) {
        double *table = sums + tables->tables[t].start;
        uint32_t places = (uint32_t)tables->tables[t].mask + 1;

        for (int c = tables->tables[t].end - 1; c >= tables->tables[t].first; c--) {
            const comparison *comparison = &layout->comparisons[c];

            places >>= comparison->pattern_bits;
            for (int level = 0; level <= comparison->level_count; level++) {
                const double *from = table + (size_t)level * places;
                double sum = 0;

                for (uint32_t place = 0; place < places; place++)
                    sum += from[place];
                if (tables->comparisons >> c & 1)
                    levels[c][level] = sum;
                for (uint32_t place = 0; place < places && level > 0; place++)
                    table[place] += from[place];
            }
        }
    }
}
