/*
 * lookup_cache.h: what a session keeps between look-ups; see lookup.c.
 */
#ifndef MASTERING_SQL_LOOKUP_CACHE_H
#define MASTERING_SQL_LOOKUP_CACHE_H

#include "compat.h"

#include "engine/probe.h"
#include "executor/spi.h"
#include "storage/run_as.h"

/* An entity's model under the rights of an environment's owner. */
typedef struct lookup_model {
    struct lookup_model *next;
    MemoryContext context;
    char *name; /* the tree of the artifacts it is made of */
    char *environment, *entity;
    Oid owner;
    char *search_path;
    int attribute_count;
    char **attributes;
    probe_model *probe;
    SPIPlanPtr record_plan;   /* a jsonb: all columns of the probe's record */
    SPIPlanPtr computed_plan; /* source, key, attributes: the compared columns that are expressions; NULL:
                                 none are */
} lookup_model;

/* A segment of records and that of their keys. */
typedef struct lookup_part {
    int32 keys, records;
    int64 vector;        /* of the records that are gone; 0: none */
    AttrNumber *columns; /* source, key, attributes in the segment of records; NULL until it is first read */
} lookup_part;

typedef struct lookup_members {
    int32 segment;
    int64 vector;
} lookup_members;

/* What an environment publishes of an entity. */
typedef struct lookup_state {
    struct lookup_state *next;
    MemoryContext context;
    char *environment, *entity;
    Oid owner;
    int64 generation;
    lookup_model *model;
    int part_count;
    lookup_part *parts;
    int member_count; /* segments of members */
    lookup_members *members;
    bool asked_for_indexes; /* of their segments: the upper pages */
} lookup_state;

/* Checks the caller's rights and finds or makes the state; wide: the caller may see records. Connected to
 * SPI. */
extern lookup_state *lookup_state_for(char *environment, char *entity, bool *wide);

/* Around each look-up, whether it fails or not: nothing that one of them uses is freed by one within it. */
extern void lookup_enter(void);
extern void lookup_leave(void);

/* Frees what is kept, if no look-up but one is under way; else before the next one. */
extern void lookup_forget_all(void);

#endif
