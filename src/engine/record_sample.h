/*
 * record_sample.h: as many of a query's records as are enough to see what its columns hold, where all of them
 * would take more memory than that.
 *
 * Records are in the sample of whose ids the hashes, scattered once more, begin with so many zeros, as few as
 * leave a sample that fits. What counts as fitting follows from the records alone, not from what a dictionary
 * happened to allocate: the sample is the same in any order of the records, and whatever the settings.
 */
#ifndef MASTERING_ENGINE_RECORD_SAMPLE_H
#define MASTERING_ENGINE_RECORD_SAMPLE_H

#include "compat.h"

#include "engine/record_store.h"

typedef struct record_sample {
    Size most;          /* bytes that fit */
    int zeros;          /* bits that the hashes of ids begin with */
    uint64 left_out;    /* records */
    uint32 *counted;    /* by column: values whose bytes are known */
    uint32 counted_ids; /* the same of ids that are texts: by record */
    Size bytes;         /* theirs */
} record_sample;

extern record_sample *record_sample_create(MemoryContext context, int columns, Size most);

/* Whether a record of that id (an integer where text is NULL) is in the sample; those that are not are
 * counted. */
extern bool record_sample_takes(record_sample *sample, int64 integer, const char *text);

/*
 * Leaves records out until the others fit. Rows must be complete, and no thread read them; the store's memory
 * is another one then. Returns the records for which there is room in the new rows; 0: all fitted, and the
 * rows are what they were.
 */
extern Size record_sample_fit(record_sample *sample, record_store *store);

#endif
