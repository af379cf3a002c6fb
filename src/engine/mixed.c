/*
 * mixed.c: see mixed.h.
 */
#include "compat.h"

#include <math.h>

#include "engine/label_comparisons.h"
#include "engine/mixed.h"
#include "engine/profile.h"
#include "engine/value_summary.h"
#include "kernel/parallel.h"

#define TELLING_U 0.03 /* two strangers are equal in a telling attribute less often than this */
#define NAMES_U 0.15   /* the same of given names, of which few may be in use */
#define MIXED_CORRELATION                                                                                    \
    0.5                       /* of differences in two attributes, from which matches are of several kinds   \
                               */
#define LEAST_MIXED_SHARE 0.1 /* of the matches, that differ in each */
#define LEAST_MIXED_PAIRS 20  /* pairs that say so */
#define REPEATING_CORRELATION 0.95 /* of differences in two attributes that say the same */
#define REPEATING_PLACES 0.75      /* the same, where neither is personal */
#define REPEATING_LEAST 0.6        /* the same, where it is nearly all that there could be: */
#define REPEATING_REACHED 0.915    /* so much of it */
#define MOSTLY_SAID 0.5            /* of others alike in one attribute, that agree in the other */
#define MOSTLY_DATES 0.8           /* of the different values of an attribute of dates */
#define MANY_FREQUENT 0.3          /* of the records, that have a frequent value */
#define MOST_FREQUENT_GIVEN 0.4    /* of these, that have a given name */
#define MOST_FREQUENT_OF_ALL 0.6   /* the same, with names of all countries */
#define MOSTLY_FILLED 0.5          /* of the records, that have a value where it is persons' names */
#define TEXTS_DIFFER 0.67          /* times as often as other attributes, to tell */
#define MOST_WITHOUT 1.5           /* times the matches, that are found without two attributes */
#define LEAST_PERSONAL 2           /* attributes of one person alone */
#define LEAST_STRANGE 2            /* attributes in which matches are as strangers are */
#define MOST_ALIKE 0.25            /* of the matches, that agree in each by more than chance */
#define LEAST_REPEATED_SHARE 0.03  /* of the matches, that differ in both */
#define FEW_PATTERNS 4096          /* that one thread goes over before another has woken */
#define LEAST_RELATED_SHARE                                                                                  \
    0.12 /* of the matches, that differ in both, to be another kind: fewer may have moved, or have fields    \
            swapped */

/* By rule: how many of the pairs of each pattern of its session EM takes for matches. */
typedef struct found_matches {
    double *of_rule[MAX_RULES];
} found_matches;

/* Whether any comparison counts in a pattern, so that it is more than its rule that speaks of such pairs. */
static bool
is_decided(const scorer *layout, uint64 pattern, uint32 left_out)
{
    bool decided = false;

    for (int c = 0; c < layout->comparison_count; c++)
        decided |= !(left_out >> c & 1) && pattern_level(&layout->comparisons[c], pattern) != LEVEL_MISSING;
    return decided;
}

typedef struct finding {
    const scorer *layout;
    const em_session *sessions;
    const em_parameters *parameters;
    uint32 left_out;
    found_matches *found;
} finding;

static void
find_matches_of_rule(void *context, int64_t r, int thread)
{
    const finding *finding = context;
    const em_session *session = &finding->sessions[r];
    em_session others = *session;
    double *matches = finding->found->of_rule[r];

    others.left_out |= finding->left_out;
    em_match_probabilities(finding->layout, finding->parameters, &others, session->patterns,
                           session->pattern_count, matches);
    for (size_t k = 0; k < session->pattern_count; k++)
        matches[k] = finding->left_out == 0 ||
                             is_decided(finding->layout, session->patterns[k].pattern, others.left_out)
                         ? session->patterns[k].count * matches[k]
                         : 0;
}

/*
 * left_out: comparisons that say nothing. Where that leaves none, each pair has its rule's share of matches,
 * strangers, too: they would seem to be matches that differ in all that they differ in.
 */
