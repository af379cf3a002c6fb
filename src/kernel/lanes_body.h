/*
 * lanes_body.h: the comparators of lanes.c for one width of vectors and one of lanes; included once for each.
 *
 * LANES_VECTOR_BYTES is 16 or 32, LANES_BITS 8, 16 or 32, LANES_TARGET the attribute of functions that may
 * use such vectors, LANES_NAME(x) the name of x for these.
 *
 * Position i of a text is bit i of its lane. Eight vectors hold the patterns: byte k of a lane of vector i is
 * the character at i + 8 k. A comparison of all bytes with a column's character, a bit kept of each vector,
 * gives the mask of the positions that are equal: there is no table, and every lane has a column of its own.
 */
#define LANES_COUNT (LANES_VECTOR_BYTES * 8 / LANES_BITS)

#if LANES_BITS == 8
typedef uint8_t LANES_NAME(lane);
typedef int8_t LANES_NAME(signed_lane);
#elif LANES_BITS == 16
typedef uint16_t LANES_NAME(lane);
typedef int16_t LANES_NAME(signed_lane);
#else
typedef uint32_t LANES_NAME(lane);
typedef int32_t LANES_NAME(signed_lane);
#endif
typedef uint8_t LANES_NAME(bytes) __attribute__((vector_size(LANES_VECTOR_BYTES)));
typedef LANES_NAME(lane) LANES_NAME(vector) __attribute__((vector_size(LANES_VECTOR_BYTES)));
typedef LANES_NAME(signed_lane) LANES_NAME(signed_vector) __attribute__((vector_size(LANES_VECTOR_BYTES)));
typedef double LANES_NAME(doubles) __attribute__((vector_size(LANES_VECTOR_BYTES)));

#define BYTES LANES_NAME(bytes)
#define VECTOR LANES_NAME(vector)
#define SIGNED LANES_NAME(signed_vector)
#define DOUBLES LANES_NAME(doubles)

/* Eight vectors of texts, from the words of each. */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(transpose)(uint64_t words[LANES_COUNT][LANES_WORDS(LANES_BITS)], BYTES vectors[8])
{
    __m128i low[8];

    LANES_TRANSPOSE(LANES_BITS)(&words[0], low);
#if LANES_VECTOR_BYTES == 32
    {
        __m128i high[8];

        LANES_TRANSPOSE(LANES_BITS)(&words[LANES_COUNT / 2], high);
        LANES_UNROLL for (int i = 0; i < 8; i++) vectors[i] = (BYTES)_mm256_set_m128i(high[i], low[i]);
    }
#else
    LANES_UNROLL for (int i = 0; i < 8; i++) vectors[i] = (BYTES)low[i];
#endif
}

/* Vectors of the character of each column, in all bytes of its lane. */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(spread)(const BYTES vectors[8], BYTES columns[LANES_BITS])
{
#if LANES_BITS == 8
    LANES_UNROLL for (int i = 0; i < 8; i++) columns[i] = vectors[i];
#elif LANES_BITS == 16
    LANES_UNROLL for (int i = 0; i < 8; i++)
    {
        VECTOR both = (VECTOR)vectors[i];

        columns[i] = (BYTES)((both & 0xff) | both << 8);
        columns[i + 8] = (BYTES)(both >> 8 | (both & 0xff00));
    }
#else
    LANES_UNROLL for (int i = 0; i < 8; i++) for (int k = 0; k < 4; k++)
    {
        VECTOR one = (VECTOR)vectors[i] >> 8 * k & 0xff;

        one |= one << 8;
        columns[i + 8 * k] = (BYTES)(one | one << 16);
    }
#endif
}

/* bits: the vectors of lane_bits, which are not to be made anew in each column. */
LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(equal)(const BYTES pattern[8], const BYTES *bits, BYTES character)
{
    BYTES mask = (BYTES)(pattern[0] == character) & bits[0];

    mask |= (BYTES)(pattern[1] == character) & bits[1];
    mask |= (BYTES)(pattern[2] == character) & bits[2];
    mask |= (BYTES)(pattern[3] == character) & bits[3];
    mask |= (BYTES)(pattern[4] == character) & bits[4];
    mask |= (BYTES)(pattern[5] == character) & bits[5];
    mask |= (BYTES)(pattern[6] == character) & bits[6];
    mask |= (BYTES)(pattern[7] == character) & bits[7];
    return (VECTOR)mask;
}

