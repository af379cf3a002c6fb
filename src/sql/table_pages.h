/*
 * table_pages.h: clusters of all records into a table as whole pages, which the run's threads make while
 * nothing else is left to do for them; the main thread extends the table by them and logs them, as
 * table_multi_insert would a page of rows.
 *
 * For tables that table_writer.h accepts, whose ids are bigint as the records' are.
 */
#ifndef MASTERING_SQL_TABLE_PAGES_H
#define MASTERING_SQL_TABLE_PAGES_H

#include "compat.h"

#include "engine/cluster.h"
#include "engine/record_store.h"
#include "sql/table_writer.h"

/* Whether rows of this store's records can go into the table by pages. */
extern bool table_pages_can(const table_writer *writer, const record_store *store);

/* Adds a row for each record of the store. */
extern void table_pages_write(table_writer *writer, const record_store *store, const clustering *clusters,
                              int threads);

#endif
