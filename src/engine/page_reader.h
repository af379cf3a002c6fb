/*
 * page_reader.h: the records of a plain table, read by its pages.
 *
 * Most runs read columns of one table and nothing else. The executor then spends more on handing over rows
 * than on finding them, and all of it on one thread. Here it plans, checks permissions and opens the table as
 * always; in place of its rows the main thread takes copies of the pages with the tuples that the snapshot
 * sees, and the run's threads take the tuples apart, normalise, hash and look up their values beside it.
 *
 * Only for plans that are a sequential scan of a heap without a condition, whose columns are the table's own:
 * row security, views with conditions, partitions, foreign tables, samples and everything else go through
 * the executor. What a record becomes is the same either way; codes may be numbered in another order.
 */
#ifndef MASTERING_ENGINE_PAGE_READER_H
#define MASTERING_ENGINE_PAGE_READER_H

#include "compat.h"

#include "engine/record_store.h"
#include "engine/value_reader.h"
#include "executor/execdesc.h"
#include "nodes/plannodes.h"

/* What the reader needs of its caller, on the main thread and while no other thread touches the store. */
typedef struct page_reading {
    record_store *store;
    value_reader **readers; /* by column */
    value_reader *source_reader;
    int threads;
    MemoryContext context; /* of the reader; an error deletes it before the store's */
    Size expected;         /* records, about; 0: nothing is known */
    void *caller;
    void (*make_room)(void *caller, Size records); /* in rows and ids for so many in all */
    bool (*is_full)(void *caller);                 /* the records go elsewhere, once all are complete */
    void (*empty)(void *caller);
} page_reading;

/* Whether the statement's plan is one that can be read by pages. */
extern bool page_reader_can(const PlannedStmt *statement);

/* Whether the table that the started query scans is fit for it, and what is read of it. */
extern bool page_reader_fits(QueryDesc *query, const record_store *store);

/*
 * Reads all records of a started query that fits: its first column is the id, the others are the store's in
 * their order, and the source is the last.
 */
extern void page_reader_read(const page_reading *reading, QueryDesc *query);

#endif