static void
find_matches(const match_run *run, const scorer *layout, const em_session *sessions,
             const em_parameters *parameters, uint32 left_out, found_matches *found)
{
    finding finding = {layout, sessions, parameters, left_out, found};
    size_t patterns = 0;

    for (int r = 0; r < run->spec->rule_count; r++)
        patterns += sessions[r].pattern_count;
    parallel_for(patterns < FEW_PATTERNS ? 1 : run->threads, run->spec->rule_count, find_matches_of_rule,
                 &finding);
}

static void
make_found(const match_run *run, const em_session *sessions, found_matches *found)
{
    for (int r = 0; r < run->spec->rule_count; r++)
        found->of_rule[r] = palloc(Max(sessions[r].pattern_count, 1) * sizeof(double));
}

static void
free_found(const match_run *run, found_matches *found)
{
    for (int r = 0; r < run->spec->rule_count; r++)
        pfree(found->of_rule[r]);
}

/* Of two comparisons, how often both, each, or none find no likeness in what EM took for matches. */
typedef struct joint_shares {
    double all, first, second, both;
} joint_shares;

static joint_shares
joint_differences(const match_run *run, const em_session *sessions, const found_matches *found, int i, int j)
{
    joint_shares sums = {0};

    for (int r = 0; r < run->spec->rule_count; r++) {
        const em_session *session = &sessions[r];

        if ((session->left_out >> i & 1) || (session->left_out >> j & 1))
            continue;
        for (size_t k = 0; k < session->pattern_count; k++) {
            uint64 pattern = session->patterns[k].pattern;
            int first = pattern_level(&run->scorer.comparisons[i], pattern);
            int second = pattern_level(&run->scorer.comparisons[j], pattern);
            double matches = found->of_rule[r][k];

            if (first == LEVEL_MISSING || second == LEVEL_MISSING)
                continue;
            sums.all += matches;
            sums.first += first == run->scorer.comparisons[i].level_count ? matches : 0;
            sums.second += second == run->scorer.comparisons[j].level_count ? matches : 0;
            sums.both += first == run->scorer.comparisons[i].level_count &&
                                 second == run->scorer.comparisons[j].level_count
                             ? matches
                             : 0;
        }
    }
    return sums;
}

/* Whether a comparison is of what people are told apart by: names and dates of birth, not places. */
static bool
is_personal(const match_run *run, int c)
{
    comparison_method method = run->scorer.comparisons[c].method;

    return method == METHOD_DATE || method == METHOD_NAMES;
}

static double
given_names(const double *names, double values)
{
    return share_of_given_names(names[GIVEN_NAME_ENGLISH], names[GIVEN_NAME_OTHER], values);
}

/* The same by what the values are, however a specification compares them. */
static bool
has_personal_values(match_run *run, int c)
{
    const value_summary *values = value_summary_of(run, run->comparison_slots[c]);

    return is_personal(run, c) || values->dates > MOSTLY_DATES * values->looked_at ||
           given_names(values->names, values->looked_at) > SOME_GIVEN_NAMES * values->looked_at;
}

/* Years and amounts are none, and texts always have words in common. */
static bool
may_be_place(match_run *run, int c)
{
    comparison_method method = run->scorer.comparisons[c].method;

    return !method_weighs_terms(method) && method != METHOD_NUMERIC && !has_personal_values(run, c);
}

uint32
mixed_places(match_run *run)
{
    uint32 found = 0;

    for (int c = 0; c < label_comparisons_first(run->spec); c++) {
        evidence_kind evidence = run->spec->comparisons[c].evidence;

        if ((evidence == EVIDENCE_NONE || evidence == EVIDENCE_SHARED) &&
            run->spec->comparisons[c].elements == ELEMENTS_NONE && may_be_place(run, c))
            found |= UINT32_C(1) << c;
    }
    return found;
}

static bool
is_telling(const rarities *rarities, const em_parameters *parameters, int c)
{
    return rarities_typical_bits(rarities, c, parameters->u[c][LEVEL_EXACT]) < portable_log2(TELLING_U);
}

