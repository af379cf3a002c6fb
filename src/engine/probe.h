/*
 * probe.h: one record against a few candidates, by a model that a session keeps: what a run over a query of
 * these records would say of the pairs, without its threads, dictionaries and indexes.
 *
 * Every compared value of a candidate is its own code, but one that equals the probe's: that has the probe's
 * code, 1. So nothing needs to be hashed, and of the frequencies of values one is needed for each comparison.
 */
#ifndef MASTERING_ENGINE_PROBE_H
#define MASTERING_ENGINE_PROBE_H

#include "compat.h"

#include "engine/blocks.h"
#include "engine/query.h"
#include "engine/record_store.h"
#include "engine/spec.h"
#include "engine/value_reader.h"

typedef struct probe_model {
    MemoryContext context;
    match_spec *spec;
    int column_count; /* expressions over a record: compared ones first, then parts of keys */
    int compared_count;
    store_column *columns;
    int *attributes;        /* of a column that is one of the shape's: its position; else -1 */
    value_reader **readers; /* NULL until probe_model_set_types */
    int comparison_slots[MAX_COMPARISONS];
    int rule_slots[MAX_RULES][MAX_KEY_PARTS];
    scorer scorer;                       /* without values */
    bool weighs_values[MAX_COMPARISONS]; /* a value's own frequency adds to the weight of an exact level */
    comparison_thread thread;
} probe_model;

/* The model of a document, in a context of its own below parent. shape: columns id, source and attributes. */
extern probe_model *probe_model_create(MemoryContext parent, Jsonb *document, const query_shape *shape);

/* SELECT expressions FROM (source) AS record; only those that are compared and no plain columns, or all.
 * NULL: none. */
extern char *probe_model_query(const probe_model *model, const char *source, bool only_computed);

/* The types that the columns turned out to have (the result of the query of all columns). */
extern void probe_model_set_types(probe_model *model, TupleDesc types);

typedef struct probe_values {
    text_view *texts; /* by code */
    double *numbers;
    calendar_date *dates;
    text_profile *profiles;
    uint32 *code;           /* by candidate */
    text_view whole;        /* the probe's, uncut */
    dictionary *dictionary; /* of values that are compared by terms; then codes are its */
} probe_values;

typedef struct probe {
    const probe_model *model;
    MemoryContext context, value_context;
    uint32 candidates, room;
    probe_values *values; /* by compared column */
    uint64 **part_hashes; /* by column: of its values; several where it is an array */
    uint32 *part_counts;
    scorer scorer;
    bool ready;
} probe;

/* Begins with the values of all columns for the probe's record; room: the most candidates that will come. */
extern probe *probe_begin(const probe_model *model, MemoryContext context, const Datum *values,
                          const bool *nulls);

/* The keys of the probe by a rule, sorted and distinct. */
extern uint32 probe_keys(const probe *probe, int rule, uint64 *keys);

extern void probe_expect(probe *probe, uint32 candidates);

/* One more candidate: values of the compared columns. */
extern void probe_add(probe *probe, const Datum *values, const bool *nulls);

/* The pair of the probe and a candidate, after all have come. */
extern void probe_score(probe *probe, uint32 candidate, int64 *weight, uint64 *pattern);

#endif
