/*
 * distillation.h: the pairs on which additive weights are to agree with EM.
 */
#ifndef MASTERING_ENGINE_DISTILLATION_H
#define MASTERING_ENGINE_DISTILLATION_H

#include "compat.h"

#include "engine/run.h"
#include "kernel/em.h"
#include "kernel/logistic.h"

typedef struct distilled_pairs {
    pattern_count *const *found; /* by rule: what it finds and no earlier one */
    const size_t *found_count;
    const pattern_count *random; /* of pairs at random */
    size_t random_count;
} distilled_pairs;

/*
 * The session by which pairs of a rule are judged: its own, or, where its key says all that there is to
 * compare, that of the rule whose key says the least, which finds most of them, too.
 */
extern const em_session *distillation_judge(const match_run *run, const em_session *sessions, int rule);

/*
 * The verdicts of EM: of each candidate by the first rule that finds it, and of pairs at random. layout: of
 * the patterns. The candidates come first.
 */
extern logistic_case *distillation_cases(match_run *run, const scorer *layout, const distilled_pairs *pairs,
                                         const em_session *sessions, const em_parameters *parameters,
                                         size_t *candidate_count, size_t *count);

#endif