/* The vectors of single bits, so that the compiler does not know that they are constants. */
LANES_TARGET KERNEL_INLINE const BYTES *
LANES_NAME(bits)(void)
{
    const void *bits = LANES_BIT_VECTORS;

    __asm__("" : "+r"(bits));
    return bits;
}

/* The positions of each column's character. */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(equal_all)(const lane_patterns *patterns, const BYTES *columns, uint32_t count,
                      VECTOR equal[LANES_LONGEST])
{
    const BYTES *bits = LANES_NAME(bits)();
    BYTES pattern[8];

    memcpy(pattern, patterns->vectors, sizeof pattern);
    for (uint32_t j = 0; j < count; j++)
        equal[j] = LANES_NAME(equal)(pattern, bits, columns[j]);
}

LANES_TARGET KERNEL_INLINE bool
LANES_NAME(any)(VECTOR bits)
{
    uint64_t words[LANES_VECTOR_BYTES / 8], all = 0;

    memcpy(words, &bits, sizeof words);
    for (int i = 0; i < LANES_VECTOR_BYTES / 8; i++)
        all |= words[i];
    return all != 0;
}

LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(count_bits)(VECTOR bits)
{
    const VECTOR fives = (VECTOR)((BYTES){0} + 0x55), threes = (VECTOR)((BYTES){0} + 0x33),
                 low = (VECTOR)((BYTES){0} + 0x0f);

    bits -= bits >> 1 & fives;
    bits = (bits & threes) + (bits >> 2 & threes);
    bits = (bits + (bits >> 4)) & low;
#if LANES_BITS >= 16
    bits += bits >> 8;
#endif
#if LANES_BITS == 32
    bits += bits >> 16;
#endif
    return bits & 0x3f;
}

LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(widen)(const uint8_t numbers[LANES_COUNT])
{
    LANES_NAME(lane) wide[LANES_COUNT];
    VECTOR vector;

    LANES_UNROLL for (int l = 0; l < LANES_COUNT; l++) wide[l] = numbers[l];
    memcpy(&vector, wide, sizeof vector);
    return vector;
}

LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(greater)(VECTOR a, VECTOR b)
{
    return (VECTOR)((SIGNED)a > (SIGNED)b);
}

/* In each lane so many ones, at most as there are bits. */
LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(ones)(VECTOR numbers)
{
    VECTOR ones = {0};

    for (int i = 0; i < LANES_BITS; i++)
        ones |= LANES_NAME(greater)(numbers, ones * 0 + (LANES_NAME(lane))i) &
                (LANES_NAME(lane))(UINT32_C(1) << i);
    return ones;
}

/* The first texts of a group. */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(open)(const uint8_t *const *texts, const uint8_t *lengths, lane_patterns *patterns)
{
    uint64_t words[LANES_COUNT][LANES_WORDS(LANES_BITS)];
    BYTES vectors[8];
    VECTOR length = LANES_NAME(widen)(lengths), rows = LANES_NAME(ones)(length);

    for (int l = 0; l < LANES_COUNT; l++)
        LANES_LOAD(LANES_BITS)(texts[l], lengths[l], words[l]);
    LANES_NAME(transpose)(words, vectors);
    memcpy(patterns->vectors, vectors, sizeof vectors);
    memcpy(patterns->length, &length, sizeof length);
    memcpy(patterns->rows, &rows, sizeof rows);
}

/* The columns' characters, in all bytes of a lane; the texts at the beginning or at the end. Their number. */
LANES_TARGET KERNEL_INLINE uint32_t
LANES_NAME(open_columns)(const uint8_t *const *texts, const uint8_t *lengths, bool at_end,
                         BYTES columns[LANES_BITS])
{
    uint64_t words[LANES_COUNT][LANES_WORDS(LANES_BITS)];
    BYTES vectors[8];
    uint32_t longest = 0;

    for (int l = 0; l < LANES_COUNT; l++) {
        if (at_end)
            LANES_LOAD_END(LANES_BITS)(texts[l], lengths[l], words[l]);
        else
            LANES_LOAD(LANES_BITS)(texts[l], lengths[l], words[l]);
        longest = lengths[l] > longest ? lengths[l] : longest;
    }
    LANES_NAME(transpose)(words, vectors);
    LANES_NAME(spread)(vectors, columns);
    return longest;
}

