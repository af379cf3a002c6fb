/*
 * mixed.h: whether what EM took for matches is several kinds of pairs, and where it learns again from then.
 *
 * For train.c. People of one household, and versions of one product, share attributes that strangers do not
 * share: EM with two classes takes them and the copies for one kind of pair.
 */
#ifndef MASTERING_ENGINE_MIXED_H
#define MASTERING_ENGINE_MIXED_H

#include "engine/rarity.h"
#include "engine/run.h"
#include "kernel/em.h"

/* Comparisons that differ together among enough of the matches, two by two: bits of the two. */
typedef struct mixed_attributes {
    int count;
    uint32 pairs[MAX_COMPARISONS * MAX_COMPARISONS / 2];
} mixed_attributes;

/*
 * Whether two attributes that tell things apart differ together or not at all among the matches; found: where
 * that is so for enough of them to be a kind of pairs of its own.
 */
extern bool mixed_find(match_run *run, const rarities *rarities, const em_session *sessions,
                       const em_parameters *parameters, mixed_attributes *found);

/*
 * Finds comparisons that differ together in nearly all matches that differ in either, as postcode and city of
 * who has moved: says in parameters->beside that the less telling one says nothing. True: there are new ones.
 * random: of random pairs. joining: it is only asked whether what says what others say is itself said by a
 * further one.
 */
extern bool mixed_repeating(match_run *run, const rarities *rarities, const em_session *sessions,
                            const em_session *random, em_parameters *parameters, bool joining);

/* Comparisons of what may change with the place where one lives: neither names and dates nor identifiers. */
extern uint32 mixed_places(match_run *run);

/* The telling attributes that matches differ in more often than such a share of them. */
extern uint32 mixed_differing(match_run *run, const rarities *rarities, const em_parameters *parameters,
                              double share);

/* Of such a set those that hold given names. */
extern uint32 mixed_given_names(match_run *run, uint32 comparisons);

/* The attributes with given names, that matches differ in more often than such a share of them. */
extern uint32 mixed_differing_names(match_run *run, const em_parameters *parameters, double share);

/*
 * Attributes that one person alone has, by what the specification says of them, that matches differ in more
 * often than such a share of them; 0 unless there are two: then they are other people, however well that
 * explains the pairs.
 */
extern uint32 mixed_other_people(const match_run *run, const em_parameters *parameters, double share);

/*
 * The attributes in which matches agree hardly more often than strangers, who seldom do, whatever they are
 * of; 0 unless there are two: then the matches have something else in common and are no copies.
 */
extern uint32 mixed_strangers(match_run *run, const rarities *rarities, const em_parameters *parameters);

/* Where EM begins again when the matches were taken apart. */
typedef struct mixed_start {
    double m[MAX_COMPARISONS][MAX_LEVELS], related[MAX_COMPARISONS][MAX_LEVELS];
    double match_shares[MAX_RULES], related_shares[MAX_RULES];
} mixed_start;

/*
 * Takes the matches apart: those that agree in two attributes which differ together, and those that differ in
 * both. The former are what m begins with, the latter the related of all rules.
 */
extern void mixed_take_apart(const match_run *run, const scorer *layout, const mixed_attributes *attributes,
                             const em_session *sessions, const em_parameters *parameters, mixed_start *start);

/* How well what was learnt explains the candidates: bits of likelihood for each pair. */
extern double mixed_likelihood(const match_run *run, const scorer *layout, const em_session *sessions,
                               const em_parameters *parameters);

/*
 * What related pairs may bring by chance alone, in bits a pair: each probability of theirs costs half the
 * logarithm of its rule's pairs (Schwarz 1978). With rules that leave two or three attributes, or with few
 * pairs, a further kind of pairs always explains something.
 */
extern double mixed_bits_of_related(const match_run *run, const scorer *layout, const em_session *sessions);

#endif
