/*
 * value_batch.h: values on their way into the dictionaries. Reading a query is work for the main thread
 * alone; what follows is not: batches of some thousand records are normalised, hashed and coded by the run's
 * threads, each column by one of them, while the main thread reads on. Codes are numbered as values arrive,
 * as if there were no batches.
 *
 * Rows are written when a batch is looked up: until value_batch_finish they are not complete, and before
 * value_batch_wait they must not be moved.
 */
#ifndef MASTERING_ENGINE_VALUE_BATCH_H
#define MASTERING_ENGINE_VALUE_BATCH_H

#include "compat.h"

#include "engine/record_store.h"
#include "engine/value_reader.h"

typedef struct value_batch value_batch;

/* For the columns of a store that are no arrays. Lives in the memory context. */
extern value_batch *value_batch_create(MemoryContext context, record_store *store, int threads);

/* Reads a value that is not NULL and puts it on its way; the code goes to the record's row. */
extern void value_batch_add(value_batch *batch, value_reader *reader, int column, uint32 record, Datum value);

/* The characters of all values that were added so far. */
extern Size value_batch_bytes(const value_batch *batch);

/* Returns when no thread touches rows and dictionaries. */
extern void value_batch_wait(value_batch *batch);

/* Looks up all values that wait. */
extern void value_batch_finish(value_batch *batch);

#endif