/*
 * Levenshtein, or with swaps of neighbours. The recurrence is that of levenshtein.c and damerau.c. All lanes
 * end in the last column; a lane whose text is shorter begins later, and until then stays as it was: nothing
 * is equal, and above its first row no difference between columns is +1.
 */
LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(distances)(const lane_patterns *patterns, const BYTES *columns, uint32_t count, VECTOR length,
                      bool swaps)
{
    const VECTOR zero = {0};
    VECTOR equal[LANES_LONGEST], wait = (LANES_NAME(lane))count - length, rows;
    VECTOR plus = ~zero, minus = zero, diagonal = zero, before = zero;

    LANES_NAME(equal_all)(patterns, columns, count, equal);
    for (uint32_t j = 0; j < count; j++) {
        VECTOR waits = LANES_NAME(greater)(wait, zero + (LANES_NAME(lane))j);
        VECTOR same = equal[j] & ~waits, reached = same | minus, sum, no_plus;

        if (swaps) {
            VECTOR begun = ~diagonal & same;

            reached |= (begun + begun) & before;
        }
        sum = (same & plus) + plus;
        no_plus = (sum | plus | reached) & ~minus;
        no_plus = (no_plus + no_plus) | (waits & 1);
        diagonal = (sum ^ plus) | reached;
        plus &= diagonal;
        plus = (plus + plus) | (~diagonal & no_plus);
        minus = diagonal & ~no_plus;
        before = same;
    }
    memcpy(&rows, patterns->rows, sizeof rows);
    return length + LANES_NAME(count_bits)(plus & rows) - LANES_NAME(count_bits)(minus & rows);
}

/* The numbers in the lanes, or one less their share of the longer text. */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(distance_values)(VECTOR distance, const lane_patterns *patterns, VECTOR length_b, bool share,
                            double *results)
{
    LANES_NAME(lane) numbers[LANES_COUNT], longest[LANES_COUNT];

    memcpy(numbers, &distance, sizeof distance);
    LANES_UNROLL for (int l = 0; l < LANES_COUNT; l++) results[l] = lane_numbers[numbers[l]];
    if (share) {
        VECTOR length_a, greater, longer;

        memcpy(&length_a, patterns->length, sizeof length_a);
        greater = LANES_NAME(greater)(length_a, length_b);
        longer = (length_a & greater) | (length_b & ~greater);
        memcpy(longest, &longer, sizeof longer);
        for (int l = 0; l < LANES_COUNT; l++)
            results[l] = 1.0 - results[l] / lane_numbers[longest[l]];
    }
}

/*
 * The value from its counts: the operations of jaro.c in its order. common has a bit for each of the first
 * four characters that is equal.
 */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(jaro_values)(VECTOR length_a, VECTOR length_b, VECTOR matched, VECTOR moved, VECTOR common,
                        bool winkler, double *results)
{
    enum { DOUBLES_COUNT = LANES_VECTOR_BYTES / 8 };
    LANES_NAME(lane) a[LANES_COUNT], b[LANES_COUNT], m[LANES_COUNT], half[LANES_COUNT], start[LANES_COUNT];

    moved >>= 1;
    memcpy(a, &length_a, sizeof a);
    memcpy(b, &length_b, sizeof b);
    memcpy(m, &matched, sizeof m);
    memcpy(half, &moved, sizeof half);
    memcpy(start, &common, sizeof start);
    for (int l = 0; l < LANES_COUNT; l += DOUBLES_COUNT) {
        DOUBLES matches, halves, one, other, prefix, value;

        LANES_UNROLL for (int d = 0; d < DOUBLES_COUNT; d++)
        {
            matches[d] = lane_numbers[m[l + d]];
            halves[d] = lane_numbers[half[l + d]];
            one[d] = lane_numbers[a[l + d]];
            other[d] = lane_numbers[b[l + d]];
            prefix[d] = lane_prefixes[start[l + d]];
        }
        value = (matches / one + matches / other + (matches - halves) / matches) / 3.0;
        value = (DOUBLES)((matches > 0.0) & (__typeof__(matches > 0.0))value);
        if (winkler) {
            prefix = (DOUBLES)((value > 0.7) & (__typeof__(matches > 0.0))prefix);
            value += 0.1 * prefix * (1.0 - value);
        }
        memcpy(results + l, &value, sizeof value);
    }
}

