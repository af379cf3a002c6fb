/*
 * frozen.h: what training decided from the data as a whole, kept in the model (doc/models.md).
 *
 * The invariant of a model: what a pair of records weighs, and whether a rule finds it, depends on these two
 * records and the model alone; and the clusters of records that no link connects to others depend on these
 * records and the model alone. So a model can be applied to a part of the data, and gives for the connected
 * components in it what it gives on the whole. Whatever is decided by looking at all records (how rare a term
 * is, which keys too many records have, which sources hold each thing once, how frequent a value is, the
 * threshold) is therefore decided in training and read from the model afterwards.
 *
 * Where that does not hold, model_not_local says so: whoever works on parts must ask it first.
 */
#ifndef MASTERING_ENGINE_FROZEN_H
#define MASTERING_ENGINE_FROZEN_H

#include "compat.h"

#include "engine/json_reader.h"
#include "kernel/blocking.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#define LISTED_TERMS 5000    /* terms of one column that a model has by name */
#define MOST_SPLIT_KEYS 1000 /* keys of one rule that a model can divide */
#define MOST_LETTERS 8       /* of the order by content, by which the records of a key are divided */

/* How rare the terms of a column are: records in which they were, among those that had a text. */
typedef struct term_statistics {
    bool known;
    double records;
    double other; /* records that have a term that is not listed */
    int count;
    char **terms; /* as they are compared, in the database's encoding */
    double *counts;
} term_statistics;

/*
 * The keys of a blocking rule that too many records had to compare them all. Records of such a key are
 * compared where they agree in so many leading letters of the order by content, too.
 */
typedef struct split_key {
    char *parts[MAX_KEY_PARTS]; /* normalised */
    int letters;                /* from 1 to MOST_LETTERS */
} split_key;

typedef struct rule_splits {
    bool known;
    int count;
    split_key *keys;
    int64 windowed; /* keys that training left to windows: letters do not divide them, or they are too many */
} rule_splits;

/* Sources that hold each thing once, in the order of their names. */
typedef struct source_list {
    bool known;
    int count;
    char **names;
    int64 *copies; /* of each: two of its records that weigh as much are copies; PG_INT64_MAX: none are */
} source_list;

extern void source_list_allocate(source_list *sources, int most);
extern void source_list_add(source_list *sources, char *name, int64 copies);

/* When all weights rise by as much. */
extern void source_list_raise(source_list *sources, int64 weight);

extern void read_term_statistics(const json_node *node, term_statistics *terms);
extern void read_rule_splits(const json_node *node, int part_count, rule_splits *splits);
extern void read_source_list(const json_node *node, source_list *sources);

/* A number by name: {"name": number, ...}. */
extern void read_named_numbers(const json_node *object, double least, double most, int *count, char ***names,
                               double **numbers);

/* They append ,"member":value where something is known. */
extern void write_term_statistics(StringInfo out, const term_statistics *terms);
extern void write_rule_splits(StringInfo out, const rule_splits *splits, int part_count);
extern void write_source_list(StringInfo out, const source_list *sources);

struct match_spec;

/* Drops what was learnt from other data: a specification to be trained again. */
extern void spec_forget_learnt(struct match_spec *spec);

/*
 * Why a model's verdicts depend on more than it and the records in question: a list of sentences (char *),
 * empty when they do not.
 */
extern List *model_not_local(const struct match_spec *spec);

#endif
