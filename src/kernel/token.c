/*
 * token.c: how alike two texts are, token by token.
 *
 * A token is a maximal run of characters that are not white space. A text without a token counts as empty:
 * two such are equal, one shares nothing with a text that has tokens. Everything a comparison needs is
 * carved from one piece of memory, on the stack where it fits, so that the comparators that it calls never
 * ask the workspace for theirs.
 */
#include "kernel/pattern_masks.h"
#include "kernel/similarity.h"

#define STACK_WORDS 768

/* Lists up to this length are sorted by insertion. */
#define INSERTION_LENGTH 16

/* Steps between two looks at the stop flag. */
#define STOP_STEPS 1024

typedef struct token {
    uint32_t from;
    uint32_t length;
} token;

typedef struct token_list {
    text_view text;
    token *tokens;
    uint32_t count;
} token_list;

static inline bool
is_space(uint32_t c)
{
    if (c < 128)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool
token_separator(uint32_t character)
{
    return is_space(character);
}

/* The first token at or after a position; false at the end of the text. */
static inline bool
next_token(text_view text, uint32_t *position, token *found)
{
    uint32_t i = *position;

    while (i < text.length && is_space(text_view_at(text, i)))
        i++;
    found->from = i;
    while (i < text.length && !is_space(text_view_at(text, i)))
        i++;
    found->length = i - found->from;
    *position = i;
    return found->length > 0;
}

static uint32_t
count_tokens(text_view text)
{
    uint32_t position = 0, count = 0;
    token found;

    while (next_token(text, &position, &found))
        count++;
    return count;
}

static void
list_tokens(token_list *list)
{
    uint32_t position = 0, count = 0;
    token found;

    while (next_token(list->text, &position, &found))
        list->tokens[count++] = found;
    list->count = count;
}

static inline text_view
token_view(const token_list *list, uint32_t i)
{
    return text_view_slice(list->text, list->tokens[i].from, list->tokens[i].length);
}

/* By code points; a token sorts before what it is a prefix of. */
static int
compare_views(text_view a, text_view b)
{
    uint32_t shared = common_prefix(a, b);

    if (shared == a.length || shared == b.length)
        return (a.length > b.length) - (a.length < b.length);
    return text_view_at(a, shared) < text_view_at(b, shared) ? -1 : 1;
}

static inline int
compare_tokens(const token_list *list, token a, token b)
{
    return compare_views(text_view_slice(list->text, a.from, a.length),
                         text_view_slice(list->text, b.from, b.length));
}

/* Restores the heap below a node. */
static void
sift_down(token_list *list, uint32_t root, uint32_t count)
{
    token moving = list->tokens[root];
    uint64_t child;

    while ((child = 2 * (uint64_t)root + 1) < count) {
        if (child + 1 < count && compare_tokens(list, list->tokens[child], list->tokens[child + 1]) < 0)
            child++;
        if (compare_tokens(list, moving, list->tokens[child]) >= 0)
            break;
        list->tokens[root] = list->tokens[child];
        root = (uint32_t)child;
    }
    list->tokens[root] = moving;
}

/* Heapsort, for it needs neither memory nor recursion; equal tokens are the same token. */
static kernel_status
sort_tokens(token_list *list, const volatile sig_atomic_t *stop)
{
    uint32_t steps = 0;

    if (list->count <= INSERTION_LENGTH) {
        for (uint32_t i = 1; i < list->count; i++) {
            token moving = list->tokens[i];
            uint32_t j = i;

            for (; j > 0 && compare_tokens(list, list->tokens[j - 1], moving) > 0; j--)
                list->tokens[j] = list->tokens[j - 1];
            list->tokens[j] = moving;
        }
        return KERNEL_OK;
    }
    for (uint32_t root = list->count / 2; root-- > 0;) {
        sift_down(list, root, list->count);
        if (++steps % STOP_STEPS == 0 && stop != NULL && *stop)
            return KERNEL_STOPPED;
    }
    for (uint32_t end = list->count - 1; end > 0; end--) {
        token largest = list->tokens[0];

        list->tokens[0] = list->tokens[end];
        list->tokens[end] = largest;
        sift_down(list, 0, end);
        if (++steps % STOP_STEPS == 0 && stop != NULL && *stop)
            return KERNEL_STOPPED;
    }
    return KERNEL_OK;
}

/* Sorts, and keeps one of each token. */
static kernel_status
sort_distinct(token_list *list, const volatile sig_atomic_t *stop)
{
    kernel_status status = sort_tokens(list, stop);
    uint32_t kept = 0;

    if (status != KERNEL_OK)
        return status;
    for (uint32_t i = 0; i < list->count; i++)
        if (kept == 0 || compare_tokens(list, list->tokens[kept - 1], list->tokens[i]) != 0)
            list->tokens[kept++] = list->tokens[i];
    list->count = kept;
    return KERNEL_OK;
}

/* Characters of the tokens joined by one space. */
static uint64_t
joined_length(const token_list *list)
{
    uint64_t length = list->count > 0 ? list->count - 1 : 0;

    for (uint32_t i = 0; i < list->count; i++)
        length += list->tokens[i].length;
    return length;
}

/* Writes the tokens joined by one space; target has room for the whole text. */
static text_view
join_tokens(const token_list *list, void *target)
{
    text_view joined = {target, 0, list->text.width};
    char *at = target;

    for (uint32_t i = 0; i < list->count; i++) {
        text_view word = token_view(list, i);
        size_t bytes = (size_t)word.length * word.width;

        if (i > 0 && joined.width == 1) {
            *at++ = ' ';
        } else if (i > 0) {
            *(uint32_t *)(void *)at = ' ';
            at += sizeof(uint32_t);
        }
        memcpy(at, word.chars, bytes);
        at += bytes;
        joined.length += word.length + (i > 0);
    }
    return joined;
}

/*
 * What both sides of a comparison begin with: their tokens listed, and memory for more. extra: bytes that
 * the caller wants beyond the two lists, a multiple of 8. settled: the result is already known.
 */
typedef struct token_pair {
    token_list a, b;
    void *extra;
    bool settled;
} token_pair;

static inline size_t
round_up(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

static kernel_status
token_pair_open(token_pair *pair, text_view a, text_view b, size_t extra, uint64_t *on_stack,
                kernel_workspace *workspace, double *result)
{
    uint32_t count_a = count_tokens(a), count_b = count_tokens(b);
    size_t lists = sizeof(token) * ((size_t)count_a + count_b);
    char *memory = (char *)on_stack;

    pair->settled = count_a == 0 || count_b == 0;
    if (pair->settled) {
        *result = count_a == count_b ? 1.0 : 0.0;
        return KERNEL_OK;
    }
    if (lists + extra > STACK_WORDS * sizeof(uint64_t)) {
        memory = kernel_workspace_reserve(workspace, lists + extra);
        if (memory == NULL)
            return KERNEL_NO_MEMORY;
    }
    pair->a.text = a;
    pair->a.tokens = (token *)(void *)memory;
    pair->b.text = b;
    pair->b.tokens = pair->a.tokens + count_a;
    pair->extra = memory + lists;
    list_tokens(&pair->a);
    list_tokens(&pair->b);
    return KERNEL_OK;
}

kernel_status
token_similarity(text_view a, text_view b, set_measure measure, kernel_workspace *workspace, double *result)
{
    uint64_t on_stack[STACK_WORDS];
    uint32_t i = 0, j = 0;
    uint64_t common = 0;
    token_pair pair;
    kernel_status status = token_pair_open(&pair, a, b, 0, on_stack, workspace, result);

    if (status != KERNEL_OK || pair.settled)
        return status;
    status = sort_distinct(&pair.a, workspace->stop);
    if (status == KERNEL_OK)
        status = sort_distinct(&pair.b, workspace->stop);
    if (status != KERNEL_OK)
        return status;
    while (i < pair.a.count && j < pair.b.count) {
        int order = compare_views(token_view(&pair.a, i), token_view(&pair.b, j));

        common += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    *result = set_measure_value(measure, common, pair.a.count, pair.b.count);
    return KERNEL_OK;
}

/* Bytes for both texts with their tokens joined, and for the carry of their lcs. */
static size_t
join_size(text_view a, text_view b)
{
    return round_up((size_t)a.length * a.width) + round_up((size_t)b.length * b.width) +
           round_up(a.length > b.length ? a.length : b.length);
}

/* The lcs of the tokens of either side, in the order in which they are listed, joined by one space. */
static kernel_status
joined_lcs(const token_pair *pair, const volatile sig_atomic_t *stop, uint32_t *result)
{
    char *target_a = pair->extra;
    char *target_b = target_a + round_up((size_t)pair->a.text.length * pair->a.text.width);
    char *carry = target_b + round_up((size_t)pair->b.text.length * pair->b.text.width);

    return lcs_length(join_tokens(&pair->a, target_a), join_tokens(&pair->b, target_b), (uint8_t *)carry,
                      stop, result);
}

kernel_status
token_sort_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    uint64_t on_stack[STACK_WORDS];
    uint32_t common;
    token_pair pair;
    kernel_status status = token_pair_open(&pair, a, b, join_size(a, b), on_stack, workspace, result);

    if (status != KERNEL_OK || pair.settled)
        return status;
    status = sort_tokens(&pair.a, workspace->stop);
    if (status == KERNEL_OK)
        status = sort_tokens(&pair.b, workspace->stop);
    if (status == KERNEL_OK)
        status = joined_lcs(&pair, workspace->stop, &common);
    if (status == KERNEL_OK)
        *result = 2.0 * (double)common / ((double)joined_length(&pair.a) + (double)joined_length(&pair.b));
    return status;
}

/* Takes the tokens that both lists have out of both; returns their joined length, and how many there are. */
static uint64_t
take_common(token_pair *pair, uint32_t *count)
{
    token_list *a = &pair->a, *b = &pair->b;
    uint32_t i = 0, j = 0, rest_a = 0, rest_b = 0;
    uint64_t length = 0;

    *count = 0;
    while (i < a->count || j < b->count) {
        int order;

        if (i == a->count)
            order = 1;
        else if (j == b->count)
            order = -1;
        else
            order = compare_views(token_view(a, i), token_view(b, j));
        if (order == 0) {
            length += a->tokens[i].length + (*count > 0);
            ++*count;
            i++;
            j++;
        } else if (order < 0) {
            a->tokens[rest_a++] = a->tokens[i++];
        } else {
            b->tokens[rest_b++] = b->tokens[j++];
        }
    }
    a->count = rest_a;
    b->count = rest_b;
    return length;
}

/*
 * With the common tokens joined in front, three texts are compared: they alone, they and the rest of a,
 * they and the rest of b. Two of them begin alike, so that only the rests need a comparison.
 */
kernel_status
token_set_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    uint64_t on_stack[STACK_WORDS];
    uint32_t count, lcs = 0;
    uint64_t common, length_a, length_b;
    double best;
    token_pair pair;
    kernel_status status = token_pair_open(&pair, a, b, join_size(a, b), on_stack, workspace, result);

    if (status != KERNEL_OK || pair.settled)
        return status;
    status = sort_distinct(&pair.a, workspace->stop);
    if (status == KERNEL_OK)
        status = sort_distinct(&pair.b, workspace->stop);
    if (status != KERNEL_OK)
        return status;
    common = take_common(&pair, &count);
    if (count > 0 && (pair.a.count == 0 || pair.b.count == 0)) {
        *result = 1.0;
        return KERNEL_OK;
    }
    length_a = common + (count > 0) + joined_length(&pair.a);
    length_b = common + (count > 0) + joined_length(&pair.b);
    status = joined_lcs(&pair, workspace->stop, &lcs);
    if (status != KERNEL_OK)
        return status;
    best = 2.0 * (double)(common + (count > 0) + lcs) / ((double)length_a + (double)length_b);
    if (count > 0) {
        uint64_t shorter = length_a < length_b ? length_a : length_b;
        double alone = 2.0 * (double)common / ((double)common + (double)shorter);

        best = alone > best ? alone : best;
    }
    *result = best;
    return KERNEL_OK;
}

/* Scratch for comparing any token of one text with any of the other. */
static size_t
jaro_scratch_for(text_view a, text_view b)
{
    uint32_t longest[2] = {0, 0};
    text_view text[2] = {a, b};

    for (int side = 0; side < 2; side++) {
        uint32_t position = 0;
        token found;

        while (next_token(text[side], &position, &found))
            longest[side] = found.length > longest[side] ? found.length : longest[side];
    }
    if (longest[0] <= STRIP_LENGTH && longest[1] <= STRIP_LENGTH)
        return 0;

    /* The table is as large as the shorter token asks for: take each length as that of the longest. */
    return round_up(jaro_scratch_size(longest[0], longest[1]));
}

static double
mean(const double *values, uint32_t count)
{
    double sum = 0.0;

    for (uint32_t i = 0; i < count; i++)
        sum += values[i];
    return sum / (double)count;
}

kernel_status
monge_elkan_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    uint64_t on_stack[STACK_WORDS];
    size_t scratch_size = jaro_scratch_for(a, b);
    size_t best_size = sizeof(double) * ((size_t)count_tokens(a) + count_tokens(b));
    uint64_t work = 0;
    double *best_a, *best_b;
    void *scratch;
    token_pair pair;
    kernel_status status =
        token_pair_open(&pair, a, b, scratch_size + best_size, on_stack, workspace, result);

    if (status != KERNEL_OK || pair.settled)
        return status;
    best_a = pair.extra;
    best_b = best_a + pair.a.count;
    scratch = best_b + pair.b.count;
    for (uint32_t i = 0; i < pair.a.count; i++)
        best_a[i] = 0.0;
    for (uint32_t j = 0; j < pair.b.count; j++)
        best_b[j] = 0.0;
    for (uint32_t i = 0; i < pair.a.count; i++) {
        text_view word = token_view(&pair.a, i);

        for (uint32_t j = 0; j < pair.b.count; j++) {
            double value;

            status = jaro_winkler_in(word, token_view(&pair.b, j), scratch, workspace->stop, &value);
            if (status != KERNEL_OK)
                return status;
            best_a[i] = value > best_a[i] ? value : best_a[i];
            best_b[j] = value > best_b[j] ? value : best_b[j];
            work += (uint64_t)word.length + pair.b.tokens[j].length;
            if (work >= STOP_COLUMNS) {
                work = 0;
                if (kernel_stop_requested(workspace))
                    return KERNEL_STOPPED;
            }
        }
    }
    *result = (mean(best_a, pair.a.count) + mean(best_b, pair.b.count)) / 2.0;
    return KERNEL_OK;
}

