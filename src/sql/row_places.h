/*
 * row_places.h: where the rows of a segment lie (see engine/key_chunks.h): found when its keys are made, and
 * tried when a row is wanted.
 */
#ifndef MASTERING_SQL_ROW_PLACES_H
#define MASTERING_SQL_ROW_PLACES_H

#include "compat.h"

#include "sql/segment_rows.h"

/* So that an array of their places is no larger than a value may be. */
#define PLACED_ROWS_AT_MOST ((Size)100 * 1000 * 1000)

/* A row that is wanted, and where it was. */
typedef struct placed_row {
    int32 row;
    uint32 place;
} placed_row;

/* Reads the row that is said to lie there into the slot of the segment; false where another one lies there,
 * or none that is seen. row_column: of its number. */
extern bool placed_row_read(segment_rows *rows, AttrNumber row_column, placed_row wanted);

/*
 * Where the wanted rows of a segment of records are seen now, in the order of their places; their pages come
 * into memory meanwhile; to read a page twice takes less than to go down an index for each of its rows. NULL
 * where of too many of them nobody knows where they are. Sorts what is wanted.
 */
extern ItemPointerData *placed_rows_find(int32 segment, placed_row *wanted, Size count, Size *found);

#endif
