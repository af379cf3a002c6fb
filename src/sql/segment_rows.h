/*
 * segment_rows.h: a few rows of a segment, found by one of its indexes without a plan; for look-ups.
 *
 * First the pages of the index are asked for, then all rows that are wanted are found in it, and their pages
 * asked for; then they are read. So pages that are in nobody's memory come from the disk side by side instead
 * of one after the other. What is
 * seen is what a query under the active snapshot sees. Nobody's rights are checked: the caller has done that.
 */
#ifndef MASTERING_SQL_SEGMENT_ROWS_H
#define MASTERING_SQL_SEGMENT_ROWS_H

#include "compat.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#define SEGMENT_KEYS 2 /* columns of an index at most */

/* Where a row may lie, and what the caller wants to know of it then. */
typedef struct segment_place {
    ItemPointerData at;
    int32 part;
    uint32 n;
} segment_place;

typedef struct segment_places {
    segment_place *all;
    uint32 count, room;
} segment_places;

typedef struct segment_descent segment_descent;

typedef struct segment_rows {
    Relation table, index; /* the index NULL until it is needed, where it was not asked for */
    Snapshot snapshot;
    BlockNumber blocks; /* of the table */
    int32 segment;
    int key_count;
    IndexScanDesc scan;
    IndexFetchTableData *fetch;
    TupleTableSlot *slot; /* the row that was read last */
    BlockNumber asked_for;
    segment_descent *descent; /* NULL until something is expected */
} segment_rows;

/* By the index that begins with these columns. An error closes it. Where there is no such index, an error, or
 * false and nothing open. */
extern bool segment_rows_try(segment_rows *rows, int32 segment, int key_count, const char *const *columns);
extern void segment_rows_open(segment_rows *rows, int32 segment, int key_count, const char *const *columns);
extern void segment_rows_close(segment_rows *rows);

/* Without an index, and with one then, unless it has one. */
extern void segment_rows_open_table(segment_rows *rows, int32 segment);
extern void segment_rows_use_index(segment_rows *rows, int key_count, const char *const *columns);

/* The number of a column. */
extern AttrNumber segment_rows_column(const segment_rows *rows, const char *name);

/* Column k of the index (from 0) is compared so (BTEqualStrategyNumber ...) with the value. */
extern void segment_key(const segment_rows *rows, ScanKeyData *key, int k, StrategyNumber strategy,
                        RegProcedure operator, Datum value);

/* Asks for the leaf of the index where rows with these values will be looked for (all its columns equal). */
extern void segment_expect(segment_rows *rows, const Datum *values);

/* The same for many: so many times the values of its columns. Inner pages are asked for, too, level by level.
 */
extern void segment_expect_many(segment_rows *rows, const Datum *values, uint32 count);

/* Asks for a page of the table. */
extern void segment_ask_for(segment_rows *rows, BlockNumber block);

/* Asks for the pages of the index that are read before any other: the one that says where the root is, and
 * the last one, which is the root of an index that was built at once. */
extern void segment_expect_upper(const segment_rows *rows);

/* Asks for all pages of an index. */
extern void segment_expect_index(Relation index);

/* Adds where rows with these keys may lie, in the order of the index, `most` at most; their pages are asked
 * for. Returns how many. */
extern uint32 segment_find(segment_rows *rows, ScanKeyData *keys, ScanDirection direction, uint32 most,
                           segment_places *places, int32 part, uint32 n);

/* Reads the row of a place; false where none is seen there. */
extern bool segment_read(segment_rows *rows, const ItemPointerData *place);

/* Without asking for pages: begins at the keys, then reads row after row. */
extern void segment_begin(segment_rows *rows, ScanKeyData *keys);
extern bool segment_next(segment_rows *rows, ScanDirection direction);

#endif
