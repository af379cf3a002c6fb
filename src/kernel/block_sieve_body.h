/*
 * block_sieve_body.h: the loop of block_sieve.c for one width of vectors; included once for each.
 *
 * SIEVE_LANES is 4 or 8, SIEVE_REGISTER the type of such a vector, SIEVE_TARGET the attribute of functions
 * that may use them, SIEVE_NAME(x) the name of x for these, SIEVE_MASK(v) the sign bits of the lanes.
 */
typedef uint32_t SIEVE_NAME(vector) __attribute__((vector_size(SIEVE_LANES * 4)));
typedef int32_t SIEVE_NAME(signed_vector) __attribute__((vector_size(SIEVE_LANES * 4)));
typedef float SIEVE_NAME(float_vector) __attribute__((vector_size(SIEVE_LANES * 4)));

#define VECTOR SIEVE_NAME(vector)
#define SIGNED SIEVE_NAME(signed_vector)
#define FLOATS SIEVE_NAME(float_vector)

SIEVE_TARGET static inline VECTOR
SIEVE_NAME(choose)(VECTOR mask, VECTOR yes, VECTOR no)
{
    return (mask & yes) | (~mask & no);
}

SIEVE_TARGET static inline FLOATS
SIEVE_NAME(floats)(VECTOR numbers)
{
    return __builtin_convertvector((SIGNED)numbers, FLOATS);
}

/* The partners that are more edits away than a filter allows. */
SIEVE_TARGET static inline VECTOR
SIEVE_NAME(distant)(const sieve_filter *filter, VECTOR more, VECTOR less, VECTOR length_a, VECTOR length_b)
{
    SIGNED difference = (SIGNED)(length_a - length_b);
    VECTOR edits = SIEVE_NAME(choose)((VECTOR)((SIGNED)more > (SIGNED)less), more, less);
    VECTOR longer = SIEVE_NAME(choose)((VECTOR)(difference > 0), length_a, length_b);

    difference =
        (SIGNED)SIEVE_NAME(choose)((VECTOR)(difference > 0), (VECTOR)difference, (VECTOR)-difference);
    edits = SIEVE_NAME(choose)((VECTOR)((SIGNED)edits > difference), edits, (VECTOR)difference);
    return (VECTOR)(SIEVE_NAME(floats)(edits) > filter->share * SIEVE_NAME(floats)(longer) + filter->edits);
}

/* Those that have too few characters in common. */
SIEVE_TARGET static inline VECTOR
SIEVE_NAME(unlike)(const sieve_filter *filter, const sieve_row *row, uint64_t first, VECTOR more, VECTOR less,
                   VECTOR length_a, VECTOR length_b)
{
    const block_profile *profile = filter->profile;
    const VECTOR zero = {0};
    VECTOR starts, common, least = (VECTOR)((FLOATS)zero + filter->least[0]);
    FLOATS parts;

    memcpy(&starts, profile->starts + first, sizeof starts);
    memcpy(&parts, profile->parts + first, sizeof parts);
    starts ^= profile->starts[row->entry];
    for (int prefix = 1; prefix <= 4; prefix++)
        least = SIEVE_NAME(choose)((VECTOR)((starts & UINT32_MAX >> 8 * (4 - prefix)) == zero),
                                   (VECTOR)((FLOATS)zero + filter->least[prefix]), least);
    more = length_a - more;
    less = length_b - less;
    common = SIEVE_NAME(choose)((VECTOR)((SIGNED)more < (SIGNED)less), more, less);
    parts += profile->parts[row->entry];
    return (VECTOR)(SIEVE_NAME(floats)(common) * parts < (FLOATS)least);
}

/* Those whose profiles rule out that they reach a level of the filter's comparison. asked: a bit for each
 * that it is asked of. */
SIEVE_TARGET static inline VECTOR
SIEVE_NAME(ruled_out)(const pair_visit *visit, const block_rows *rows, const sieve_filter *filter,
                      const sieve_row *row, uint64_t first, uint32_t asked)
{
    const block_profile *profile = filter->profile;
    VECTOR length_a = {0}, length_b;
    SIEVE_REGISTER more, less;

    if (filter->bound == BOUND_ASKED) {
        uint32_t out = profiles_rule_out(visit, rows, profile, row, first, asked);
        VECTOR lanes = {0};

        for (int l = 0; l < SIEVE_LANES; l++)
            lanes[l] = 0 - (out >> l & 1);
        return lanes;
    }
    SIEVE_NAME(surplus)(profile->counts, row->entry, first, &more, &less);
    length_a += profile->lengths[row->entry];
    memcpy(&length_b, profile->lengths + first, sizeof length_b);
    return filter->bound == BOUND_EDITS
               ? SIEVE_NAME(distant)(filter, (VECTOR)more, (VECTOR)less, length_a, length_b)
               : SIEVE_NAME(unlike)(filter, row, first, (VECTOR)more, (VECTOR)less, length_a, length_b);
}