/* Of the differences in two comparisons; 0 where there are none. */
static double
correlation(const joint_shares *sums)
{
    double p = sums->first / sums->all, q = sums->second / sums->all;
    double spread = sqrt(p * (1.0 - p) * q * (1.0 - q));

    return spread > 0 ? (sums->both / sums->all - p * q) / spread : 0;
}

/*
 * Given name and birth date of people of one household differ together; errors in two dirty records of one
 * thing, and values that two sources write differently, come by themselves.
 */
bool
mixed_find(match_run *run, const rarities *rarities, const em_session *sessions,
           const em_parameters *parameters, mixed_attributes *found)
{
    const scorer *layout = &rarities->layout;
    bool mixed = false;
    found_matches matches;

    found->count = 0;
    make_found(run, sessions, &matches);
    find_matches(run, layout, sessions, parameters, 0, &matches);
    for (int i = 0; i < run->scorer.comparison_count; i++) {
        for (int j = 0; j < i; j++) {
            joint_shares sums;
            if (parameters->beside[i] != 0 || parameters->beside[j] != 0 ||
                !is_telling(rarities, parameters, i) || !is_telling(rarities, parameters, j) ||
                method_weighs_terms(run->scorer.comparisons[i].method) ||
                method_weighs_terms(run->scorer.comparisons[j].method))
                continue;
            sums = joint_differences(run, sessions, &matches, i, j);
            if (sums.all < LEAST_MIXED_PAIRS)
                continue;
            if (sums.first < LEAST_MIXED_SHARE * sums.all || sums.second < LEAST_MIXED_SHARE * sums.all)
                continue;
            if (correlation(&sums) > MIXED_CORRELATION) {
                match_run_phase(run, "mixed", "\"%s\" and \"%s\" differ together",
                                run->spec->comparisons[i].name, run->spec->comparisons[j].name);
                mixed = true;
                if ((is_personal(run, i) || is_personal(run, j)) &&
                    sums.both >= LEAST_RELATED_SHARE * sums.all)
                    found->pairs[found->count++] = UINT32_C(1) << i | UINT32_C(1) << j;
            }
        }
    }
    free_found(run, &matches);
    return mixed;
}

/*
 * Whether matches differ in a comparison more often than they should. Texts have some words in common even
 * where they are not of one thing, so fewer of them show it; and a text that few records have is a note.
 */
static bool
differs_often(match_run *run, const em_parameters *parameters, int c, double share)
{
    const comparison *comparison = &run->scorer.comparisons[c];

    if (method_weighs_terms(comparison->method)) {
        if (value_summary_of(run, run->comparison_slots[c])->filled <
            MOSTLY_FILLED * run->store->records.count)
            return false;
        share *= TEXTS_DIFFER;
    }
    return parameters->m[c][comparison->level_count] > share;
}

uint32
mixed_differing(match_run *run, const rarities *rarities, const em_parameters *parameters, double share)
{
    uint32 found = 0;

    for (int c = 0; c < label_comparisons_first(run->spec); c++)
        if (parameters->beside[c] == 0 && is_telling(rarities, parameters, c) &&
            differs_often(run, parameters, c, share))
            found |= UINT32_C(1) << c;
    return found;
}

/*
 * Whether most of the frequent values are given names: of all different values slips are the most where data
 * are dirty, and only some are looked at.
 */
static bool
has_given_names(match_run *run, int c)
{
    const value_summary *values = value_summary_of(run, run->comparison_slots[c]);
    double all = 0, given[GIVEN_NAME_ENGLISH + 1] = {0};

    for (uint32 i = 0; i < values->frequent_count; i++) {
        all += values->frequent[i].records;
        given[value_given_name(values->frequent[i].text)] += values->frequent[i].records;
    }
    return all < MANY_FREQUENT * values->filled
               ? given_names(values->names, values->looked_at) > SOME_GIVEN_NAMES * values->looked_at
               : given[GIVEN_NAME_ENGLISH] > MOST_FREQUENT_GIVEN * all ||
                     given[GIVEN_NAME_ENGLISH] + given[GIVEN_NAME_OTHER] > MOST_FREQUENT_OF_ALL * all;
}

