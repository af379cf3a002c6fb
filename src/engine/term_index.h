/*
 * term_index.h: the term vectors of a column's values (kernel/term_vectors.h), and the candidate pairs that a
 * rule of nearest neighbours gives.
 *
 * How rare a term is, a model knows from its training (frozen.h). Without that it is counted on the records
 * of the run, and brought to the form that a model keeps, so that a run that trains scores as those after it
 * do.
 */
#ifndef MASTERING_ENGINE_TERM_INDEX_H
#define MASTERING_ENGINE_TERM_INDEX_H

#include "compat.h"

#include "engine/run.h"
#include "kernel/term_vectors.h"

/* The vectors that a comparison of the run asks for. */
extern const term_vectors *term_index_of(match_run *run, const comparison_spec *comparison, int slot);

/* The vectors of the values in a slot; made once a run. */
extern const term_vectors *term_index_vectors(match_run *run, int slot, int q);

/* How rare the terms of the values in a slot are taken to be; for a model to keep. */
extern const term_statistics *term_index_statistics(match_run *run, int slot, int q);

/*
 * The nearest neighbours of each record by the values in the slot, as entries (pair, record): both records of
 * a pair have an entry under the pair's own key. Also lists the keys by record (starts: records + 1).
 */
extern keyed_record *term_index_neighbours(match_run *run, int slot, int q, int k, uint64 **starts,
                                           uint64 **keys, uint64 *entry_count);

#endif
