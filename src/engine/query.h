/*
 * query.h: what can be said of a query text, and of SQL expressions over its columns, before anything
 * runs. All of it happens with the rights of the caller.
 */
#ifndef MASTERING_ENGINE_QUERY_H
#define MASTERING_ENGINE_QUERY_H

#include "compat.h"

#include "access/tupdesc.h"
#include "nodes/pg_list.h"

/* A query's text and columns. */
typedef struct query_shape {
    char *query; /* without trailing semicolon */
    TupleDesc columns;
    bool has_source;
    bool want_probes; /* its column "#probe" is to be read, too */
} query_shape;

/* Checks that text is one SELECT with a column id (else 42601, 42703) and describes it. */
extern query_shape *query_describe(const char *text);

/* A relation's name where a query is wanted is what people try first: 42601 with the query for it. */
extern void query_refuse_relation_name(const char *text);

/* Position of a column, -1 when there is none of that name. */
extern int query_column(const query_shape *shape, const char *name);

/* Raises 42702 where a query has several columns of a name. */
extern void query_require_once(const query_shape *shape, const char *name);

/* Raises 22023 with the specification's path and the nearest name when the query has no such column. */
extern void query_check_column(const query_shape *shape, const char *column, const char *path);

/* Checks an SQL expression over the query's columns; returns its type. Errors name the path. */
extern Oid query_check_expression(const query_shape *shape, const char *expression, const char *path);

/* Names (char *) of the columns that an expression reads. */
extern List *query_expression_columns(const char *expression, const char *path);

/* The column's name when the expression is nothing but a column, else NULL. */
extern char *query_plain_column(const char *expression, const char *path);

#endif
