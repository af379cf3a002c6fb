/*
 * lanes_body.h: the comparators of lanes.c for one width of vectors and one of lanes; included once for each.
 *
 * LANES_VECTOR_BYTES is 16 or 32, LANES_BITS 8, 16 or 32, LANES_TARGET the attribute of functions that may
 * use such vectors, LANES_NAME(x) the name of x for these. LANES_WIDE(x) is the intrinsic of that width.
 *
 * Position i of a text is bit i of its lane. What the recurrences ask of a column is which positions of the
 * pattern are equal to its character; there is no table, and every lane has a text and a pattern of its own.
 *
 * In lanes of 8 and 16 bits texts come as bit planes: a lane of vector p has bit p of all characters. Two
 * characters are equal where no plane differs; a column's bit is spread over its lane by one comparison.
 * Planes in which all characters of a group agree are left out.
 *
 * In lanes of 32 bits eight vectors hold the characters of the patterns: byte k of a lane of vector i is the
 * one at i + 8 k. They are compared with the column's character, and a bit is kept of each.
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
#define OPENED LANES_NAME(opened)

/* A group in vectors: the patterns, which are the texts a, and the columns, which are those of b. */
typedef struct LANES_NAME(opened) {
    uint32_t columns; /* of the longest b */
    bool waits;       /* some b is shorter: of texts that end together it begins later */
    VECTOR length_a, length_b;
    VECTOR rows; /* a one for each character of a */
#if LANES_BITS == 32
    VECTOR equal[32];
#else
    int planes;
    VECTOR pattern[8], text[8];
#endif
} OPENED;

LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(widen)(const uint8_t numbers[LANES_COUNT])
{
    typedef uint8_t narrow __attribute__((vector_size(LANES_COUNT)));
    narrow small;

    memcpy(&small, numbers, sizeof small);
    return __builtin_convertvector(small, VECTOR);
}

/* In each lane so many ones, at most as there are bits. */
LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(ones)(VECTOR numbers)
{
#if LANES_VECTOR_BYTES == 32 && LANES_BITS == 16
    const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)lane_ones[0])),
                  high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)lane_ones[1]));
    const __m256i places = _mm256_or_si256((__m256i)(numbers - 1), _mm256_set1_epi16((short)0x8000));

    return (VECTOR)_mm256_shuffle_epi8(low, places) | (VECTOR)_mm256_shuffle_epi8(high, places) << 8;
#else
    VECTOR ones = {0};

    LANES_UNROLL_MORE for (int i = 0; i < LANES_BITS; i++) ones |=
        (VECTOR)((SIGNED)numbers > (LANES_NAME(signed_lane))i) & (LANES_NAME(lane))(UINT32_C(1) << i);
    return ones;
#endif
}

/* The greatest of the numbers; differ: some are less. */
LANES_TARGET KERNEL_INLINE uint32_t
LANES_NAME(longest)(const uint8_t numbers[LANES_COUNT], bool *differ)
{
    __m128i all, most;

#if LANES_COUNT == 32
    __m128i more = _mm_loadu_si128((const void *)(numbers + 16));

    all = _mm_loadu_si128((const void *)numbers);
    most = _mm_max_epu8(all, more);
#elif LANES_COUNT == 16
    most = all = _mm_loadu_si128((const void *)numbers);
#else
    uint64_t few = 0;

    memcpy(&few, numbers, LANES_COUNT);
    few |= LANES_COUNT == 4 ? few << 32 : 0;
    most = all = _mm_unpacklo_epi64(word_vector(few), word_vector(few));
#endif
    most = _mm_max_epu8(most, _mm_srli_si128(most, 8));
    most = _mm_max_epu8(most, _mm_srli_si128(most, 4));
    most = _mm_max_epu8(most, _mm_srli_si128(most, 2));
    most = _mm_max_epu8(most, _mm_srli_si128(most, 1));
    most = _mm_set1_epi8((char)_mm_cvtsi128_si32(most));
    all = _mm_cmpeq_epi8(all, most);
#if LANES_COUNT == 32
    all = _mm_and_si128(all, _mm_cmpeq_epi8(more, most));
#endif
    *differ = _mm_movemask_epi8(all) != 0xffff;
    return (uint32_t)_mm_cvtsi128_si32(most) & 0xff;
}