uint32
mixed_given_names(match_run *run, uint32 comparisons)
{
    uint32 found = 0;

    for (int c = 0; c < label_comparisons_first(run->spec); c++) {
        evidence_kind evidence = run->spec->comparisons[c].evidence;

        if ((comparisons >> c & 1) && has_given_names(run, c) && evidence != EVIDENCE_CONTACT &&
            evidence != EVIDENCE_IDENTIFIER) /* an e-mail address has a name in it */
            found |= UINT32_C(1) << c;
    }
    return found;
}

uint32
mixed_differing_names(match_run *run, const em_parameters *parameters, double share)
{
    uint32 found = mixed_given_names(run, PG_UINT32_MAX);

    for (int c = 0; c < label_comparisons_first(run->spec); c++)
        if (parameters->beside[c] != 0 || method_weighs_terms(run->scorer.comparisons[c].method) ||
            parameters->u[c][LEVEL_EXACT] > NAMES_U ||
            value_summary_of(run, run->comparison_slots[c])->filled <
                MOSTLY_FILLED * run->store->records.count ||
            parameters->m[c][run->scorer.comparisons[c].level_count] <= share)
            found &= ~(UINT32_C(1) << c);
    return found;
}

uint32
mixed_other_people(const match_run *run, const em_parameters *parameters, double share)
{
    uint32 found = 0;
    int personal = 0;

    for (int c = 0; c < label_comparisons_first(run->spec); c++) {
        evidence_kind evidence = run->spec->comparisons[c].evidence;

        if ((evidence == EVIDENCE_NAME || evidence == EVIDENCE_GIVEN_NAME ||
             evidence == EVIDENCE_BIRTH_DATE || evidence == EVIDENCE_IDENTIFIER) &&
            parameters->m[c][run->scorer.comparisons[c].level_count] > share) {
            found |= UINT32_C(1) << c;
            personal++;
        }
    }
    return personal >= LEAST_PERSONAL ? found : 0;
}

/*
 * The share of the matches that agree by more than chance: what they have more of than strangers, over all
 * levels. Where those that agree are next to none of the strangers' levels, it is that share.
 */
static double
share_alike(const match_run *run, const em_parameters *parameters, int c)
{
    double share = 0;

    for (int level = LEVEL_EXACT; level <= run->scorer.comparisons[c].level_count; level++)
        share += Max(parameters->m[c][level] - parameters->u[c][level], 0);
    return share;
}

uint32
mixed_strangers(match_run *run, const rarities *rarities, const em_parameters *parameters)
{
    uint32 found = 0;
    int strange = 0;
    bool telling = false;

    for (int c = 0; c < label_comparisons_first(run->spec); c++) {
        if (parameters->beside[c] != 0 || parameters->u[c][LEVEL_EXACT] > NAMES_U ||
            share_alike(run, parameters, c) >= MOST_ALIKE ||
            value_summary_of(run, run->comparison_slots[c])->filled <
                MOSTLY_FILLED * run->store->records.count)
            continue;
        found |= UINT32_C(1) << c;
        strange++;
        telling |= is_telling(rarities, parameters, c);
    }
    return strange >= LEAST_STRANGE && telling ? found : 0;
}

/* ---- attributes that say the same ---- */

/*
 * The share of the correlation that there could be: one place may be compared more strictly than the other,
 * so that it differs by slips, too, but where the other differs it nearly always does.
 */
static double
correlation_reached(const joint_shares *sums)
{
    double p = Min(sums->first, sums->second) / sums->all, q = Max(sums->first, sums->second) / sums->all;

    return p > 0 && q < 1.0 ? correlation(sums) / sqrt(p * (1.0 - q) / (q * (1.0 - p))) : 0;
}

