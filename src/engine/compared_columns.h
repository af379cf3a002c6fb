/*
 * compared_columns.h: which columns the comparisons and rules of a specification read.
 *
 * Comparisons are given as bits. Those that labels alone weigh do not count.
 */
#ifndef MASTERING_ENGINE_COMPARED_COLUMNS_H
#define MASTERING_ENGINE_COMPARED_COLUMNS_H

#include "compat.h"

#include "engine/spec.h"

/*
 * Comparisons that read no other columns than the rule's key; what is near by many columns is equal in none.
 */
extern uint32 comparisons_in_key(const match_spec *spec, const rule_spec *rule);

/* How many columns the comparisons read. */
extern int compared_columns(const match_spec *spec);

/*
 * What the start values of m are worth. Few columns cannot tell by themselves where matches end: two kinds of
 * pairs there are always. What is usual among matches then counts the more.
 */
extern double prior_share(const match_spec *spec);

/*
 * The texts that say again what other comparisons say: of several columns, half of which or more are compared
 * by themselves, too.
 */
extern uint32 repeated_texts(const match_spec *spec);

#endif
