/*
 * record_store.h: the records of a query, read once, as rows of dictionary codes.
 *
 * record_store_read runs "SELECT id, source, expressions FROM (query)" through the executor with a
 * receiver of its own, as the calling user: privileges, row security, views, partitions and foreign
 * tables work as in any query. Records are then numbered in the order of a hash of their id, so that
 * nothing that follows depends on the order in which they came. Where probes are asked for, they come before
 * all other records, each part in that order.
 */
#ifndef MASTERING_ENGINE_RECORD_STORE_H
#define MASTERING_ENGINE_RECORD_STORE_H

#include "compat.h"

#include "engine/dictionary.h"
#include "engine/query.h"
#include "engine/spec.h"
#include "kernel/blocking.h"
#include "utils/array.h"

/* One expression over the query's columns, in one form; comparisons and key parts that want the same share
 * it. */
typedef struct store_column {
    const char *expression; /* SQL; a plain column is its quoted name */
    const char *path;       /* in the specification */
    bool is_plain;          /* nothing but a column of the query */
    value_form form;
    bool allow_list; /* an array is welcome (a key part) */
    bool is_list;    /* it is an array: the code is 0 or a place in lists */
    Oid type;
    dictionary *values;
    uint64 unreadable;  /* numbers or dates: values that are none, taken as missing */
    uint64 long_values; /* of dictionaries that are gone */
} store_column;

typedef struct record_store {
    MemoryContext context;
    MemoryContext data;   /* of rows, ids, lists and dictionaries */
    struct spool *spool;  /* where the records are that did not fit; NULL: rows has them all */
    record_table records; /* rows of stride codes */
    uint64 whole_count;   /* records of the query; records has fewer of them where they are a sample */
    int column_count;
    store_column *columns; /* column i is code i of a row */
    int source_slot;       /* of the column "source", or -1 */
    dictionary *sources;
    bool values_counted; /* the records of each value, as they came */
    bool *is_probe;      /* by record, while records come; NULL: nobody asked */
    uint32 probe_count;  /* records marked in the column "#probe"; they come first, all others behind them */

    Oid id_type;
    int64 *integer_ids; /* by record; NULL when ids are not integers */
    char **text_ids;    /* by record; NULL when they are */

    uint32 *lists; /* a list is its length and its codes; place 0 is unused */
    Size lists_used, lists_allocated;
} record_store;

/* Finds or adds a column; returns its slot. */
extern int record_store_column(store_column *columns, int *count, const char *expression, value_form form,
                               const char *path, bool allow_list);

/*
 * Reads the query. only_ids: NULL, or a pair of ids (as text) of which alone the records are read.
 * threads: that may code the values; with more than one, the caller lets go of them (parallel_release).
 * Raises 22004 for a NULL id and 21000 for one that comes twice. Columns are copied.
 */
extern record_store *record_store_read(MemoryContext context, const query_shape *shape,
                                       const store_column *columns, int column_count, bool want_source,
                                       const char *const only_ids[2], int threads);

/*
 * The same, and where limit is not 0, rows and dictionaries take no more memory than that, about: when they
 * do, all records go into the store's spool, and records has their number and no rows. A query with arrays
 * among its columns does not fit through a spool, nor, unless sources_too, one with a column "source": it is
 * read as it is.
 */
extern record_store *record_store_read_within(MemoryContext context, const query_shape *shape,
                                              const store_column *columns, int column_count, bool want_source,
                                              const char *const only_ids[2], int threads, Size limit,
                                              bool sources_too);

/*
 * The same for a look at what columns hold: of a query whose records do not fit into most bytes, a sample
 * that does (see record_sample.h). No column may be an array with allow_list.
 */
extern record_store *record_store_read_sample(MemoryContext context, const query_shape *shape,
                                              const store_column *columns, int column_count, bool want_source,
                                              Size most);

/* Empties the store: no records, fresh dictionaries. What was there is freed. */
extern void record_store_clear(record_store *store);

/* Numbers and dates of all values, once they are there. */
extern void record_store_finish_values(record_store *store);

/* Raises 22004. */
extern void record_store_null_id(void) pg_attribute_noreturn();

/* Raises 21000. */
extern void record_store_duplicate_id(const char *id) pg_attribute_noreturn();

/* The id of a record as text; buffer has room for 24 characters. */
extern const char *record_store_id(const record_store *store, uint32 record, char *buffer);

/* Order of ids that people expect: shorter first, then by bytes; so integers by value. */
extern int record_store_compare_ids(const record_store *store, uint32 a, uint32 b);

/* The texts and the like of a column as the kernels want them. */
extern value_table record_store_values(const record_store *store, int slot);

#endif