/* Whether two attributes differ together in enough of what are taken for matches. */
static bool
differ_together(match_run *run, const joint_shares *sums, int i, int j)
{
    bool personal = is_personal(run, i) || is_personal(run, j);

    if (sums->all < LEAST_MIXED_PAIRS || sums->both < LEAST_REPEATED_SHARE * sums->all)
        return false;
    if (personal)
        return correlation(sums) >= REPEATING_CORRELATION;
    return correlation(sums) >= REPEATING_PLACES ||
           (correlation(sums) >= REPEATING_LEAST && correlation_reached(sums) >= REPEATING_REACHED &&
            may_be_place(run, i) && may_be_place(run, j));
}

/* What mixed_repeating looks at: what all comparisons say are matches, and what all but two do. */
typedef struct repeat_search {
    match_run *run;
    const rarities *rarities;
    const em_session *sessions, *random;
    found_matches matches, without;
} repeat_search;

/*
 * Who has moved may differ in so much that EM takes none of them for a match, and then sees nobody move. So
 * what all others say is looked at, too, where they find about as many matches without the two.
 */
static bool
repeat(repeat_search *search, const em_parameters *parameters, int i, int j)
{
    match_run *run = search->run;
    joint_shares sums = joint_differences(run, search->sessions, &search->matches, i, j), others;

    if (differ_together(run, &sums, i, j))
        return true;
    if (method_weighs_terms(run->scorer.comparisons[i].method) ||
        method_weighs_terms(run->scorer.comparisons[j].method) || has_personal_values(run, i) ||
        has_personal_values(run, j))
        return false; /* names tell people of one home apart; texts always have words in common */
    find_matches(run, &search->rarities->layout, search->sessions, parameters,
                 rarities_mask(search->rarities, i) | rarities_mask(search->rarities, j), &search->without);
    others = joint_differences(run, search->sessions, &search->without, i, j);
    return others.all <= MOST_WITHOUT * sums.all && differ_together(run, &others, i, j);
}

/* Of pairs that are no matches: those that are alike in an attribute, and of these, that are in another. */
typedef struct stranger_shares {
    double alike, agree;
} stranger_shares;

/* matches: of each pattern; last: the least alike level of the one that tells more that counts. */
static void
add_strangers(const match_run *run, const em_session *session, const double *matches, int less, int more,
              int last, stranger_shares *sums)
{
    if ((session->left_out >> less & 1) || (session->left_out >> more & 1))
        return;
    for (size_t k = 0; k < session->pattern_count; k++) {
        uint64 pattern = session->patterns[k].pattern;
        int level = pattern_level(&run->scorer.comparisons[less], pattern);
        int alike = pattern_level(&run->scorer.comparisons[more], pattern);
        double others = session->patterns[k].count - matches[k];

        if (level == LEVEL_MISSING || alike == LEVEL_MISSING || alike > last)
            continue;
        sums->alike += others;
        sums->agree += level < run->scorer.comparisons[less].level_count ? others : 0;
    }
}

static stranger_shares
strangers_alike(const repeat_search *search, int less, int more, int last)
{
    stranger_shares sums = {0};

    for (int r = 0; r < search->run->spec->rule_count; r++)
        add_strangers(search->run, &search->sessions[r], search->without.of_rule[r], less, more, last, &sums);
    return sums;
}

/* The same of random pairs that neither all attributes nor all but the two find to be matches. */
static stranger_shares
random_alike(const repeat_search *search, const em_parameters *parameters, int less, int more)
{
    const scorer *layout = &search->rarities->layout;
    em_session random = *search->random;
    double *matches = palloc(2 * Max(random.pattern_count, 1) * sizeof(double));
    double *without = matches + random.pattern_count;
    stranger_shares sums = {0};

    em_match_probabilities(layout, parameters, &random, random.patterns, random.pattern_count, matches);
    random.left_out |= rarities_mask(search->rarities, less) | rarities_mask(search->rarities, more);
    em_match_probabilities(layout, parameters, &random, random.patterns, random.pattern_count, without);
    for (size_t k = 0; k < random.pattern_count; k++)
        matches[k] = random.patterns[k].count * Max(matches[k], without[k]);
    add_strangers(search->run, search->random, matches, less, more, LEVEL_EXACT, &sums);
    pfree(matches);
    return sums;
}

