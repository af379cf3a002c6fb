/*
 * deletion_vector.h: the rows of a segment that a version no longer has, as a Roaring bitmap of row numbers.
 */
#ifndef MASTERING_STORAGE_DELETION_VECTOR_H
#define MASTERING_STORAGE_DELETION_VECTOR_H

/* Whether a stored vector removes the row; for callers that have no place to keep the bitmap. */
extern bool mastering_vector_contains(int64 vector_id, int32 row_no);

/* Number of rows that a stored vector removes, for estimates; 0 where it cannot be told. */
extern double mastering_deletion_count(int64 vector_id);

#endif
