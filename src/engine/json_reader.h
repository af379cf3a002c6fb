/*
 * json_reader.h: reads a JSON document that a person wrote, and says where and what is wrong with it.
 *
 * A node is a value and its path ("$.comparisons[2].method"). Every expectation that fails raises
 * 22023 (invalid_parameter_value) with the path, what was found, what is allowed, and the nearest name.
 * Main thread only; everything is allocated in the current memory context.
 */
#ifndef MASTERING_ENGINE_JSON_READER_H
#define MASTERING_ENGINE_JSON_READER_H

#include "compat.h"
#include "utils/jsonb.h"

typedef struct json_node {
    JsonbValue value;
    const char *path;
} json_node;

extern json_node json_root(Jsonb *document, const char *what);

/* Objects. The list of allowed names ends with NULL. */
extern void json_expect_members(const json_node *object, const char *const *allowed);
extern bool json_member(const json_node *object, const char *name, json_node *member);
extern bool json_is_object(const json_node *node);

/* Arrays. */
extern bool json_is_array(const json_node *node);
extern int json_length(const json_node *array);
extern json_node json_element(const json_node *array, int index);

/* Scalars. */
extern bool json_is_string(const json_node *node);
extern char *json_string(const json_node *node);
extern bool json_boolean(const json_node *node);
extern double json_number(const json_node *node, double least, double most);
extern int json_integer(const json_node *node, int least, int most);

/* The index of the node's string among names (NULL at the end); what: "method". */
extern int json_choice(const json_node *node, const char *what, const char *const *names);

/* Raises 22023 at the node; detail and hint may be NULL. */
extern void json_error(const json_node *node, const char *problem, const char *detail, const char *hint)
    pg_attribute_noreturn();

/* A short text of what stands at the node, for messages. */
extern char *json_found(const json_node *node);

/* The name nearest to word, or NULL when none is near; names ends with NULL. */
extern const char *nearest_name(const char *word, const char *const *names);

/* HINT text "Perhaps you meant …" or NULL. */
extern char *nearest_name_hint(const char *word, const char *const *names);

/* "a, b, c" of a NULL-ended list. */
extern char *join_names(const char *const *names);

#endif