/*
 * Whether of strangers most that are equal in the one that tells more agree in the one that tells less, too:
 * people of one postcode live in one city. Random pairs are asked first. Of candidates those that the other
 * attributes find to be no matches are not all strangers: who has moved is among them, with one given name
 * and one date of birth. Where EM took groups for matches as well, these differ in all that tells things
 * apart, a number and a maker, and so in any two attributes together; but strangers of one number there are
 * none, and those of like ones have any maker.
 */
static bool
is_said_by(repeat_search *search, const em_parameters *parameters, int less, int more)
{
    match_run *run = search->run;
    stranger_shares sums = random_alike(search, parameters, less, more);

    if (sums.alike < LEAST_MIXED_PAIRS && (has_personal_values(run, less) || has_personal_values(run, more)))
        return false;
    if (sums.alike < LEAST_MIXED_PAIRS) {
        find_matches(run, &search->rarities->layout, search->sessions, parameters,
                     rarities_mask(search->rarities, less) | rarities_mask(search->rarities, more),
                     &search->without);
        sums = strangers_alike(search, less, more, LEVEL_EXACT);
    }
    if (sums.alike < LEAST_MIXED_PAIRS)
        sums = strangers_alike(search, less, more, run->scorer.comparisons[more].level_count - 1);
    return sums.alike >= LEAST_MIXED_PAIRS && sums.agree >= MOSTLY_SAID * sums.alike;
}

/* Whether there is a comparison that says nothing because this one says it. */
static bool
has_beside(const match_run *run, const em_parameters *parameters, int c)
{
    bool any = false;

    for (int other = 0; other < run->scorer.comparison_count; other++)
        any |= parameters->beside[other] == 1 + c;
    return any;
}

bool
mixed_repeating(match_run *run, const rarities *rarities, const em_session *sessions,
                const em_session *random, em_parameters *parameters, bool joining)
{
    repeat_search search = {.run = run, .rarities = rarities, .sessions = sessions, .random = random};
    bool any = false;

    make_found(run, sessions, &search.matches);
    make_found(run, sessions, &search.without);
    find_matches(run, &rarities->layout, sessions, parameters, 0, &search.matches);
    for (int i = 0; i < run->scorer.comparison_count; i++) {
        for (int j = 0; j < i; j++) {
            bool second_tells = parameters->u[j][LEVEL_EXACT] <= parameters->u[i][LEVEL_EXACT];
            int less = second_tells ? i : j, more = second_tells ? j : i;

            if (parameters->beside[less] != 0 || parameters->beside[more] != 0 ||
                (joining && !has_beside(run, parameters, less)) || !repeat(&search, parameters, i, j) ||
                !is_said_by(&search, parameters, less, more))
                continue;
            match_run_phase(run, "repeating", "\"%s\" says what \"%s\" says",
                            run->spec->comparisons[less].name, run->spec->comparisons[more].name);
            parameters->beside[less] = (uint8)(1 + more);
            find_matches(run, &rarities->layout, sessions, parameters, 0, &search.matches);
            any = true;
        }
    }
    free_found(run, &search.matches);
    free_found(run, &search.without);
    return any;
}

/* ---- taking apart ---- */

#define PAIRS_BEFORE 1.0 /* what the matches are worth in the levels of each kind before any is counted */

/* The comparisons that find no likeness in a pattern, and those that find some. */
static void
differing(const scorer *layout, uint64 pattern, uint32 *differ, uint32 *agree)
{
    *differ = *agree = 0;
    for (int c = 0; c < layout->comparison_count; c++) {
        int level = pattern_level(&layout->comparisons[c], pattern);

        if (level == layout->comparisons[c].level_count)
            *differ |= UINT32_C(1) << c;
        else if (level != LEVEL_MISSING)
            *agree |= UINT32_C(1) << c;
    }
}