/*
 * Jaro. In each column the first free equal character within the window is taken; then all columns are gone
 * over once more, the k-th matched column with the k-th taken character, for those that stand in another
 * order.
 */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(jaro)(const lane_patterns *patterns, const BYTES *columns, uint32_t count, VECTOR length,
                 bool winkler, double *results)
{
    VECTOR equal[LANES_LONGEST], missed[LANES_LONGEST];
    const VECTOR zero = {0};
    VECTOR window, reach, rows, untaken, taken, length_a, longer, common = zero, moved = zero,
                                                                  disorder = zero;

    LANES_NAME(equal_all)(patterns, columns, count, equal);
    memcpy(&rows, patterns->rows, sizeof rows);
    memcpy(&length_a, patterns->length, sizeof length_a);
    longer = LANES_NAME(greater)(length_a, length);
    window = ((length_a & longer) | (length & ~longer)) >> 1;
    window += LANES_NAME(greater)(window, zero);
    reach = LANES_NAME(ones)(window + 1);
    untaken = rows;
    for (uint32_t j = 0; j < count; j++) {
        VECTOR at = zero + (LANES_NAME(lane))j, hit, taking;

        equal[j] &= rows & LANES_NAME(greater)(length, at);
        hit = equal[j] & reach & untaken;
        taking = hit & (zero - hit);
        disorder |= (rows ^ untaken) & (zero - taking);
        untaken ^= taking;
        missed[j] = (VECTOR)(hit == zero);
        reach = (reach + reach) | (LANES_NAME(greater)(window, at) & 1);
    }
    for (uint32_t j = 0; j < 4 && j < count && winkler; j++)
        common |= equal[j] & (LANES_NAME(lane))(1 << j);
    taken = rows ^ untaken;
    if (LANES_NAME(any)(disorder)) {
        VECTOR left = taken;

        for (uint32_t j = 0; j < count; j++) {
            VECTOR next = left & (zero - left) & ~missed[j];

            left ^= next;
            moved -= ~missed[j] & (VECTOR)((next & equal[j]) == zero);
        }
    }
    LANES_NAME(jaro_values)(length_a, length, LANES_NAME(count_bits)(taken), moved, common, winkler, results);
}

/* Pairs of any two texts; constants make a function of its own of distances for each kind. */
LANES_TARGET static void
LANES_NAME(pairs)(lane_measure measure, const lane_group *group, double *results)
{
    BYTES columns[LANES_BITS];
    lane_patterns patterns;
    bool at_end = measure != LANES_JARO && measure != LANES_JARO_WINKLER;
    bool swaps = measure == LANES_DAMERAU || measure == LANES_DAMERAU_DISTANCE;
    uint32_t count = LANES_NAME(open_columns)(group->b, group->length_b, at_end, columns);
    VECTOR length = LANES_NAME(widen)(group->length_b), distance;

    LANES_NAME(open)(group->a, group->length_a, &patterns);
    if (!at_end) {
        LANES_NAME(jaro)(&patterns, columns, count, length, measure == LANES_JARO_WINKLER, results);
        return;
    }
    if (swaps)
        distance = LANES_NAME(distances)(&patterns, columns + LANES_BITS - count, count, length, true);
    else
        distance = LANES_NAME(distances)(&patterns, columns + LANES_BITS - count, count, length, false);
    LANES_NAME(distance_values)
    (distance, &patterns, length, measure == LANES_LEVENSHTEIN || measure == LANES_DAMERAU, results);
}

#undef BYTES
#undef VECTOR
#undef SIGNED
#undef DOUBLES
#undef LANES_COUNT
