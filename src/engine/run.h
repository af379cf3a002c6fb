/*
 * run.h: one pass over the candidate pairs of a query: what match_pairs, match_clusters, train_model and
 * blocking_report have in common.
 *
 * A run lives in a memory context of its own; what its threads allocate is freed when that context goes,
 * also after an error. While worker threads run, the main thread waits; between batches it answers
 * cancel requests and hands results on.
 */
#ifndef MASTERING_ENGINE_RUN_H
#define MASTERING_ENGINE_RUN_H

#include "compat.h"

#include "engine/record_store.h"
#include "engine/spec.h"
#include "kernel/blocking.h"
#include "portability/instr_time.h"

/* Memory that is needed again and again while blocks are made. */
typedef struct work_room {
    void *memory; /* NULL: not made */
    Size size;
} work_room;

typedef struct match_run {
    MemoryContext memory; /* around all that is the run's */
    MemoryContext context;
    const match_spec *spec;
    query_shape *shape;
    record_store *store;
    scorer scorer;
    int comparison_slots[MAX_COMPARISONS];
    int rule_slots[MAX_RULES][MAX_KEY_PARTS];
    blocking_rule rules[MAX_RULES];         /* part_count 0: not prepared yet */
    block_index indexes[MAX_RULES];         /* entries NULL: not there */
    Size index_bytes;                       /* of the indexes that are there */
    work_room entry_room;                   /* where entries are put in order */
    work_room sorted_room;                  /* where they come in order */
    work_room seen_room;                    /* of bits, by key */
    struct shared_group *shared_keys;       /* what is known of rules whose blocks are being made */
    block_statistics statistics[MAX_RULES]; /* of the rules visited so far */
    pair_counters counters[MAX_RULES];      /* the same */
    uint64 cut_keys[MAX_RULES];             /* keys of arrays left out */
    struct split_state *splits[MAX_RULES];  /* NULL: not prepared yet */
    int threads;
    comparison_thread *thread_memory;
    pair_unit *units;
    struct term_index *term_indexes; /* made so far */
    struct link_list *kept_links;    /* of a clustering, for the next; or NULL */
    struct rarities *rarities;       /* of a training that counts them; else NULL */
    bool names_known;                /* how often strangers have one name is known (equal_names.h) */
    bool relatives_apart;            /* training told related non-matches from matches */
    uint32 weights_set;              /* how often */
    uint32 *positions[MAX_RULES]; /* of runs in passes: of records in windowed blocks, by number; or NULL */
    uint32 oversize[MAX_RULES];   /* the same: records of a part that was too large for the memory */
    struct key_parts *dealt[MAX_RULES]; /* the same: records by key that were kept; NULL: none */
    bool keep_dealt;                    /* the same: they may be */
    uint64 pass_count;                  /* the same: parts that were loaded */
    struct value_summary **summaries;   /* by slot, once asked for */
    const match_spec *weights;          /* whose weights the scorer has; NULL: none yet */
    instr_time phase_start;
    double phase_processor; /* milliseconds of all threads, at its start */
} match_run;

typedef struct match_run_options {
    const char *const *only_ids; /* two ids: read these two records alone */
    bool probes;                 /* visit only pairs with a record that column "#probe" marks */
    bool in_passes;              /* what does not fit into memory may go through files: see passes.h */
} match_run_options;

/* Reads the query under the specification. With trained weights the scorer has them, otherwise weights are 0.
 */
extern match_run *match_run_open(const char *query, const match_spec *spec, const match_run_options *options);

/* Frees what the run holds. */
extern void match_run_close(match_run *run);

/* Takes over weights (and term frequencies) of a specification with the same comparisons. */
extern void match_run_set_weights(match_run *run, const match_spec *spec);

/* After weights were changed in the scorer itself. */
extern void match_run_prepare_scorer(match_run *run);

/* The store has other records and values than before: the scorer compares these. */
extern void match_run_take_values(match_run *run);

/* Receives the pairs of one unit; called on the main thread, in an order that does not depend on threads. */
typedef void (*pair_consumer)(match_run *run, int rule, const scored_pair *pairs, uint32 count,
                              void *context);

typedef struct visit_options {
    pair_mode mode;
    int64 least_weight;
    uint64 sample_pairs; /* PAIRS_SAMPLED: pairs to take of each rule, about */
    const uint32 *entities;
    bool across_sources; /* only pairs of different sources, whatever the specification links */
} visit_options;

/* Visits the candidate pairs of all rules in turn. */
extern void match_run_visit(match_run *run, const visit_options *options, pair_consumer consume,
                            void *context);

/* Visits the pairs of the blocks that run->indexes[rule] has now. */
extern void match_run_visit_blocks(match_run *run, int rule, const visit_options *options,
                                   pair_consumer consume, void *context);

/* The share of a rule's pairs that PAIRS_SAMPLED takes. */
extern double match_run_sample_share(const match_run *run, int rule, uint64 sample_pairs);

/* A WARNING for blocks that were cut. */
extern void match_run_warn_of_cuts(match_run *run);

/* Ends a phase: a NOTICE with its time where mastering.log_progress is on. */
extern void match_run_phase(match_run *run, const char *phase, const char *format, ...)
    pg_attribute_printf(3, 4);

/* Raises what a kernel reported. */
extern void raise_kernel_status(kernel_status status);

/*
 * The same for a kernel called on the main thread: true when it was stopped by something other than a cancel
 * request, which has been dealt with, and must be called again.
 */
extern bool kernel_must_repeat(kernel_status status);

/* The weight of two records, or least_weight where it is less. On any thread. */
extern kernel_status match_run_weigh_pair(match_run *run, uint32 a, uint32 b, int64 least_weight, int thread,
                                          int64 *weight);

/* The same, whatever it is, for the caller's own thread. */
extern int64 match_run_pair_weight(match_run *run, uint32 a, uint32 b);

#endif