/* Whether a pair differs in two attributes that differ together; *whole: it agrees in both of two. */
static bool
differs_together(const mixed_attributes *attributes, uint32 differ, uint32 agree, bool *whole)
{
    bool together = false;

    *whole = false;
    for (int i = 0; i < attributes->count; i++) {
        together |= (differ & attributes->pairs[i]) == attributes->pairs[i];
        *whole |= (agree & attributes->pairs[i]) == attributes->pairs[i];
    }
    return together;
}

/* Shares of levels; each comparison's are worth something before any is counted, too. */
static void
shares_of_levels(const scorer *layout, double (*counts)[MAX_LEVELS], const double (*before)[MAX_LEVELS],
                 double (*shares)[MAX_LEVELS])
{
    for (int c = 0; c < layout->comparison_count; c++) {
        double total = PAIRS_BEFORE;

        for (int level = LEVEL_EXACT; level <= layout->comparisons[c].level_count; level++)
            total += counts[c][level];
        for (int level = LEVEL_EXACT; level <= layout->comparisons[c].level_count; level++)
            shares[c][level] = (counts[c][level] + PAIRS_BEFORE * before[c][level]) / total;
    }
}

void
mixed_take_apart(const match_run *run, const scorer *layout, const mixed_attributes *attributes,
                 const em_session *sessions, const em_parameters *parameters, mixed_start *start)
{
    double(*whole)[MAX_LEVELS] = palloc0(sizeof start->m);
    double(*apart)[MAX_LEVELS] = palloc0(sizeof start->m);
    found_matches found;

    make_found(run, sessions, &found);
    find_matches(run, layout, sessions, parameters, 0, &found);
    for (int r = 0; r < run->spec->rule_count; r++) {
        const em_session *session = &sessions[r];
        double matches = 0, related = 0;

        for (size_t k = 0; k < session->pattern_count; k++) {
            uint64 pattern = session->patterns[k].pattern;
            double count = found.of_rule[r][k];
            uint32 differ, agree;
            bool agrees, differs;

            differing(layout, pattern, &differ, &agree);
            differs = differs_together(attributes, differ & ~session->left_out, agree & ~session->left_out,
                                       &agrees);
            if (differs == agrees)
                continue;
            *(differs ? &related : &matches) += count;
            for (int c = 0; c < layout->comparison_count; c++)
                if (!(session->left_out >> c & 1))
                    (differs ? apart : whole)[c][pattern_level(&layout->comparisons[c], pattern)] += count;
        }
        start->related_shares[r] =
            matches + related > 0 ? session->match_share * (related / (matches + related)) : 0;
        start->match_shares[r] = session->match_share - start->related_shares[r];
    }
    shares_of_levels(layout, whole, parameters->m, start->m);
    shares_of_levels(layout, apart, parameters->m, start->related);
    free_found(run, &found);
    pfree(whole);
    pfree(apart);
}

double
mixed_likelihood(const match_run *run, const scorer *layout, const em_session *sessions,
                 const em_parameters *parameters)
{
    double bits = 0, pairs = 0;

    for (int r = 0; r < run->spec->rule_count; r++) {
        bits += em_log_likelihood(layout, parameters, &sessions[r]);
        for (size_t k = 0; k < sessions[r].pattern_count; k++)
            pairs += sessions[r].patterns[k].count;
    }
    return pairs > 0 ? bits / pairs : 0;
}

double
mixed_bits_of_related(const match_run *run, const scorer *layout, const em_session *sessions)
{
    double bits = 0, all = 0;

    for (int r = 0; r < run->spec->rule_count; r++) {
        double pairs = 0, probabilities = 1.0;

        for (size_t k = 0; k < sessions[r].pattern_count; k++)
            pairs += sessions[r].patterns[k].count;
        for (int c = 0; c < layout->comparison_count; c++)
            if (!(sessions[r].left_out >> c & 1))
                probabilities += layout->comparisons[c].level_count - 1;
        bits += 0.5 * probabilities * portable_log2(Max(pairs, 1.0));
        all += pairs;
    }
    return all > 0 ? bits / all : 0;
}
