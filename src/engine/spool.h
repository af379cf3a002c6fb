/*
 * spool.h: the records of a run that does not fit into its memory, in PostgreSQL's temporary files
 * (temp_file_limit holds, they go with the statement).
 *
 * Records come in from a record store that is emptied again and again, dealt into files by the hash of their
 * id. spool_sort puts them into the order in which a store would have numbered them, and raises 21000 for an
 * id that comes twice; then they are read from beginning to end, as often as it takes. Of a text a spool
 * holds what a dictionary keeps, with its hashes: values that come back are the same ones.
 */
#ifndef MASTERING_ENGINE_SPOOL_H
#define MASTERING_ENGINE_SPOOL_H

#include "compat.h"

#include "engine/record_store.h"
#include "storage/buffile.h"

typedef struct spool_value {
    text_view text;           /* length 0: missing */
    uint64 hash, second_hash; /* of a text that was cut; else 0 */
} spool_value;

static inline uint64
spool_value_hash(const spool_value *value)
{
    return value->text.length < COMPARED_CHARACTERS ? dictionary_hash(value->text) : value->hash;
}

/* A record as it is read; valid until the next one. */
typedef struct spool_record {
    uint32 number; /* in the order of the store */
    uint32 source;
    int64 integer_id;          /* of the sorted file: numbered records have no id */
    const char *text_id;       /* NULL: the id is an integer */
    const spool_value *values; /* by column */
    const char *bytes;         /* of the values, as they are in the file */
    uint32 size;
} spool_record;

typedef struct spool {
    MemoryContext context;
    int column_count;
    uint32 count;     /* records */
    uint64 bytes;     /* of them, in files */
    Size memory;      /* that they took in a store, a part after the other */
    Size most_memory; /* that they would take if no two values were the same */
    int part_bits, part_count;
    uint64 *part_bytes;
    BufFile **parts; /* by the first bits of the id's hash, until they are sorted */
    BufFile *sorted;
    StringInfoData buffer;
} spool;

extern spool *spool_create(MemoryContext context, int column_count, Size budget);

/* Takes over all records of a store, whose columns are no arrays. */
extern void spool_add(spool *spool, const record_store *store);

extern void spool_sort(spool *spool);

extern void spool_free(spool *spool);

/* Reads the records of the sorted file, or of a file of numbered records. */
typedef struct spool_scan {
    const spool *spool;
    BufFile *file;
    bool numbered;
    uint32 next;
    char *bytes;
    Size allocated;
    spool_value *values;
    spool_record record;
} spool_scan;

/* file NULL: the sorted one. The scan's memory is of the current context. */
extern void spool_scan_open(spool_scan *scan, const spool *spool, BufFile *file);
extern bool spool_scan_next(spool_scan *scan);
extern void spool_scan_close(spool_scan *scan);

/* Appends a record and its number to a file; returns the bytes that this took. */
extern Size spool_write_numbered(BufFile *file, const spool_record *record);

/* A whole file of that size (what was written; the file itself lags behind) in the current context. */
extern char *spool_read_file(BufFile *file, Size size);

#endif
