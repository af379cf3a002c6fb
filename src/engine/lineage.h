/*
 * lineage.h: writes the lineage of golden records, one object of objects, straight into the format of jsonb.
 *
 * The general way, a tree of JsonbValues that is sorted and copied, takes several times as long as all the
 * rest of a golden record. What is written here is, byte for byte, what it would write: the keys are known,
 * so they are brought into jsonb's order (shorter first, then by bytes) once.
 */
#ifndef MASTERING_ENGINE_LINEAGE_H
#define MASTERING_ENGINE_LINEAGE_H

#include "compat.h"

#include "utils/jsonb.h"

/* Where a value came from; record and source may be NULL. */
typedef struct value_origin {
    bool known; /* false: there is no value, and its lineage is null */
    const char *rule;
    int rule_length;
    const text *record;
    const text *source;
    int64 agreeing;
} value_origin;

typedef struct lineage_writer lineage_writer;

/* For the attributes of these names, all different. */
extern lineage_writer *lineage_writer_create(const char *const *names, int count, MemoryContext context);

/* {"name": {"record", "source", "rule", "agreeing"}, ...}; origins in the order of the names. */
extern Jsonb *lineage_write(lineage_writer *writer, const value_origin *origins);

#endif
