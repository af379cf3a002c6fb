/*
 * survivorship_plan.h: what a plan of golden records is once it is read. For survivorship.c and
 * survivorship_plan.c alone; the plan as text is described in survivorship.h.
 */
#ifndef MASTERING_ENGINE_SURVIVORSHIP_PLAN_H
#define MASTERING_ENGINE_SURVIVORSHIP_PLAN_H

#include "compat.h"

#include "engine/lineage.h"
#include "engine/survivorship.h"
#include "utils/sortsupport.h"

enum { ID, SOURCE, ALONE, FIRST_VALUE };               /* positions in a row, from 0 */
enum { RECORD_COUNT, SOURCE_COUNT, LINEAGE, RESULTS }; /* positions in a golden record */

typedef enum step_rule {
    MOST_FREQUENT,
    MOST_RECENT,
    LEAST_RECENT,
    LONGEST,
    SHORTEST,
    SOURCE_PRIORITY,
    MOST_COMPLETE_RECORD,
    TRUST,
    MIN,
    MAX,
    UNION_OF_VALUES,
    AGGREGATE
} step_rule;

/* How far a source is trusted: from start down to final, which is reached at this age; 0: it stays at start.
 */
typedef struct source_trust {
    double start;
    double final;
    double age;
} source_trust;

typedef struct survivor_step {
    step_rule rule;
    int key;        /* position of what dates the record; of trust, a number, or -1 */
    text **sources; /* the best first */
    int source_count;
    source_trust *trust; /* by source, then that of all others */
    double newest;       /* of the cluster at hand, what trust is dated by */
} survivor_step;

/* How one of the records is chosen. */
typedef struct survivor_choice {
    const char *rule; /* for the lineage */
    bool counts;      /* the rule needs to know how many records agree with each */
    survivor_step *steps;
    int step_count;
} survivor_choice;

/* An attribute: positions in the row. */
typedef struct survivor_column {
    const char *name;
    int value;
    int key;
    int length; /* -1: measured here */
} survivor_column;

/* What survives from one record: an attribute, or a group of them. */
typedef struct survivor_unit {
    int *members; /* indexes of columns */
    int member_count;
    survivor_choice *choices; /* a record of an earlier one survives over those of later ones */
    int choice_count;
    int choice; /* position of the number, from 1, of the choice that a record is for; -1: there is one for
                   all */
    bool is_union;
    bool is_aggregate; /* the statement that holds the plan makes the value; here is its lineage only */
    bool of_elements;  /* a union of the elements of arrays */
    Oid array_type;    /* of a union, as what follows */
    Oid element_type;
    SortSupportData element_sort;
    int16 element_length;
    bool element_by_value;
    char element_align;
} survivor_unit;

struct golden_plan {
    Jsonb *document;
    Oid row_type;
    int32 row_typmod;
    MemoryContext context;
    TupleDesc row;
    TupleDesc result;
    survivor_column *columns;
    int column_count;
    survivor_unit *units;
    int unit_count;
    bool has_source;
    bool *blank;           /* by position: a text of blanks counts as NULL */
    SortSupportData *sort; /* by position, where it is compared */
    lineage_writer *lineage;
    value_origin *origins;
};

#endif
