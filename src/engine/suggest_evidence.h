/*
 * suggest_evidence.h: what the compared columns of persons, organisations and places are evidence of
 * (expected.h).
 */
#ifndef MASTERING_ENGINE_SUGGEST_EVIDENCE_H
#define MASTERING_ENGINE_SUGGEST_EVIDENCE_H

#include "compat.h"

#include "engine/profile.h"
#include "engine/spec.h"

/* A number that one thing alone has: a passport, a social security number. */
extern bool is_identifier(const column_profile *profile);

/* Whether few values of a column are those of many records: an e-mail address of a whole office. */
extern bool has_crowded_values(const column_profile *profile);

/*
 * Sets evidence[i] of each chosen column, and swapped_evidence of a given name and surname that are compared
 * as one (their places in swapped; NULL: there are none). Nothing where the table is neither of
 * persons (a column with given names, filled in most records, and two others that tell people apart) nor of
 * organisations or places (a name in most records, and a telephone number or an e-mail address).
 */
extern void suggest_evidence(const column_profile *profiles, int count, const bool *chosen,
                             const int *swapped, evidence_kind *evidence, evidence_kind *swapped_evidence);

#endif