/* Whether two tokens are equal, or one is the first letter of the other. */
static bool
initials_agree(text_view a, text_view b)
{
    if (text_view_at(a, 0) != text_view_at(b, 0))
        return false;
    return a.length == 1 || b.length == 1 || (a.length == b.length && common_prefix(a, b) == a.length);
}

/*
 * Tokens pair off in order but need not be neighbours: "john tolkien" has two of "j r r tolkien". That is
 * a longest common subsequence of tokens, with "agree" for "equal", and is counted as in lcs.c.
 */
kernel_status
initials_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    uint64_t on_stack[STACK_WORDS];
    uint32_t pairs = 0, longest;
    uint8_t *carry;
    token_pair pair;
    kernel_status status =
        token_pair_open(&pair, a, b, round_up(count_tokens(b)), on_stack, workspace, result);

    if (status != KERNEL_OK || pair.settled)
        return status;
    carry = pair.extra;
    memset(carry, 0, pair.b.count);
    for (uint32_t start = 0, count; start < pair.a.count; start += count) {
        uint64_t flat = ~UINT64_C(0);

        count = pair.a.count - start > STRIP_LENGTH ? STRIP_LENGTH : pair.a.count - start;
        for (uint32_t j = 0; j < pair.b.count; j++) {
            text_view word = token_view(&pair.b, j);
            uint64_t agree = 0, sum, carried;

            for (uint32_t i = 0; i < count; i++)
                agree |= (uint64_t)initials_agree(token_view(&pair.a, start + i), word) << i;
            agree &= flat;
            sum = flat + agree;
            carried = sum + carry[j];
            carry[j] = (uint8_t)((sum < flat) | (carried < sum));
            flat = carried | (flat - agree);
            if (kernel_stop_requested(workspace))
                return KERNEL_STOPPED;
        }
        pairs += count_bits(~flat & (~UINT64_C(0) >> (STRIP_LENGTH - count)));
    }
    longest = pair.a.count > pair.b.count ? pair.a.count : pair.b.count;
    *result = (double)pairs / (double)longest;
    return KERNEL_OK;
}