/* Whether no bit is set. */
LANES_TARGET KERNEL_INLINE bool
LANES_NAME(none)(VECTOR bits)
{
#if LANES_VECTOR_BYTES == 32
    return _mm256_testz_si256((__m256i)bits, (__m256i)bits) != 0;
#else
    return _mm_movemask_epi8((__m128i)((BYTES)bits == 0)) == 0xffff;
#endif
}

#if LANES_BITS == 32
/* Eight vectors of texts, from the words of each. */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(transpose)(uint64_t words[LANES_COUNT][4], BYTES vectors[8])
{
    __m128i low[8];

    lane_transpose_32(&words[0], low);
#if LANES_VECTOR_BYTES == 32
    {
        __m128i high[8];

        lane_transpose_32(&words[LANES_COUNT / 2], high);
        LANES_UNROLL for (int i = 0; i < 8; i++) vectors[i] = (BYTES)_mm256_set_m128i(high[i], low[i]);
    }
#else
    LANES_UNROLL for (int i = 0; i < 8; i++) vectors[i] = (BYTES)low[i];
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

/* Reads the texts: those of b at their ends, or at their beginnings. */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(read)(const lane_group *group, bool at_end, OPENED *opened)
{
    const BYTES *bits = LANES_NAME(bits)();
    uint64_t words[LANES_COUNT][4];
    BYTES pattern[8], text[8];

    for (int l = 0; l < LANES_COUNT; l++)
        lane_load_32(group->bytes_a[l], group->length_a[l], words[l]);
    LANES_NAME(transpose)(words, pattern);
    for (int l = 0; l < LANES_COUNT; l++) {
        if (at_end)
            lane_load_end_32(group->bytes_b[l], group->length_b[l], words[l]);
        else
            lane_load_32(group->bytes_b[l], group->length_b[l], words[l]);
    }
    LANES_NAME(transpose)(words, text);
    for (uint32_t j = 0; j < opened->columns; j++) {
        uint32_t at = at_end ? LANES_BITS - opened->columns + j : j;
        VECTOR one = (VECTOR)text[at & 7] >> (at & ~7U) & 0xff;

        one |= one << 8;
        opened->equal[j] = LANES_NAME(equal)(pattern, bits, (BYTES)(one | one << 16));
    }
}

/* The positions of a column's character. */
LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(column)(const OPENED *opened, uint32_t j, VECTOR bit)
{
    (void)bit;
    return opened->equal[j];
}

#else

/* Two texts of 8 bits or one of 16: words of a plane each. */
LANES_TARGET KERNEL_INLINE __m128i
LANES_NAME(words)(const lane_group *group, const uint32_t *texts, bool at_end, uint32_t columns, int place)
{
    __m128i words[2];

    LANES_UNROLL for (int k = 0; k < 16 / LANES_BITS; k++)
    {
        int l = place * (16 / LANES_BITS) + k;

        words[k] = _mm_loadu_si128((const void *)&group->planes[texts[l]]);
        if (at_end) { /* more of the first character in front of it */
            int by = (int)(columns - group->length_b[l]);

            words[k] = _mm_or_si128(_mm_sll_epi16(words[k], _mm_cvtsi32_si128(by)),
                                    _mm_srl_epi16(words[k], _mm_cvtsi32_si128(16 - by)));
        }
    }
#if LANES_BITS == 8
    return _mm_or_si128(_mm_and_si128(words[0], _mm_set1_epi16(0xff)), _mm_slli_epi16(words[1], 8));
#else
    return words[0];
#endif
}

/* The planes of all texts, a vector each: columns of a matrix of words. */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(planes)(const lane_group *group, const uint32_t *texts, bool at_end, uint32_t columns,
                   VECTOR planes[8])
{
    LANES_REGISTER x[8], y[8];

#if LANES_VECTOR_BYTES == 32
    LANES_UNROLL for (int i = 0; i < 8; i++) x[i] =
        _mm256_set_m128i(LANES_NAME(words)(group, texts, at_end, columns, i + 8),
                         LANES_NAME(words)(group, texts, at_end, columns, i));
#else
    LANES_UNROLL for (int i = 0; i < 8; i++) x[i] = LANES_NAME(words)(group, texts, at_end, columns, i);
#endif
    LANES_UNROLL for (int i = 0; i < 4; i++)
    {
        y[2 * i] = LANES_WIDE(unpacklo_epi16)(x[i], x[i + 4]);
        y[2 * i + 1] = LANES_WIDE(unpackhi_epi16)(x[i], x[i + 4]);
    }
    LANES_UNROLL for (int i = 0; i < 4; i++)
    {
        x[2 * i] = LANES_WIDE(unpacklo_epi16)(y[i], y[i + 4]);
        x[2 * i + 1] = LANES_WIDE(unpackhi_epi16)(y[i], y[i + 4]);
    }
    LANES_UNROLL for (int i = 0; i < 4; i++)
    {
        planes[2 * i] = (VECTOR)LANES_WIDE(unpacklo_epi16)(x[i], x[i + 4]);
        planes[2 * i + 1] = (VECTOR)LANES_WIDE(unpackhi_epi16)(x[i], x[i + 4]);
    }
}

/* Reads the planes: of the texts of b those that end together, or that begin together. */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(read)(const lane_group *group, bool at_end, OPENED *opened)
{
    VECTOR *pattern = opened->pattern, *text = opened->text;

    LANES_NAME(planes)(group, group->a, false, 0, pattern);
    if (at_end && opened->waits)
        LANES_NAME(planes)(group, group->b, true, opened->columns, text);
    else
        LANES_NAME(planes)(group, group->b, false, 0, text);
    opened->planes = SURE_PLANES;
    for (int p = SURE_PLANES; p < 8; p++) {
        VECTOR set = pattern[p] | text[p], clear = ~(pattern[p] & text[p]);

        if (LANES_NAME(none)(set) || LANES_NAME(none)(clear))
            continue;
        pattern[opened->planes] = pattern[p];
        text[opened->planes++] = text[p];
    }
}

/* The positions of a column's character; bit: of that column. */
LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(column)(const OPENED *opened, uint32_t j, VECTOR bit)
{
    VECTOR equal = opened->pattern[0] ^ (VECTOR)((opened->text[0] & bit) == 0);

    (void)j;
    LANES_UNROLL for (int p = 1; p < SURE_PLANES; p++) equal &=
        opened->pattern[p] ^ (VECTOR)((opened->text[p] & bit) == 0);
    for (int p = SURE_PLANES; p < opened->planes; p++)
        equal &= opened->pattern[p] ^ (VECTOR)((opened->text[p] & bit) == 0);
    return equal;
}

#endif

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
LANES_NAME(greater)(VECTOR a, VECTOR b)
{
    return (VECTOR)((SIGNED)a > (SIGNED)b);
}

/*
 * Levenshtein, or with swaps of neighbours. The recurrence is that of levenshtein.c and damerau.c. All lanes
 * end in the last column; a lane whose text is shorter begins later, and until then stays as it was: nothing
 * is equal, and above its first row no difference between columns is +1.
 */
LANES_TARGET KERNEL_INLINE VECTOR
LANES_NAME(distances)(const OPENED *opened, bool swaps, bool waits)
{
    const VECTOR zero = {0};
    VECTOR plus = ~zero, minus = zero, diagonal = zero, before = zero, bit = zero + 1;
    VECTOR wait = (LANES_NAME(lane))opened->columns - opened->length_b, waiting = zero;

    for (uint32_t j = 0; j < opened->columns; j++) {
        VECTOR same = LANES_NAME(column)(opened, j, bit), reached, sum, no_plus;

        if (waits) {
            waiting = LANES_NAME(greater)(wait, zero);
            same &= ~waiting;
            wait -= 1;
        }
        bit += bit;
        reached = same | minus;
        if (swaps) {
            VECTOR begun = ~diagonal & same;

            reached |= (begun + begun) & before;
        }
        sum = (same & plus) + plus;
        no_plus = (sum | plus | reached) & ~minus;
        no_plus += no_plus;
        if (waits)
            no_plus -= waiting;
        diagonal = (sum ^ plus) | reached;
        plus &= diagonal;
        plus = (plus + plus) | (~diagonal & no_plus);
        minus = diagonal & ~no_plus;
        before = same;
    }
    return opened->length_b + LANES_NAME(count_bits)(plus & opened->rows) -
           LANES_NAME(count_bits)(minus & opened->rows);
}

/* The numbers in the lanes, or one less their share of the longer text. */
LANES_TARGET KERNEL_INLINE void
LANES_NAME(distance_values)(VECTOR distance, const OPENED *opened, bool share, double *results)
{
    LANES_NAME(lane) numbers[LANES_COUNT], longest[LANES_COUNT];

    memcpy(numbers, &distance, sizeof distance);
    LANES_UNROLL for (int l = 0; l < LANES_COUNT; l++) results[l] = lane_numbers[numbers[l]];
    if (share) {
        VECTOR greater = LANES_NAME(greater)(opened->length_a, opened->length_b);
        VECTOR longer = (opened->length_a & greater) | (opened->length_b & ~greater);

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
LANES_NAME(jaro)(const OPENED *opened, bool winkler, double *results)
{
    VECTOR equal[LANES_BITS], missed[LANES_BITS];
    const VECTOR zero = {0}, rows = opened->rows, length_a = opened->length_a, length = opened->length_b;
    const uint32_t count = opened->columns;
    VECTOR window, reach, untaken, taken, longer, common = zero, moved = zero, disorder = zero,
                                                  bit = zero + 1;

    longer = LANES_NAME(greater)(length_a, length);
    window = ((length_a & longer) | (length & ~longer)) >> 1;
    window += LANES_NAME(greater)(window, zero);
    reach = LANES_NAME(ones)(window + 1);
    untaken = rows;
    for (uint32_t j = 0; j < count; j++) {
        VECTOR at = zero + (LANES_NAME(lane))j, hit, taking;

        equal[j] = LANES_NAME(column)(opened, j, bit) & rows & LANES_NAME(greater)(length, at);
        bit += bit;
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
    if (!LANES_NAME(none)(disorder)) {
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
LANES_NAME(pairs)(lane_measure measure, const lane_group *given, double *results)
{
    OPENED opened;
    lane_group group = *given;
    bool at_end = measure != LANES_JARO && measure != LANES_JARO_WINKLER;
    bool swaps = measure == LANES_DAMERAU || measure == LANES_DAMERAU_DISTANCE;
    VECTOR distance;

    opened.columns = LANES_NAME(longest)(group.length_b, &opened.waits);
    if (at_end) { /* a distance is the same both ways, and fewer columns are better */
        bool waits;
        uint32_t columns = LANES_NAME(longest)(group.length_a, &waits);

        if (columns < opened.columns) {
            group = (lane_group){given->planes,  given->b,        given->a,       given->bytes_b,
                                 given->bytes_a, given->length_b, given->length_a};
            opened.columns = columns;
            opened.waits = waits;
        }
    }
    opened.length_a = LANES_NAME(widen)(group.length_a);
    opened.length_b = LANES_NAME(widen)(group.length_b);
    opened.rows = LANES_NAME(ones)(opened.length_a);
    LANES_NAME(read)(&group, at_end, &opened);
    if (!at_end) {
        LANES_NAME(jaro)(&opened, measure == LANES_JARO_WINKLER, results);
        return;
    }
    if (opened.waits)
        distance =
            swaps ? LANES_NAME(distances)(&opened, true, true) : LANES_NAME(distances)(&opened, false, true);
    else
        distance = swaps ? LANES_NAME(distances)(&opened, true, false)
                         : LANES_NAME(distances)(&opened, false, false);
    LANES_NAME(distance_values)
    (distance, &opened, measure == LANES_LEVENSHTEIN || measure == LANES_DAMERAU, results);
}

#undef BYTES
#undef VECTOR
#undef SIGNED
#undef DOUBLES
#undef OPENED
#undef LANES_COUNT
