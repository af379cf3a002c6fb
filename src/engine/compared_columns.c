/*
 * compared_columns.c: see compared_columns.h.
 */
#include "compat.h"

#include "engine/compared_columns.h"
#include "engine/label_comparisons.h"
#include "engine/query.h"

static bool
is_listed(const List *names, const char *name)
{
    ListCell *cell;

    foreach (cell, names)
        if (strcmp(lfirst(cell), name) == 0)
            return true;
    return false;
}

uint32
comparisons_in_key(const match_spec *spec, const rule_spec *rule)
{
    uint32 left_out = 0;
    List *key = NIL;

    if (rule->top_k > 0)
        return 0;
    for (int i = 0; i < rule->part_count; i++)
        key = list_concat(key, query_expression_columns(rule->parts[i], rule->part_paths[i]));
    for (int c = 0; c < spec->comparison_count; c++) {
        bool within = true;
        ListCell *cell;

        foreach (cell, query_expression_columns(spec->comparisons[c].expression, spec->comparisons[c].path))
            within &= is_listed(key, lfirst(cell));
        if (within)
            left_out |= UINT32_C(1) << c;
    }
    return left_out;
}

int
compared_columns(const match_spec *spec)
{
    List *columns = NIL;

    for (int c = 0; c < label_comparisons_first(spec); c++) {
        ListCell *cell;

        foreach (cell, query_expression_columns(spec->comparisons[c].expression, spec->comparisons[c].path))
            if (!is_listed(columns, lfirst(cell)))
                columns = lappend(columns, lfirst(cell));
    }
    return list_length(columns);
}

double
prior_share(const match_spec *spec)
{
    static const double shares[] = {1.0, 1.0, 0.3, 0.1};
    int columns = compared_columns(spec);

    if (label_comparisons_first(spec) == 1)
        return shares[3];
    return columns < (int)lengthof(shares) ? shares[Max(columns, 2)] : 0;
}

uint32
repeated_texts(const match_spec *spec)
{
    uint32 found = 0;
    List *alone = NIL;

    for (int c = 0; c < label_comparisons_first(spec); c++) {
        List *columns = query_expression_columns(spec->comparisons[c].expression, spec->comparisons[c].path);

        if (list_length(columns) == 1)
            alone = lappend(alone, linitial(columns));
    }
    for (int c = 0; c < label_comparisons_first(spec); c++) {
        List *columns = query_expression_columns(spec->comparisons[c].expression, spec->comparisons[c].path);
        int said = 0;
        ListCell *cell;

        foreach (cell, columns)
            said += is_listed(alone, lfirst(cell));
        if (list_length(columns) > 1 && 2 * said >= list_length(columns) &&
            method_weighs_terms(spec->comparisons[c].method))
            found |= UINT32_C(1) << c;
    }
    return found;
}