/* Of the partners that are alive by the sum of what equality gives them, those that profiles leave. */
SIEVE_TARGET static inline uint32_t
SIEVE_NAME(filtered)(const pair_visit *visit, const block_rows *rows, const sieve_row *row, uint64_t first,
                     SIGNED sum, uint32_t alive)
{
    const VECTOR zero = {0};
    VECTOR differ[BLOCK_PROFILES];
    SIGNED worst = sum, need = (SIGNED)zero + row->need;
    uint32_t undecided;

    for (int f = 0; f < row->filter_count; f++) {
        VECTOR codes;

        memcpy(&codes, row->filters[f].codes + first, sizeof codes);
        differ[f] = (VECTOR)(codes != zero) & (VECTOR)(codes != zero + row->filters[f].code);
        worst -= (SIGNED)differ[f] & row->filters[f].loss;
    }
    undecided = alive & SIEVE_MASK((VECTOR)(worst < need));
    for (int f = 0; f < row->filter_count && undecided != 0; f++) {
        VECTOR out = differ[f] & SIEVE_NAME(ruled_out)(visit, rows, row->filters[f].filter, row, first,
                                                       undecided & SIEVE_MASK(differ[f]));

        sum -= (SIGNED)out & row->filters[f].loss;
        worst += (SIGNED)(differ[f] & ~out) & row->filters[f].loss;
        alive &= SIEVE_MASK((VECTOR)(sum >= need));
        undecided = alive & SIEVE_MASK((VECTOR)(worst < need));
    }
    return alive;
}

SIEVE_TARGET static void
SIEVE_NAME(row)(const pair_visit *visit, const block_sieve *sieve, const block_rows *rows,
                const sieve_row *row, uint64_t from, uint64_t end, sieve_result *result)
{
    const VECTOR zero = {0};
    VECTOR lanes;
    uint64_t found = 0, found_new = 0;
    uint32_t *left = result->left;

    for (int l = 0; l < SIEVE_LANES; l++)
        lanes[l] = (uint32_t)l;
    for (uint64_t first = from; first < end; first += SIEVE_LANES) {
        uint32_t rest = end - first < SIEVE_LANES ? (uint32_t)(end - first) : SIEVE_LANES;
        VECTOR same = zero, pairs, known = zero;
        SIGNED sum = (SIGNED)zero;
        uint32_t mask, is_new, alive;

        for (int k = 0; k < row->column_count; k++) {
            const sieve_column *column = &row->columns[k];
            VECTOR codes, equal, there;

            memcpy(&codes, column->codes + first, sizeof codes);
            equal = (VECTOR)(codes == zero + column->code);
            there = (VECTOR)(codes != zero);
            same |= equal & column->bit;
            sum += (SIGNED)(equal & (uint32_t)column->gain) + (SIGNED)(there & (uint32_t)column->differ);
        }
        pairs = (VECTOR)((same & sieve->own) == zero + sieve->own) &
                (VECTOR)((SIGNED)lanes < (SIGNED)(zero + rest));
        if (row->sources != NULL) {
            VECTOR codes;

            memcpy(&codes, row->sources + first, sizeof codes);
            pairs &= (VECTOR)(codes != zero + row->source);
        }
        for (int r = 0; r < sieve->earlier_count; r++)
            known |= (VECTOR)((same & sieve->earlier[r]) == zero + sieve->earlier[r]);
        mask = SIEVE_MASK(pairs);
        found += (uint32_t)__builtin_popcount(mask);
        is_new = SIEVE_MASK(pairs & ~known);
        for (int r = 0; r < sieve->asked_count && is_new != 0; r++)
            is_new &= ~asked_rule_finds(
                visit, sieve, r, row, first,
                is_new & SIEVE_MASK((VECTOR)((same & sieve->asked[r]) == zero + sieve->asked[r])));
        found_new += (uint32_t)__builtin_popcount(is_new);
        alive = is_new & SIEVE_MASK((VECTOR)(sum >= (SIGNED)zero + row->need));
        if (alive != 0 && row->filter_count > 0)
            alive = SIEVE_NAME(filtered)(visit, rows, row, first, sum, alive);
        for (; alive != 0; alive &= alive - 1)
            *left++ = (uint32_t)(first + (uint32_t)__builtin_ctz(alive));
    }
    result->found += found;
    result->found_new += found_new;
    result->left_count = (uint32_t)(left - result->left);
}

#undef VECTOR
#undef SIGNED
#undef FLOATS
