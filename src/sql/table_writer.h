/*
 * table_writer.h: rows of clusters into a table of the caller's, many at a time (table_multi_insert): a lock
 * of a page and a record of the log for a page of rows, where INSERT has them for each row.
 *
 * That goes past the executor, so the table must be one where this makes no difference: a plain table with no
 * index, trigger, rule, constraint, row security, generated column or partition. The caller must be allowed
 * to insert. Anything else is refused with the statement that does it.
 */
#ifndef MASTERING_SQL_TABLE_WRITER_H
#define MASTERING_SQL_TABLE_WRITER_H

#include "compat.h"

#include "utils/relcache.h"

/* What a row of clusters has, in this order. */
#define CLUSTER_COLUMNS 4 /* id, cluster_id, size, weakest_link */

typedef struct table_writer table_writer;

/*
 * Opens a table, which is locked for insertion until the transaction ends. It has columns id and cluster_id,
 * both of one type, and may have size (bigint) and weakest_link (double precision).
 */
extern table_writer *table_writer_open(Oid relation);

/* The type of its ids. */
extern Oid table_writer_id_type(const table_writer *writer, int32 *typmod);

/* For those who write pages of their own: the table, where a value is in its rows (-1: nowhere), and the
 * command that the rows are of. table_writer_check refuses once more, before the first row, what
 * table_writer_open does. */
extern Relation table_writer_relation(const table_writer *writer);
extern int table_writer_attribute(const table_writer *writer, int value);
extern CommandId table_writer_command(const table_writer *writer);
extern void table_writer_check(table_writer *writer);

/* Adds a row, whose values are copied. */
extern void table_writer_put(table_writer *writer, const Datum *values, const bool *nulls);

/* Writes what waits, and lets go of the table but not of its lock. */
extern void table_writer_close(table_writer *writer);

#endif
