/*
 * head.h: the head row of an environment, as C reads it.
 *
 * mastering.head has one row an environment. The reader of a golden view has no rights on it, so it is read
 * below the privilege checks, by its primary key, and only the list of segments leaves this module.
 */
#ifndef MASTERING_STORAGE_HEAD_H
#define MASTERING_STORAGE_HEAD_H

#include "utils/jsonb.h"
#include "utils/snapshot.h"

/* One environment's head under one snapshot. */
typedef struct HeadRow {
    int64 generation; /* grows with every change of the row; equal generations mean equal rows */
    bool own_write;   /* written by the current transaction */
    char *anchor;     /* relation in schema mastering whose invalidation announces a new head */
    Jsonb *versions;  /* relation name -> {"store": n, "segments": [n ...], "vectors": [n ...]} */
} HeadRow;

/* What one versioned relation consists of. vectors[i] is 0 where segments[i] has no deletions. */
typedef struct RelationVersion {
    int count;
    int32 *segments;
    int64 *vectors;
} RelationVersion;

/* How a head looks to everybody at this moment, whatever the transaction's own snapshot is. */
typedef enum HeadFreshness { HEAD_SAME, HEAD_MOVED } HeadFreshness;

extern Oid mastering_namespace(void);
extern Oid mastering_relation(const char *name);

/* Splits 'prod.customer', with SQL's quoting, into environment and relation. */
extern void mastering_split_view_name(const char *view_name, char **environment, char **relation);

/* The head that a statement planned or executed now must see; false where the environment is unknown. */
extern bool mastering_statement_head(const char *environment, HeadRow *head);

/* Whether the head still has this generation and nobody is about to change it. */
extern HeadFreshness mastering_head_freshness(const char *environment, int64 generation);

/* Finds a relation in a head; false where the environment has no version of it. */
extern bool mastering_find_version(const HeadRow *head, const char *relation, RelationVersion *version);

#endif
