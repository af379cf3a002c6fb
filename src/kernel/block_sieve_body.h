/*
 * block_sieve_body.h: the loop of block_sieve.c for one width of vectors; included once for each.
 *
 * SIEVE_LANES is 4 or 8, SIEVE_TARGET the attribute of functions that may use such vectors, SIEVE_NAME(x) the
 * name of x for these, SIEVE_MASK(v) the sign bits of the lanes, SIEVE_EDITS(a, b, edits) the distances that
 * profiles leave at least.
 */
typedef uint32_t SIEVE_NAME(vector) __attribute__((vector_size(SIEVE_LANES * 4)));
typedef int32_t SIEVE_NAME(signed_vector) __attribute__((vector_size(SIEVE_LANES * 4)));

#define VECTOR SIEVE_NAME(vector)
#define SIGNED SIEVE_NAME(signed_vector)

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
        VECTOR same = zero, filtered = zero, pairs, known = zero;
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
            filtered |= (there & ~equal) & column->filtered;
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
        if (alive != 0 && row->loss > 0) {
            /* Those that the comparison's last level is too little for. */
            uint32_t weak =
                alive & SIEVE_MASK(filtered & (VECTOR)(sum - row->loss < (SIGNED)zero + row->need));

            if (weak != 0)
                alive &= ~(sieve->filter_largest >= 0
                               ? SIEVE_NAME(distant)(rows, row, first, (uint32_t)sieve->filter_largest) & weak
                               : profiles_rule_out(visit, rows, row, first, weak));
        }
        for (; alive != 0; alive &= alive - 1)
            *left++ = (uint32_t)(first + (uint32_t)__builtin_ctz(alive));
    }
    result->found += found;
    result->found_new += found_new;
    result->left_count = (uint32_t)(left - result->left);
}

#undef VECTOR
#undef SIGNED
