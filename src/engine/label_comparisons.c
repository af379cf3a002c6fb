/*
 * label_comparisons.c: see label_comparisons.h.
 */
#include "compat.h"

#include "engine/label_comparisons.h"

#define PATTERN_BITS 64 /* that the levels of a pair have (kernel/comparison.h) */

/* Similarities of two whole records: many levels where there is room, and few where there is not. */
static const double fine[] = {0.8, 0.7, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15};
static const double coarse[] = {0.6, 0.5, 0.4, 0.3, 0.2};

static int
bits_of(int levels)
{
    int bits = 1;

    while (1 << bits <= levels)
        bits++;
    return bits;
}

int
label_comparisons_first(const match_spec *spec)
{
    int first = spec->comparison_count;

    while (first > 0 && spec->comparisons[first - 1].with_labels)
        first--;
    return first;
}

uint32
label_comparisons_mask(const match_spec *spec)
{
    uint32 mask = 0;

    for (int c = label_comparisons_first(spec); c < spec->comparison_count; c++)
        mask |= UINT32_C(1) << c;
    return mask;
}

/* Takes out (or puts last) the comparisons of labels; the others keep their order. */
static void
put_last(match_spec *spec, bool keep)
{
    comparison_spec *apart = palloc(MAX_COMPARISONS * sizeof(comparison_spec));
    int count = 0, kept = 0;

    for (int c = 0; c < spec->comparison_count; c++) {
        if (spec->comparisons[c].with_labels)
            apart[count++] = spec->comparisons[c];
        else
            spec->comparisons[kept++] = spec->comparisons[c];
    }
    for (int i = 0; i < count && keep; i++)
        spec->comparisons[kept++] = apart[i];
    spec->comparison_count = kept;
    pfree(apart);
}

static bool
is_compared(const match_spec *spec, const char *expression, const char *name)
{
    for (int c = 0; c < spec->comparison_count; c++)
        if (strcmp(spec->comparisons[c].expression, expression) == 0 ||
            strcmp(spec->comparisons[c].name, name) == 0)
            return true;
    return false;
}

static void
add_text_of(match_spec *spec, const rule_spec *rule, const char *name)
{
    comparison_spec *comparison = &spec->comparisons[spec->comparison_count];
    int bits = 0, room;

    for (int c = 0; c < spec->comparison_count; c++)
        bits += bits_of(spec_level_count(&spec->comparisons[c]));
    room = PATTERN_BITS - bits;
    memset(comparison, 0, sizeof *comparison);
    comparison->path = rule->part_paths[0];
    comparison->name = pstrdup(name);
    comparison->expression = comparison->evaluated = rule->parts[0];
    comparison->form = rule->form;
    comparison->method = METHOD_TFIDF;
    comparison->q = rule->q;
    comparison->scale = 1.0;
    comparison->with_labels = true;
    comparison->threshold_count = room < bits_of(lengthof(fine) + 2) ? lengthof(coarse) : lengthof(fine);
    memcpy(comparison->thresholds, comparison->threshold_count == lengthof(fine) ? fine : coarse,
           comparison->threshold_count * sizeof(double));
    if (room >= bits_of(spec_level_count(comparison)))
        spec->comparison_count++;
}

void
label_comparisons_prepare(match_spec *spec, bool with_labels)
{
    put_last(spec, with_labels);
    for (int r = 0; r < spec->rule_count && with_labels; r++) {
        const rule_spec *rule = &spec->rules[r];
        char *name = psprintf("text of rule %d", r + 1);

        if (rule->top_k > 0 && rule->q > 0 && spec->comparison_count < MAX_COMPARISONS &&
            !is_compared(spec, rule->parts[0], name))
            add_text_of(spec, rule, name);
    }
    if (label_comparisons_first(spec) == 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("all comparisons of the specification are learnt from labels alone"),
                        errdetail("There is nothing that labels could correct."),
                        errhint("Leave \"with_labels\" out of a comparison.")));
}

void
label_comparisons_drop_idle(match_spec *spec)
{
    int first = label_comparisons_first(spec);

    for (int c = first; c < spec->comparison_count; c++)
        for (int level = LEVEL_EXACT; level <= spec_level_count(&spec->comparisons[c]); level++)
            if (spec->comparisons[c].weights[level] != 0)
                return;
    spec->comparison_count = first;
}
