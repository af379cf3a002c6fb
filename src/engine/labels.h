/*
 * labels.h: verdicts on pairs, and truth by entity, read from queries of the caller and resolved to the
 * records of a run.
 */
#ifndef MASTERING_ENGINE_LABELS_H
#define MASTERING_ENGINE_LABELS_H

#include "compat.h"

#include "engine/run.h"

typedef struct label {
    uint32 a, b; /* records */
    bool is_match;
} label;

typedef struct label_list {
    size_t count;
    label *labels;  /* in the order of a, b; a verdict on both orders of a pair counts once */
    uint64 unknown; /* that name a record the run does not have */
    size_t undecided_count;
    label *undecided; /* pairs whose verdict is NULL: seen, and nothing decided */
} label_list;

/*
 * Reads a query of id_a, id_b, is_match. Raises 42703 for a missing column, 22023 when a pair is labelled
 * both ways, 42804 for a verdict that is not boolean.
 */
extern label_list *labels_read(match_run *run, const char *query);

/* Whether such a query returns any row. */
extern bool labels_any(const char *query);

/* Reads a query of id and entity_id: for each record of the run a number of its entity, 0 where unknown. */
extern uint32 *entities_read(match_run *run, const char *query);

#endif
